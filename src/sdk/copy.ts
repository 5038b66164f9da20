/** Copies between two clients. */
import { matchesGlob } from "node:path";
import { AetherError } from "../base/errors.ts";
import type { CopyOptions, CopyResult, CopySelection } from "../dataset/copy/contract.ts";
import type { TagReference } from "../dataset/contract.ts";
import { parseReference } from "../format/reference.ts";
import type { Client } from "./client.ts";
import { defaultPublisher } from "./publisher.ts";

/** What makes a glob of a name. */
const GLOB = /[*?[{]/;

/** Options of copy. */
export interface ClientCopyOptions extends Partial<Omit<CopyOptions, "selection" | "historyMax">> {
  /** Of one version, the tags to set at the target; its own when there are none. */
  readonly tags?: readonly TagReference[];
  /** How many of each tag's newest entries are copied, of those that the target lacks: 1 when not given, or Infinity. */
  readonly historyMax?: number;
}

/**
 * Copies versions from one place to another, with their digests and the entries of their tags' histories: `name` (all tags),
 * `name:tag`, `name@sha256:…`, a glob over datasets' names (`@scope/*`; `*` has no slash), or `**`: everything. Only what
 * the target lacks moves; a tag moves when all is there. Of several tags, those that could not be copied are in the result's `failures`.
 * Errors: REFERENCE_INVALID, ARGUMENT_INVALID; DATASET_NOT_FOUND, TAG_NOT_FOUND, VERSION_NOT_FOUND; of one tag TAG_CONFLICT when
 * somebody else moved it at the target, TAG_IMMUTABLE, and what says that the source is damaged; those of both places.
 */
export async function copy(
  from: Client,
  to: Client,
  what: string,
  options: ClientCopyOptions = {},
): Promise<CopyResult> {
  const { tags = [], historyMax = 1, publisher = defaultPublisher(), ...rest } = options;
  const selection = selectionOf(what, tags);
  const { copy: run } = await import("../dataset/copy/copy.ts");
  return await run(from, to, { ...rest, selection, historyMax, publisher });
}

function selectionOf(text: string, tags: readonly TagReference[]): CopySelection {
  const isGlob = GLOB.test(text);
  const reference = isGlob ? undefined : parseReference(text);
  const isOne = reference !== undefined && (reference.tag !== undefined || reference.digest !== undefined);
  if (reference?.host !== undefined)
    throw new AetherError("ARGUMENT_INVALID", `${text} names a hub: say where to copy from besides`);
  if (isOne) return { reference, tags };
  if (tags.length > 0)
    throw new AetherError("ARGUMENT_INVALID", `${text} is not one version: leave out the tags to set`);
  if (reference !== undefined) return { dataset: reference.name };
  return { matches: (name) => name === text || matchesGlob(name, text), text: `like ${text}` };
}
