/** Copies a version, or a sample of it, out of its store. */
import type { FileTime } from "../../format/entry.ts";
import type { ReadEngine } from "../engine.ts";
import type { Spool } from "../push/archive/spool.ts";
import { ChunkReader } from "../version/chunk-reader.ts";
import { entries } from "../version/entries.ts";
import type { Version } from "../version/version.ts";
import { MaterialWriter, type Material } from "./material.ts";
import type { SamplePlan } from "./sample-plan.ts";

/** Parts that lie this near to each other are read together: what lies between is dropped. */
const GAP_BYTES = 256 * 1024;
/** Parts of one range at most. */
const PARTS_MAX = 1024;

interface Stretch {
  readonly start: number;
  readonly end: number;
}

const NANOS = 1_000_000_000n;

/** The time in nanoseconds since 1970. */
export function nanosOf({ seconds, nanos }: FileTime): bigint {
  return BigInt(seconds) * NANOS + BigInt(nanos);
}

/** Copies it; every chunk is verified. Errors: those of entries(), of ChunkReader and of the spool. */
export async function copyVersion(
  engine: ReadEngine,
  version: Version,
  plan: SamplePlan,
  spool: Spool,
  onBytes: (bytes: number) => void,
): Promise<Material> {
  const writer = await MaterialWriter.open(spool);
  const reader = new ChunkReader(engine, version);
  let waiting: Stretch[] = [];
  const flush = async (): Promise<void> => {
    const first = waiting[0];
    if (first === undefined) return;
    let at = first.start;
    for await (const bytes of reader.readRange(first.start, waiting.at(-1)?.end ?? first.end)) {
      for (const { start, end } of waiting) {
        const part = bytes.subarray(Math.max(start - at, 0), Math.max(end - at, 0));
        if (part.byteLength > 0) await writer.append(part);
      }
      at += bytes.byteLength;
      onBytes(bytes.byteLength);
    }
    waiting = [];
  };
  const take = async (stretch: Stretch): Promise<void> => {
    const last = waiting.at(-1);
    if (last?.end === stretch.start) {
      waiting[waiting.length - 1] = { start: last.start, end: stretch.end };
      return;
    }
    if (last !== undefined && (stretch.start - last.end > GAP_BYTES || waiting.length === PARTS_MAX)) {
      await flush();
    }
    waiting.push(stretch);
  };
  for await (const batch of entries(version)) {
    for (const { entry, start } of batch) {
      const head = { path: entry.path, kind: entry.kind, mode: entry.mode, mtimeNs: nanosOf(entry.mtime) };
      if (entry.kind !== "file" || entry.size === 0) {
        await writer.add({ ...head, target: entry.kind === "symlink" ? entry.target : "" }, 0);
        continue;
      }
      for (const { path, offset, bytes } of plan.parts(entry.path, entry.size)) {
        await writer.add({ ...head, path, target: "" }, bytes);
        await take({ start: start + offset, end: start + offset + bytes });
      }
    }
  }
  await flush();
  return writer.finish(undefined);
}
