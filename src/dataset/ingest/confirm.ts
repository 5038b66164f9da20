/** What follows a commit that took so long that others may have taken the claim for dead before it was made. docs/format.md §9.1 */
import { must } from "../../base/assert.ts";
import { codeOf, type ErrorCode } from "../../base/errors.ts";
import type { ObjectName } from "../../format/prune-record.ts";
import type { HistoryRecord } from "../../format/record.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { TagReference } from "../contract.ts";
import type { Engine } from "../engine.ts";
import { recordTaken } from "../prune/floors.ts";
import { commitTag, TAKEN_BACK, type TagCommit } from "../tags.ts";
import type { Lease } from "./lease.ts";
import { SweptNames } from "./swept-names.ts";

/** What says that something went, or that nobody can tell whether it will. */
const LOST: ReadonlySet<ErrorCode> = new Set(["OBJECT_MISSING", "VERSION_NOT_FOUND", "OBJECT_CONFLICT"]);

/** What was committed under a lease. */
export interface Committed {
  readonly lease: Lease;
  readonly tags: readonly TagReference[];
  /** What became of each tag. */
  readonly commits: readonly TagCommit[];
  /** All that the tags need now. Errors: OBJECT_MISSING, VERSION_NOT_FOUND when something went. */
  readonly names: () => Promise<ReadonlySet<ObjectName>>;
}

/**
 * Looks again unless the lease is fresh: when it was lost, a prune that began before may not have seen the commit. Once that is over, all
 * must be there, else the tags go back. A prune that begins later sees the commit. Errors: those of `names` and of
 * SweptNames.settle, when the tags went back; those of the store.
 */
export async function confirm(engine: Engine, committed: Committed, options: CallOptions): Promise<void> {
  const { lease, tags, commits, names } = committed;
  if (lease.isFresh) return;
  try {
    await lease.store(options);
    return;
  } catch (error) {
    if (codeOf(error) !== "SESSION_LOST") throw error;
  }
  try {
    const swept = new SweptNames(engine.store, engine.clock, lease);
    await swept.begin(options);
    const needed = await names();
    await swept.settle(needed, options);
    await swept.requireAll([...needed], options);
  } catch (error) {
    if (!LOST.has(codeOf(error))) throw error;
    for (const [index, { record, moved }] of commits.entries())
      if (moved) await takeBack(engine, must(tags[index], "a tag for each"), record, options);
    throw error;
  }
}

/** Undoes a move, unless the tag was moved on since: it points where it did, and says of that what it said. */
async function takeBack(
  engine: Engine,
  { name, tag }: TagReference,
  { digest, previous, publisher, number, ...moved }: HistoryRecord,
  options: CallOptions,
): Promise<void> {
  // Its entry stays in the history, of a version that is not whole.
  await recordTaken(engine.store.datasets, name, tag, number, options);
  const before =
    previous === null ? undefined : await engine.store.datasets.getHistory(name, tag, number - 1, options);
  const { files, bytes, labels } = before ?? moved;
  const says = {
    publisher,
    message: TAKEN_BACK,
    labels,
    files,
    bytes,
    writeId: engine.random.id(),
    expected: digest,
  };
  const change =
    previous === null
      ? ({ state: "deleted", digest, ...says } as const)
      : ({ state: "announced", digest: previous, ...says } as const);
  try {
    await commitTag(engine, name, tag, change, options);
  } catch (error) {
    if (codeOf(error) !== "TAG_CONFLICT") throw error;
  }
}
