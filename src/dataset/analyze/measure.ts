/** Measures what one chunking makes of some versions. */
import { must } from "../../base/assert.ts";
import type { ChunkingParameters } from "../../format/chunking.ts";
import type { Digest } from "../../format/digest.ts";
import type { ChunkItem } from "../../format/page.ts";
import type { Progress } from "../contract.ts";
import type { ReadEngine } from "../engine.ts";
import type { Churn } from "./churn.ts";
import type { AnalyzeLimits, ChunkingReport, Stored, StoredForm } from "./contract.ts";
import { Laboratory, plainIndexBytes, type Trial } from "./laboratory.ts";
import type { Material } from "./material.ts";

/** What is measured, and who hears of it. */
export interface Measurement extends Omit<AnalyzeLimits, "onProgress"> {
  /** The oldest first. */
  readonly materials: readonly Material[];
  /** Follows the updates, where it is given. */
  readonly churn: Churn | undefined;
  /** Hears how far the push under way is. */
  readonly onProgress: (progress: Progress) => void;
  /** Hears that a push is done, and of how many bytes. */
  readonly onPushed: (bytes: number) => void;
}

/** How often a measurement reads each version: the oldest first. */
export function readsOf(versions: number): readonly number[] {
  return Array.from({ length: versions }, (_, index) => (index === 0 ? 1 : 2));
}

/**
 * Pushes the newest version into an empty store, and the older ones after it without deltas: so each chunk's size alone
 * is known. Then into another one the oldest version, as it is, and each next one as an update.
 */
export async function measure(
  engine: ReadEngine,
  chunking: ChunkingParameters,
  measurement: Measurement,
): Promise<ChunkingReport> {
  const { materials, onProgress, onPushed } = measurement;
  const zstdBytes = new Map<Digest, number>();
  const onPlain = (chunk: Digest, bytes: number): void => void zstdBytes.set(chunk, bytes);
  const alone = await Laboratory.open(engine, chunking, { onPlain, onProgress }, measurement);
  const [newest, ...older] = materials.slice(materials.length === 1 ? 0 : 1).reverse();
  let first: Trial;
  try {
    first = await alone.push(must(newest, "there is a version"), "zstd", false);
    onPushed(newest?.bytes ?? 0);
    for (const material of older) {
      await alone.push(material, "zstd", false);
      onPushed(material.bytes);
    }
  } finally {
    await alone.close();
  }
  const sizeOf = (chunk: ChunkItem): number => zstdBytes.get(chunk.digest) ?? chunk.length;
  const updates = await measureUpdates(engine, chunking, measurement, sizeOf);
  return {
    chunking: chunking.kind,
    chunkSize: chunking.averageBytes,
    chunks: first.chunks,
    first: firstOf(first, sizeOf),
    update: updates.length === 0 ? null : medianOf(updates),
    updates,
  };
}

async function measureUpdates(
  engine: ReadEngine,
  chunking: ChunkingParameters,
  measurement: Measurement,
  sizeOf: (chunk: ChunkItem) => number,
): Promise<readonly Stored[]> {
  const { materials, churn, onProgress, onPushed } = measurement;
  const [oldest, ...later] = materials;
  const updates: Stored[] = [];
  if (oldest === undefined || later.length === 0) return updates;
  const events = { onPlain: () => undefined, onProgress };
  const laboratory = await Laboratory.open(engine, chunking, events, measurement);
  try {
    // What deltas lie on is of no matter for them as long as it is there: it is not compressed.
    let before = await laboratory.push(oldest, "none", false);
    onPushed(oldest.bytes);
    for (const material of later) {
      const after = await laboratory.push(material, "zstd", true);
      onPushed(material.bytes);
      const isNew = new Set(after.newChunks.map(({ digest }) => digest));
      await churn?.add(before.version, after.version, (chunk) => isNew.has(chunk));
      updates.push(updateOf(after, sizeOf));
      before = after;
    }
    return updates;
  } finally {
    await laboratory.close();
  }
}

/** The forms of what was new without deltas, with blocks whose indexes take `indexBytes`. */
function plainForms(trial: Trial, indexBytes: number, sizeOf: (chunk: ChunkItem) => number): StoredForm[] {
  const { newChunks, manifestBytes, planBytes } = trial;
  const besides = manifestBytes + planBytes + indexBytes;
  const sizes = [
    { compression: "none", payloadBytes: sum(newChunks, ({ length }) => length) },
    { compression: "zstd", payloadBytes: sum(newChunks, sizeOf) },
  ] as const;
  return sizes.map((size) => ({ ...size, deltas: false, totalBytes: size.payloadBytes + besides }));
}

function firstOf(trial: Trial, sizeOf: (chunk: ChunkItem) => number): Stored {
  return storedOf(trial, plainForms(trial, trial.indexBytes, sizeOf));
}

function updateOf(trial: Trial, sizeOf: (chunk: ChunkItem) => number): Stored {
  const { plainBytes, deltaBytes, plainDecodedBytes, manifestBytes, planBytes, indexBytes } = trial;
  const besides = manifestBytes + planBytes + indexBytes;
  const sizes = [
    { compression: "none", payloadBytes: plainDecodedBytes + deltaBytes },
    { compression: "zstd", payloadBytes: plainBytes + deltaBytes },
  ] as const;
  const forms = sizes.map((size) => ({ ...size, deltas: true, totalBytes: size.payloadBytes + besides }));
  const plain = plainForms(trial, plainIndexBytes(trial.newChunks), sizeOf);
  return storedOf(trial, [...plain, ...forms]);
}

function storedOf(trial: Trial, forms: readonly StoredForm[]): Stored {
  const { newChunks, manifestBytes, planBytes, indexBytes, seconds } = trial;
  const newBytes = sum(newChunks, ({ length }) => length);
  return { chunks: newChunks.length, newBytes, manifestBytes, planBytes, indexBytes, forms, seconds };
}

/** Each figure's median by itself: of an even number of updates the higher of the two in the middle. */
function medianOf(updates: readonly Stored[]): Stored {
  const median = (of: (stored: Stored) => number): number => {
    const sorted = updates.map(of).sort((a, b) => a - b);
    return sorted[sorted.length >>> 1] ?? 0;
  };
  const [model] = updates;
  const forms = must(model, "there is an update").forms.map(({ compression, deltas }, index) => ({
    compression,
    deltas,
    payloadBytes: median(({ forms: all }) => all[index]?.payloadBytes ?? 0),
    totalBytes: median(({ forms: all }) => all[index]?.totalBytes ?? 0),
  }));
  return {
    chunks: median((stored) => stored.chunks),
    newBytes: median((stored) => stored.newBytes),
    manifestBytes: median((stored) => stored.manifestBytes),
    planBytes: median((stored) => stored.planBytes),
    indexBytes: median((stored) => stored.indexBytes),
    forms,
    seconds: median((stored) => stored.seconds),
  };
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
