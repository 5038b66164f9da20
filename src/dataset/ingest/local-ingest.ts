/** The way into a store that this process holds itself. */
import { AetherError } from "../../base/errors.ts";
import { BLOCK_BYTES_DEFAULT, BLOCK_BYTES_MIN } from "../../format/block.ts";
import type { ChunkingParameters } from "../../format/chunking.ts";
import { digestOf, type Digest } from "../../format/digest.ts";
import { scopeOf, type DatasetName } from "../../format/reference.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { TagReference } from "../contract.ts";
import { findDataset } from "../datasets.ts";
import type { Engine, PushEngine } from "../engine.ts";
import { currentOf, guessHead, NO_HEAD, type SeenTag } from "../tag-head.ts";
import { ChunkIndex } from "./chunk-index.ts";
import { indexFile } from "./index-database.ts";
import type { Ingest, IngestSession, IngestStart, SeenTags, SessionOptions } from "./ingest.ts";
import { LocalSession } from "./local-session.ts";
import { syncIndex } from "./sync-index.ts";

/** A block takes at most this part of the memory: one fills while another is on its way. */
const BLOCK_MEMORY_SHARE = 6;
/** Events that are looked at for the newest version of a dataset. */
const EVENTS_MAX = 16;

/** Sessions on the engine's own store. */
class LocalIngest implements Ingest {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  get folder(): string | undefined {
    return this.#engine.store.blocks.features.folder;
  }

  async prepare(tags: readonly TagReference[], options: CallOptions = {}): Promise<IngestStart> {
    const { domain, chunking, incarnations } = await sharedSettings(this.#engine, tags, options);
    const seen = await seeTags(this.#engine, tags, incarnations, options);
    const predecessors = await findPredecessors(this.#engine, seen, options);
    const heads = seen.map(({ seen: { head } }) => head.record?.number ?? 0);
    const { id: storeId } = this.#engine.store.datasets.store;
    return { storeId, chunking, predecessors, heads, seen: { domain, tags: seen } };
  }

  begin(session: SessionOptions, options: CallOptions = {}): Promise<IngestSession> {
    return beginLocalSession(this.#engine, session, options);
  }
}

/**
 * Begins a session on the engine's own store, in blocks that its memory allows. Errors: FEATURE_UNSUPPORTED when the tags
 * lie in several domains; those of the store.
 */
export async function beginLocalSession(
  engine: Engine,
  session: SessionOptions,
  options: CallOptions,
): Promise<LocalSession> {
  const { publisher, dryRun, reference, tags, seen } = session;
  const domain = seen?.domain ?? (await domainOf(engine, tags, options));
  const index = new ChunkIndex(indexFile(engine, digestOf(Buffer.from(domain)).slice(0, 32)));
  const blockBytes = blockBytesFor(engine, session.blockBytes);
  const parts = { domain, publisher, blockBytes, dryRun, reference, seen };
  const local = new LocalSession(engine, index, parts);
  try {
    await syncIndex(index, engine.store.blocks, domain, options);
    await local.begin(options);
    return local;
  } catch (error) {
    await local.abort();
    throw error;
  }
}

/** The domain in which all the tags lie. Errors: FEATURE_UNSUPPORTED when they lie in several; those of findDataset. */
export async function domainOf(
  engine: Engine,
  tags: readonly TagReference[],
  options: CallOptions,
): Promise<string> {
  return (await sharedSettings(engine, tags, options)).domain;
}

/** The engine, able to push to its own store. */
export function withLocalIngest(engine: Engine): PushEngine {
  return { ...engine, ingest: new LocalIngest(engine) };
}

function blockBytesFor(engine: Engine, wanted = BLOCK_BYTES_DEFAULT): number {
  const affordable = Math.floor(engine.memoryBytes / BLOCK_MEMORY_SHARE);
  return Math.max(BLOCK_BYTES_MIN, Math.min(wanted, affordable));
}

interface SharedSettings {
  readonly domain: string;
  readonly chunking: ChunkingParameters | undefined;
  /** Of each dataset that is there. */
  readonly incarnations: ReadonlyMap<DatasetName, string>;
}

/** All tags of a push lie in one domain, and have one wish for chunking at most. */
async function sharedSettings(
  engine: Engine,
  tags: readonly TagReference[],
  options: CallOptions,
): Promise<SharedSettings> {
  const names = [...new Set(tags.map((reference) => reference.name))];
  const incarnations = new Map<DatasetName, string>();
  const settings = await Promise.all(
    names.map(async (name: DatasetName) => {
      const record = (await findDataset(engine.store.datasets, name, options))?.value;
      if (record !== undefined) incarnations.set(name, record.incarnation);
      return { domain: record?.domain ?? scopeOf(name), chunking: record?.chunking ?? undefined };
    }),
  );
  const domain = settings[0]?.domain ?? "";
  if (settings.some((setting) => setting.domain !== domain)) {
    throw new AetherError(
      "FEATURE_UNSUPPORTED",
      "the tags of one push must lie in one scope: push once for each scope",
    );
  }
  return { domain, chunking: settings[0]?.chunking, incarnations };
}

/** How the tags stand. In a dataset that is not there is none. */
async function seeTags(
  engine: Engine,
  tags: readonly TagReference[],
  incarnations: ReadonlyMap<DatasetName, string>,
  options: CallOptions,
): Promise<SeenTags["tags"]> {
  const seen: (TagReference & { seen: SeenTag })[] = [];
  for (const { name, tag } of tags) {
    const incarnation = incarnations.get(name);
    const head =
      incarnation === undefined ? NO_HEAD : await guessHead(engine.store.datasets, name, tag, options);
    seen.push({ name, tag, seen: { incarnation, head } });
  }
  return seen;
}

/** What the tags point at, in their order, else the newest version that was announced in the first tag's dataset. */
async function findPredecessors(
  engine: Engine,
  tags: SeenTags["tags"],
  options: CallOptions,
): Promise<readonly Digest[]> {
  const found = new Set(tags.map(({ seen: { head } }) => currentOf(head.record)));
  found.delete(null);
  const [first] = tags;
  if (found.size === 0 && first?.seen.incarnation !== undefined) {
    found.add((await newestOf(engine, first.name, options)) ?? null);
  }
  return [...found].filter((version) => version !== null);
}

async function newestOf(
  engine: Engine,
  name: DatasetName,
  options: CallOptions,
): Promise<Digest | undefined> {
  const { datasets } = engine.store;
  const last = await datasets.lastEvent(name, options);
  for (let sequence = last; sequence > Math.max(0, last - EVENTS_MAX); sequence--) {
    const event = await datasets.getEvent(name, sequence, options);
    if (event !== undefined && event.state !== "deleted") return event.digest;
  }
  return undefined;
}
