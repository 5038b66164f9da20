/** Checking a whole store: that all which its histories name is there, and that it is what it was. */
import { AetherError } from "../../base/errors.ts";
import { formatDigest, type Digest } from "../../format/digest.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { Engine } from "../engine.ts";
import { ChunkIndex } from "../ingest/chunk-index.ts";
import { indexFile } from "../ingest/index-database.ts";
import { syncIndex } from "../ingest/sync-index.ts";
import { entries } from "../version/entries.ts";
import { openVersion } from "../version/version.ts";
import { BlockCheck, type BlockFinding } from "./block-check.ts";
import type {
  HistoryPlace,
  LostVersion,
  StoreFault,
  VerifyStoreOptions,
  VerifyStoreResult,
} from "./contract.ts";
import { walkHistories, type HistoryStep } from "./history-walk.ts";
import { isFault } from "./is-fault.ts";
import { isLetGo } from "./let-go.ts";
import { Pace } from "../pace.ts";
import { PlanCheck } from "./plan-check.ts";
import { VersionCheck, type VersionDamage } from "./version-check.ts";

/** Faults, lost versions, places and paths of each, that are told; the others are counted. */
const FAULTS_MAX = 10_000;
const LOST_MAX = 10_000;
const PLACES_MAX = 100;
const PATHS_MAX = 100;
/** Versions that are remembered as checked. */
const CHECKED_MAX = 1 << 20;
const PROGRESS_INTERVAL_MS = 50;

/**
 * Checks everything that a store's histories name: records, manifests, pages, and every plan against the indexes of the blocks that it leads
 * to; and, unless `structureOnly`, every byte of every block against its name, and every frame against what it says it holds. What is wrong
 * is told with the versions, tags and paths that are lost by it. Changes nothing. Errors: those of the store, but for damage.
 */
export async function verifyStore(
  engine: Engine,
  options: VerifyStoreOptions = {},
): Promise<VerifyStoreResult> {
  const run = new StoreRun(engine, options);
  if (options.structureOnly !== true) await run.checkBlocks();
  await run.checkVersions();
  return run.result();
}

class StoreRun {
  readonly #engine: Engine;
  readonly #options: VerifyStoreOptions;
  readonly #call: CallOptions;
  readonly #pace: Pace;
  readonly #begunMs: number;
  #reportedMs = -Infinity;
  readonly #counts = { datasets: 0, tags: 0, entries: 0, versions: 0, plans: 0, blocks: 0, bytes: 0 };
  #totalBytes: number | undefined;
  readonly #faults: StoreFault[] = [];
  readonly #told = new Set<string>();
  #faultCount = 0;
  readonly #lost = new Map<Digest, LostVersion>();
  #lostCount = 0;
  /** Of blocks that are as their names say: frames that do not decode. */
  readonly #frames = new Map<Digest, Map<number, AetherError>>();

  constructor(engine: Engine, options: VerifyStoreOptions) {
    this.#engine = engine;
    this.#options = options;
    this.#call = options.signal === undefined ? {} : { signal: options.signal };
    this.#pace = new Pace(engine.clock, options.rateBytes ?? Infinity);
    this.#begunMs = engine.clock.elapsedMs();
  }

  result(): VerifyStoreResult {
    const seconds = (this.#engine.clock.elapsedMs() - this.#begunMs) / 1000;
    const faults = { faults: this.#faults, faultCount: this.#faultCount };
    return {
      ...this.#counts,
      ...faults,
      lost: [...this.#lost.values()],
      lostCount: this.#lostCount,
      seconds,
    };
  }

  /** Every block there is, also those that nothing refers to. */
  async checkBlocks(): Promise<void> {
    // A chunk is the same everywhere: those of all domains serve.
    const index = new ChunkIndex(indexFile(this.#engine, "all"));
    try {
      this.#totalBytes = await syncIndex(index, this.#engine.store.blocks, undefined, this.#call);
      const check = new BlockCheck(this.#engine, index, this.#pace);
      for await (const { digest } of this.#engine.store.blocks.list(this.#call)) {
        const finding = await check.check(digest, this.#call);
        this.#counts.blocks++;
        this.#counts.bytes += finding.bytes;
        await this.#note(digest, finding);
        this.#report();
      }
    } finally {
      index.close();
    }
  }

  async #note(block: Digest, { faults, isAsNamed }: BlockFinding): Promise<void> {
    const object = { kind: "blocks", digest: block } as const;
    for (const { offset, error } of faults) {
      const where = offset === undefined ? "" : `frame at byte ${offset}`;
      await this.#fault({ object, where, code: error.code, message: error.message, isDamaged: !isAsNamed });
      if (offset === undefined) continue;
      const frames = this.#frames.get(block) ?? new Map<number, AetherError>();
      const data = { ...error.data, block: formatDigest(block) };
      const named = new AetherError(error.code, `${error.message}, in block ${formatDigest(block)}`, {
        data,
      });
      this.#frames.set(block, frames.set(offset, named));
    }
  }

  /** Everything that histories name. */
  async checkVersions(): Promise<void> {
    const { blocks, datasets } = this.#engine.store;
    const pending: StoreFault[] = [];
    const check = new VersionCheck(this.#engine, new PlanCheck(blocks, this.#frames), ({ object, error }) => {
      pending.push({
        object,
        where: "",
        code: error.code,
        message: error.message,
        isDamaged: error.code === "OBJECT_CORRUPT" || error.code === "OBJECT_INVALID",
      });
    });
    const checked = new Set<string>();
    let domain = "";
    let readBytes = 0;
    for await (const step of walkHistories(datasets, this.#engine.clock.nowMs(), this.#call)) {
      if (step.kind === "dataset") {
        this.#counts.datasets++;
        ({ domain } = step);
      } else if (step.kind === "tag") this.#counts.tags++;
      else if (step.kind === "fault") await this.#recordFault(step.where, step.error);
      else if (!(await this.#checkEntry(check, step, domain, checked))) pending.splice(0);
      for (const fault of pending.splice(0)) await this.#fault(fault);
      this.#counts.plans = check.planCount;
      await this.#pace.take(check.readBytes - readBytes, this.#call.signal);
      ({ readBytes } = check);
      this.#report();
    }
  }

  /** False: the entry was let go by an earlier retention or since the walk came by it, and so its version need not be there. */
  async #checkEntry(
    check: VersionCheck,
    entry: Extract<HistoryStep, { kind: "entry" }>,
    domain: string,
    checked: Set<string>,
  ): Promise<boolean> {
    const { name, tag, record, isCurrent } = entry;
    this.#counts.entries++;
    const { digest, number } = record;
    const place = { dataset: name, tag, number, isCurrent };
    const key = `${domain} ${digest}`;
    const known = this.#lost.get(digest);
    if (known !== undefined && known.places.length < PLACES_MAX)
      this.#lost.set(digest, { ...known, places: [...known.places, place] });
    if (checked.has(key)) return true;
    if (checked.size === CHECKED_MAX) checked.clear();
    checked.add(key);
    this.#counts.versions++;
    const damage = await check.check(digest, domain, this.#call);
    if (damage === undefined) {
      const error = await this.#contradiction(digest, record.files, record.bytes);
      if (error !== undefined) await this.#recordFault(`${name}:${tag} ${number}`, error);
      return true;
    }
    if (await this.#isLetGo(entry, damage)) {
      // Elsewhere a tag may point at it now.
      checked.delete(key);
      return false;
    }
    if (known === undefined) await this.#lose(damage, place);
    return true;
  }

  async #isLetGo(entry: Extract<HistoryStep, { kind: "entry" }>, damage: VersionDamage): Promise<boolean> {
    try {
      return await isLetGo(this.#engine.store.datasets, entry, damage, this.#call);
    } catch (error) {
      // What would say so is damaged too.
      if (isFault(error)) return false;
      throw error;
    }
  }

  /** An entry says how much its version holds. */
  async #contradiction(version: Digest, files: number, bytes: number): Promise<AetherError | undefined> {
    const { root } = await openVersion(this.#engine, version, this.#call);
    if (root.files === files && root.bytes === bytes) return undefined;
    return new AetherError(
      "OBJECT_INVALID",
      "the entry says another number of files or bytes than its version",
    );
  }

  async #lose(damage: VersionDamage, place: HistoryPlace): Promise<void> {
    this.#lostCount++;
    if (this.#lost.size === LOST_MAX) return;
    const { version, error } = damage;
    const { code, message } = error;
    const { paths, pathCount } = await this.#pathsOf(damage);
    this.#lost.set(version, { version, places: [place], code, message, paths, pathCount });
  }

  /** The paths whose bytes lie in damaged ranges of the stream. */
  async #pathsOf({
    version,
    spans,
    losesEntries,
  }: VersionDamage): Promise<Pick<LostVersion, "paths" | "pathCount">> {
    if (losesEntries) return { paths: null, pathCount: 0 };
    const paths: string[] = [];
    let pathCount = 0;
    let next = 0;
    const opened = await openVersion(this.#engine, version, this.#call);
    for await (const batch of entries(opened, this.#call)) {
      for (const { entry, start } of batch) {
        if (entry.kind !== "file" || entry.size === 0) continue;
        while (next < spans.length && (spans[next]?.end ?? 0) <= start) next++;
        if ((spans[next]?.start ?? Infinity) >= start + entry.size) continue;
        pathCount++;
        if (paths.length < PATHS_MAX) paths.push(entry.path);
      }
      if (next === spans.length) break;
    }
    return { paths, pathCount };
  }

  #recordFault(where: string, { code, message }: AetherError): Promise<void> {
    return this.#fault({ object: { kind: "records" }, where, code, message, isDamaged: false });
  }

  /** An object that is shared is found more than once, and told once. */
  async #fault(fault: StoreFault): Promise<void> {
    const { object, where } = fault;
    const name = object.kind === "records" ? where : `${object.digest} ${where}`;
    const domain = object.kind === "plans" ? (object.domain ?? "shared") : "";
    const key = `${object.kind} ${domain} ${name}`;
    if (this.#told.has(key)) return;
    this.#faultCount++;
    if (this.#faults.length < FAULTS_MAX) {
      this.#told.add(key);
      this.#faults.push(fault);
    }
    await this.#options.onFault?.(fault);
  }

  #report(): void {
    const { onProgress } = this.#options;
    const nowMs = this.#engine.clock.elapsedMs();
    if (onProgress === undefined || nowMs - this.#reportedMs < PROGRESS_INTERVAL_MS) return;
    this.#reportedMs = nowMs;
    const { bytes, versions } = this.#counts;
    onProgress({ phase: "verify", files: versions, bytes, totalBytes: this.#totalBytes, reusedBytes: 0 });
  }
}
