/** Looks through a store: what is needed, and what is there. docs/format.md §9.1 */
import { must } from "../../base/assert.ts";
import { codeOf } from "../../base/errors.ts";
import type { Digest } from "../../format/digest.ts";
import { objectName, type ObjectName } from "../../format/prune-record.ts";
import type { LeaseRecord } from "../../format/record.ts";
import { decodeSignature, type SignatureRecord } from "../../format/view-record.ts";
import type { BlockInfo, CallOptions } from "../../store/block-store.ts";
import { OBJECT_KINDS } from "../../store/keys.ts";
import { isDamage } from "../damage.ts";
import type { Engine } from "../engine.ts";
import { readBlockIndex } from "../ingest/block-indexes.ts";
import type { PruneCount, PruneProgress } from "./contract.ts";
import { countedBytes, type LiveFrames } from "./live-frames.ts";
import { LiveSet } from "./live-set.ts";
import { Marker } from "./mark.ts";
import { PlanCopies } from "./plan-copies.ts";
import { liveVersions } from "./roots.ts";

/** Objects between two reports. */
const REPORT_EVERY = 100;

/** Options of a survey. */
export interface SurveyOptions extends CallOptions {
  /** Incarnations of deleted datasets that need nothing any more. */
  readonly gone?: ReadonlySet<string> | undefined;
  /**
   * What is needed decides what is removed now, so that floors say before what is let go; "all": and also what is missing, since
   * prunes that wrote no floors may have taken it.
   */
  readonly floors?: "released" | "all" | undefined;
  readonly onProgress?: ((progress: PruneProgress) => void) | undefined;
}

/** What is needed. */
export interface Survey {
  readonly live: LiveSet;
  /** Versions that stay. */
  readonly versions: number;
  /** Of those, earlier ones of tags of which something is missing. */
  readonly incomplete: number;
}

/** What is needed: by the datasets' histories, and by `leases`, which must be read before. */
export async function surveyLive(
  engine: Engine,
  leases: readonly LeaseRecord[],
  options: SurveyOptions,
): Promise<Survey> {
  // Not before the leases: whoever builds on what changed since then knows what is swept.
  const copies = await PlanCopies.open(engine, options);
  let isWhole = false;
  try {
    const survey = await markAll(engine, leases, options, copies);
    isWhole = true;
    return survey;
  } finally {
    copies?.close(isWhole);
  }
}

async function markAll(
  engine: Engine,
  leases: readonly LeaseRecord[],
  options: SurveyOptions,
  copies: PlanCopies | undefined,
): Promise<Survey> {
  const live = new LiveSet();
  const marker = new Marker(engine, live, options, copies?.reads(engine.store.datasets));
  const versions = new Set<Digest>();
  const incomplete = new Set<Digest>();
  const domains = new Set([""]);
  const { floors } = options;
  const walk = { ...options, recordsFloors: floors !== undefined };
  for await (const { version, domain, isCurrent, lacks } of liveVersions(engine, walk)) {
    // An earlier version may have gone already: the retention was shorter once.
    if (!(await marker.mark(version, domain, !isCurrent))) {
      incomplete.add(version);
      if (floors === "all") lacks();
    }
    domains.add(domain);
    if (versions.has(version)) continue;
    versions.add(version);
    options.onProgress?.({ phase: "mark", done: versions.size });
  }
  for (const lease of leases) {
    for (const block of lease.blocks) live.holdBlock(block);
    for (const version of lease.versions) {
      // What a lease claims need not be there: its holder finds out.
      for (const domain of domains) await marker.mark(version, domain, true);
    }
  }
  return { live, versions: versions.size, incomplete: incomplete.size };
}

/** What is there, told apart. */
export interface Inventory {
  readonly kept: PruneCount;
  readonly unusedBytes: number;
  readonly dead: PruneCount;
}

/** A block of which only a part is needed. */
export interface PartlyLive extends BlockInfo {
  readonly liveBytes: number;
}

/** The blocks of whose frames less than this share (0 to 1) is needed, and not nothing; those that a lease claims are left out. */
export async function listPartlyLive(
  engine: Engine,
  live: LiveSet,
  below: number,
  options: CallOptions,
): Promise<PartlyLive[]> {
  const partly: PartlyLive[] = [];
  for await (const block of engine.store.blocks.list(options)) {
    const frames = live.isHeld(block.digest) ? undefined : live.framesOf(block.digest);
    if (frames === undefined || frames.bytes >= block.bytes * below) continue;
    const allBytes = frames.bytes + (await unusedBytesOf(engine, block, frames, options));
    if (frames.bytes < allBytes * below) partly.push({ ...block, liveBytes: frames.bytes });
  }
  return partly;
}

/** What an entry of a block's index takes as a rule, and the share of a block that may be off by it. */
const ENTRY_BYTES = 48;
const INEXACT_SHARE = 0.05;

/** Bytes of a block's frames that nothing needs: its index, which may be longer than its frames, is looked at in doubt. */
async function unusedBytesOf(
  engine: Engine,
  { digest, bytes }: BlockInfo,
  frames: LiveFrames,
  options: CallOptions,
): Promise<number> {
  const restBytes = Math.max(0, bytes - frames.bytes - frames.count * ENTRY_BYTES);
  if (restBytes <= bytes * INEXACT_SHARE) return restBytes;
  try {
    const index = await readBlockIndex(engine.store.blocks, digest, options);
    const allBytes = index.frames.reduce((sum, { storedBytes }) => sum + countedBytes(storedBytes), 0);
    return Math.max(0, allBytes - frames.bytes);
  } catch (error) {
    if (isDamage(error)) return restBytes;
    throw error;
  }
}

/** Lists a store and holds it to what is needed; tells `onDead` of each object that is not. */
export async function takeInventory(
  engine: Engine,
  live: LiveSet,
  leases: readonly LeaseRecord[],
  onDead: (name: ObjectName) => Promise<void>,
  options: SurveyOptions,
): Promise<Inventory> {
  const { blocks, datasets } = engine.store;
  const count = {
    kept: { blocks: 0, blockBytes: 0, others: 0 },
    dead: { blocks: 0, blockBytes: 0, others: 0 },
  };
  let unusedBytes = 0;
  let done = 0;
  const step = (): void => {
    if (++done % REPORT_EVERY === 0) options.onProgress?.({ phase: "list", done });
  };
  const uploads = new Set(leases.map(({ id }) => id));
  // What is read first goes first: nobody finds a manifest whose blocks went.
  for (const kind of OBJECT_KINDS) {
    for await (const digest of datasets.listObjects(kind, options)) {
      const isKept =
        kind === "views"
          ? live.has("manifests", digest)
          : kind === "signatures"
            ? await isSignatureLive(engine, digest, live, uploads, options)
            : live.has(kind, digest);
      count[isKept ? "kept" : "dead"].others++;
      if (!isKept) await onDead(objectName(kind, digest));
      step();
    }
  }
  for await (const { digest, bytes } of blocks.list(options)) {
    const isKept = live.has("blocks", digest);
    const tally = count[isKept ? "kept" : "dead"];
    tally.blocks++;
    tally.blockBytes += bytes;
    step();
    if (!isKept) await onDead(objectName("blocks", digest));
    else if (!live.isHeld(digest)) {
      const frames = must(live.framesOf(digest), "a block that is kept and not held is needed in part");
      unusedBytes += await unusedBytesOf(engine, { digest, bytes }, frames, options);
    }
  }
  return { ...count, unusedBytes };
}

/** A signature stays while a version has its block, or who uploaded it may still publish it. */
async function isSignatureLive(
  engine: Engine,
  signature: Digest,
  live: LiveSet,
  leases: ReadonlySet<string>,
  options: CallOptions,
): Promise<boolean> {
  const found = await engine.store.datasets.getView({ kind: "signature", digest: signature }, options);
  if (found === undefined) return false;
  let record: SignatureRecord;
  try {
    record = decodeSignature(found.value);
  } catch (error) {
    // Of a newer AetherFS, or damaged: nobody can say that it is not needed.
    if (codeOf(error) === "FORMAT_UNSUPPORTED" || isDamage(error)) return true;
    throw error;
  }
  if (record.upload !== null && leases.has(record.upload.lease)) return true;
  return record.places.some(({ version }) => live.has("manifests", version));
}
