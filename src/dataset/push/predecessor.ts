/** The version before the one that is pushed. */
import { codeOf } from "../../base/errors.ts";
import type { Digest } from "../../format/digest.ts";
import type { DatasetName } from "../../format/reference.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { TagReference } from "../contract.ts";
import type { Engine } from "../engine.ts";
import { currentOf, readHead } from "../tag-head.ts";
import { openVersion, type Version } from "../version/version.ts";

/** Events that are looked at for the newest version of a dataset. */
const EVENTS_MAX = 16;

/**
 * What the first of the tags that exists points at, else the newest version that was announced in the first tag's
 * dataset. One that cannot be read counts as none: a push must be able to mend a store.
 */
export async function findPredecessor(
  engine: Engine,
  tags: readonly TagReference[],
  options: CallOptions,
): Promise<Version | undefined> {
  const { datasets } = engine.store;
  for (const { name, tag } of tags) {
    const { record } = await readHead(datasets, name, tag, options);
    const version = await openReadable(engine, currentOf(record), options);
    if (version !== undefined) return version;
  }
  const name = tags[0]?.name;
  return name === undefined
    ? undefined
    : openReadable(engine, await newestOf(engine, name, options), options);
}

async function newestOf(engine: Engine, name: DatasetName, options: CallOptions): Promise<Digest | null> {
  const { datasets } = engine.store;
  const last = await datasets.lastEvent(name, options);
  for (let sequence = last; sequence > Math.max(0, last - EVENTS_MAX); sequence--) {
    const event = await datasets.getEvent(name, sequence, options);
    if (event !== undefined && event.state !== "deleted") return event.digest;
  }
  return null;
}

/** A version, or undefined when it is not there or cannot be read. */
export async function openReadable(
  engine: Engine,
  digest: Digest | null,
  options: CallOptions,
): Promise<Version | undefined> {
  if (digest === null) return undefined;
  try {
    return await openVersion(engine, digest, options);
  } catch (error) {
    const code = codeOf(error);
    if (code === "VERSION_NOT_FOUND" || code.startsWith("OBJECT_")) return undefined;
    throw error;
  }
}
