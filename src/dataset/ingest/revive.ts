/** Points a tag at a version that was published before, which a prune beside it may be about to remove. docs/format.md §9.1 */
import { AetherError } from "../../base/errors.ts";
import { formatDigest, type Digest } from "../../format/digest.ts";
import type { ObjectName } from "../../format/prune-record.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { Engine } from "../engine.ts";
import type { TagReference } from "../contract.ts";
import { isDamage } from "../damage.ts";
import { LiveSet } from "../prune/live-set.ts";
import { Marker } from "../prune/mark.ts";
import type { TagCommit } from "../tags.ts";
import { confirm } from "./confirm.ts";
import { Lease } from "./lease.ts";
import { SweptNames } from "./swept-names.ts";

/** What is done for whom. */
export interface ReviveOptions extends CallOptions {
  readonly version: Digest;
  /** The domain in which it is read. */
  readonly domain: string;
  readonly publisher: string;
  readonly target: TagReference;
  /** Whether a tag points at it now: then all of it is there, and stays. Asked under the claim. */
  readonly isCurrent: () => Promise<boolean>;
}

/**
 * Runs `commit` while a lease keeps the version, once all that it needs is known to be there and to stay. Errors: VERSION_NOT_FOUND
 * when something of it was pruned; those of confirm, SweptNames.settle, of the store and of `commit`.
 */
export async function revive(
  engine: Engine,
  options: ReviveOptions,
  commit: () => Promise<TagCommit>,
): Promise<TagCommit> {
  const { store, clock, random } = engine;
  const lease = new Lease(store.datasets, clock, random.id(), options.publisher);
  const swept = new SweptNames(store, clock, lease);
  lease.addVersion(options.version);
  await lease.store(options);
  try {
    await swept.begin(options);
    // A prune that is under way waits for leases that do not name its epoch.
    if (swept.isNeeded) await lease.store(options);
    if (!(await options.isCurrent())) await requireWhole(engine, swept, options);
    // A machine that was paused, its clocks with it, learns here whether its claim still stands.
    await lease.store(options);
    const made = await commit();
    const names = (): Promise<ReadonlySet<ObjectName>> => namesOf(engine, options);
    await confirm(engine, { lease, tags: [options.target], commits: [made], names }, options);
    return made;
  } finally {
    await lease.release();
  }
}

/** Takes all that the version needs out of what is condemned, and looks for it. */
async function requireWhole(engine: Engine, swept: SweptNames, options: ReviveOptions): Promise<void> {
  try {
    const names = await namesOf(engine, options);
    await swept.settle(names, options);
    const unread = [...names].filter((name) => name.startsWith("blocks/") || name.startsWith("manifests/"));
    await swept.requireAll(unread, options);
  } catch (cause) {
    if (!isDamage(cause)) throw cause;
    throw new AetherError(
      "VERSION_NOT_FOUND",
      `the store no longer holds all of ${formatDigest(options.version)}: it was pruned, or is damaged`,
      { data: { digest: formatDigest(options.version) }, cause },
    );
  }
}

/** Reads what leads to the version's content, and names it. */
async function namesOf(
  engine: Engine,
  { version, domain, signal }: ReviveOptions,
): Promise<ReadonlySet<ObjectName>> {
  const live = new LiveSet();
  await new Marker(engine, live, signal === undefined ? {} : { signal }).mark(version, domain);
  return new Set(live.names());
}
