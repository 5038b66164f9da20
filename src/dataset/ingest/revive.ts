/** Points a tag at a version that was published before, which a prune beside it may be about to remove. docs/format.md §9.1 */
import { AetherError } from "../../base/errors.ts";
import { formatDigest, type Digest } from "../../format/digest.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { Engine } from "../engine.ts";
import { isDamage } from "../damage.ts";
import { LiveSet } from "../prune/live-set.ts";
import { Marker } from "../prune/mark.ts";
import type { TagCommit } from "../tags.ts";
import { Lease } from "./lease.ts";
import { SweptNames } from "./swept-names.ts";

/** What is done for whom. */
export interface ReviveOptions extends CallOptions {
  readonly version: Digest;
  /** The domain in which it is read. */
  readonly domain: string;
  readonly publisher: string;
  /** Whether a tag points at it now: then all of it is there, and stays. Asked under the claim. */
  readonly isCurrent: () => Promise<boolean>;
}

/**
 * Runs `commit` while a lease keeps the version, once all that it needs is known to be there and to stay. Errors: VERSION_NOT_FOUND
 * when something of it was pruned; those of SweptNames.settle, of the store and of `commit`.
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
    if (!(await options.isCurrent())) await requireWhole(engine, swept, options);
    await lease.store(options);
    return await commit();
  } finally {
    await lease.release();
  }
}

/** Reads what leads to the version's content, looks for every block, and takes all of it out of what is condemned. */
async function requireWhole(
  engine: Engine,
  swept: SweptNames,
  { version, domain, ...rest }: ReviveOptions,
): Promise<void> {
  const options = rest.signal === undefined ? {} : { signal: rest.signal };
  const live = new LiveSet();
  try {
    await new Marker(engine, live, options).mark(version, domain);
    const names = new Set(live.names());
    await swept.settle(names, options);
    const unread = [...names].filter((name) => name.startsWith("blocks/") || name.startsWith("manifests/"));
    await swept.requireAll(unread, options);
  } catch (cause) {
    if (!isDamage(cause)) throw cause;
    throw new AetherError(
      "VERSION_NOT_FOUND",
      `the store no longer holds all of ${formatDigest(version)}: it was pruned, or is damaged`,
      { data: { digest: formatDigest(version) }, cause },
    );
  }
}
