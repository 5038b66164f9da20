/** A dry look at data: what it would cost, cut in several ways. docs/analyze.md */
import { ANALYZE_VERSIONS_MAX, KiB, MiB } from "../../base/limits.ts";
import { AetherError } from "../../base/errors.ts";
import { sameChunking, type ChunkingParameters } from "../../format/chunking.ts";
import type { Progress } from "../contract.ts";
import type { ReadEngine } from "../engine.ts";
import { Spool } from "../push/archive/spool.ts";
import { openVersion, type Version } from "../version/version.ts";
import { Churn } from "./churn.ts";
import type { AnalyzedVersion, AnalyzeInput, AnalyzeResult, ChunkingReport } from "./contract.ts";
import type { Material } from "./material.ts";
import { measure, readsOf } from "./measure.ts";
import { recommend } from "./recommend.ts";
import { SamplePlan, sampleLimit } from "./sample-plan.ts";
import { openSource, sourceMaterial, type OpenedSource } from "./source-material.ts";
import { copyVersion } from "./version-material.ts";

/** What is always looked at, the finest one first: with it files are followed. */
const CHUNKINGS: readonly ChunkingParameters[] = [
  { kind: "cdc", averageBytes: 16 * KiB },
  { kind: "cdc", averageBytes: 64 * KiB },
  { kind: "cdc", averageBytes: 256 * KiB },
  { kind: "cdc", averageBytes: MiB },
  { kind: "fixed", averageBytes: 64 * KiB },
  { kind: "fixed", averageBytes: MiB },
];

const PROGRESS_INTERVAL_MS = 50;

/**
 * Measures what the newest of some versions costs as the first of a store, and what each costs after the one before, by
 * pushing them into stores of its own in temporary files. The engine's store is only read. Of large data a sample is
 * measured. Errors: those of push() about sources, of openVersion and of reading chunks; ARGUMENT_INVALID; LIMIT_EXCEEDED
 * beyond the temporary space.
 */
export async function analyze(engine: ReadEngine, input: AnalyzeInput): Promise<AnalyzeResult> {
  const begunMs = engine.clock.elapsedMs();
  const count = input.versions.length + (input.source === undefined ? 0 : 1);
  if (count === 0 || count > ANALYZE_VERSIONS_MAX) {
    throw new AetherError(
      "ARGUMENT_INVALID",
      `an analysis compares 1 to ${ANALYZE_VERSIONS_MAX} versions, not ${count}`,
    );
  }
  const analysis = new Analysis(engine, input);
  try {
    const result = await analysis.run();
    return { ...result, seconds: (engine.clock.elapsedMs() - begunMs) / 1000 };
  } finally {
    input.source?.input?.destroy();
    await analysis.close();
  }
}

class Analysis {
  readonly #engine: ReadEngine;
  readonly #input: AnalyzeInput;
  #source: OpenedSource | undefined;
  #spool: Spool | undefined;
  #doneBytes = 0;
  #reportedMs = -Infinity;
  #totalBytes: number | undefined;

  constructor(engine: ReadEngine, input: AnalyzeInput) {
    this.#engine = engine;
    this.#input = input;
  }

  async run(): Promise<Omit<AnalyzeResult, "seconds">> {
    const { versions: digests, source, signal } = this.#input;
    signal?.throwIfAborted();
    const versions: Version[] = [];
    for (const digest of digests) versions.push(await openVersion(this.#engine, digest, { signal }));
    if (source !== undefined) this.#source = await openSource(this.#engine, source, this.#input);
    const analyzed: AnalyzedVersion[] = versions.map(({ digest, root: { files, bytes } }) => ({
      digest,
      files,
      bytes,
    }));
    if (this.#source !== undefined) {
      const { files, bytes } = this.#source;
      analyzed.push({ digest: null, files, bytes });
    }
    const own = versions.at(-1)?.root.chunking;
    const current = own === undefined ? null : { chunking: own.kind, chunkSize: own.averageBytes };
    return { ...(await this.#measureAll(versions, analyzed, current)), skipped: this.#source?.skipped ?? [] };
  }

  async #measureAll(
    versions: readonly Version[],
    analyzed: readonly AnalyzedVersion[],
    current: AnalyzeResult["current"],
  ): Promise<Omit<AnalyzeResult, "seconds" | "skipped">> {
    const { cacheDir, random, memoryBytes } = this.#engine;
    const { spoolBytes, sampleBytes } = this.#input;
    const totals = analyzed.map(({ bytes }) => bytes);
    const plan = new SamplePlan(Math.max(...totals), sampleLimit(sampleBytes, memoryBytes, totals.length));
    const chunkings = chunkingsWith(current);
    const reads = readsOf(totals.length).map((times) => times * chunkings.length);
    const workOf = (bytes: readonly number[]): number =>
      bytes.reduce((sum, one, index) => sum + one * (reads[index] ?? 0), 0);
    const copiedBytes = versions.reduce((sum, { root }) => sum + root.bytes, 0) * plan.share;
    this.#totalBytes = Math.ceil(copiedBytes + workOf(totals) * plan.share);
    this.#spool = await Spool.open(cacheDir, random, spoolBytes);
    const materials = await this.#materials(versions, plan, this.#spool);
    this.#totalBytes = this.#doneBytes + workOf(materials.map(({ bytes }) => bytes));
    const churn = new Churn();
    const reports: ChunkingReport[] = [];
    for (const chunking of chunkings) {
      const isFirst = reports.length === 0;
      reports.push(await this.#measure(chunking, materials, isFirst ? churn : undefined));
    }
    const newest = { bytes: materials.at(-1)?.bytes ?? 0, totalBytes: totals.at(-1) ?? 0 };
    return {
      versions: analyzed,
      sampled: plan.share === 1 ? null : newest,
      current,
      chunkings: reports,
      changes: churn.changes,
      churn: churn.top,
      recommendation: recommend(reports, current),
    };
  }

  async close(): Promise<void> {
    await this.#source?.close();
    await this.#spool?.close();
  }

  async #materials(versions: readonly Version[], plan: SamplePlan, spool: Spool): Promise<Material[]> {
    const materials: Material[] = [];
    const onBytes = (bytes: number): void => {
      this.#report("fetch", bytes);
      this.#doneBytes += bytes;
    };
    for (const version of versions) {
      materials.push(await copyVersion(this.#engine, version, plan, spool, onBytes));
    }
    const source = this.#source;
    if (source !== undefined) materials.push(await sourceMaterial(source, plan, spool, this.#input.signal));
    return materials;
  }

  #measure(
    chunking: ChunkingParameters,
    materials: readonly Material[],
    churn: Churn | undefined,
  ): Promise<ChunkingReport> {
    const onProgress = ({ bytes }: Progress): void => {
      this.#report("read", bytes);
    };
    const onPushed = (bytes: number): void => {
      this.#doneBytes += bytes;
    };
    const { signal, spoolBytes } = this.#input;
    return measure(this.#engine, chunking, {
      ...(signal === undefined ? {} : { signal }),
      ...(spoolBytes === undefined ? {} : { spoolBytes }),
      ...{ materials, churn, onProgress, onPushed },
    });
  }

  /** Tells of what is done, and `bytes` of what is under way. */
  #report(phase: Progress["phase"], bytes: number): void {
    const nowMs = this.#engine.clock.elapsedMs();
    if (nowMs - this.#reportedMs < PROGRESS_INTERVAL_MS) return;
    this.#reportedMs = nowMs;
    const totalBytes = this.#totalBytes;
    const done = this.#doneBytes + bytes;
    this.#input.onProgress?.({ phase, files: 0, bytes: done, totalBytes, reusedBytes: 0 });
  }
}

/** The usual ones, and the dataset's own. */
function chunkingsWith(current: AnalyzeResult["current"]): readonly ChunkingParameters[] {
  if (current === null) return CHUNKINGS;
  const own = { kind: current.chunking, averageBytes: current.chunkSize };
  return CHUNKINGS.some((one) => sameChunking(one, own)) ? CHUNKINGS : [...CHUNKINGS, own];
}
