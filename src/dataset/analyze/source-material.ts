/** A folder, file or archive that is measured: as it lies, or a sample of it. */
import { constants } from "node:fs";
import fs from "node:fs/promises";
import { MiB } from "../../base/limits.ts";
import { createChunkerMemory } from "../../format/chunker.ts";
import { DEFAULT_CHUNKING } from "../../format/chunking.ts";
import type { ReadEngine } from "../engine.ts";
import { openArchive, type Archive } from "../push/archive/archive.ts";
import { readCatalog } from "../push/archive/catalog.ts";
import type { Spool } from "../push/archive/spool.ts";
import { createPathFilter } from "../path-filter.ts";
import { Source, type SourceBatch, type SourceEntry } from "../push/source.ts";
import { changed, openRoot, sourceError } from "../push/walk.ts";
import type { AnalyzeLimits, AnalyzeSource } from "./contract.ts";
import { MaterialWriter, type Material } from "./material.ts";
import type { SamplePlan } from "./sample-plan.ts";
import { nanosOf } from "./version-material.ts";

/** Bytes read at once. */
const READ_BYTES = MiB;

/** A source that was opened and looked through. */
export interface OpenedSource {
  readonly source: AnalyzeSource;
  readonly archive: Archive | undefined;
  readonly files: number;
  readonly bytes: number;
  readonly skipped: SourceBatch["skipped"];
  /** Gives temporary space back. */
  readonly close: () => Promise<void>;
}

/** Opens a source: an archive is listed, and unpacked where it must be. Errors: those of openArchive and of a walk. */
export async function openSource(
  engine: ReadEngine,
  source: AnalyzeSource,
  options: AnalyzeLimits,
): Promise<OpenedSource> {
  const { signal, onProgress, spoolBytes } = options;
  const archive = await openArchive(engine, {
    ...source,
    tags: [],
    publisher: "",
    ...(signal === undefined ? {} : { signal }),
    ...(onProgress === undefined ? {} : { onProgress }),
    ...(spoolBytes === undefined ? {} : { spoolBytes }),
  });
  let [files, bytes] = [0, 0];
  const skipped: SourceBatch["skipped"][number][] = [...(archive?.skipped ?? [])];
  const close = async (): Promise<void> => {
    source.input?.destroy();
    await archive?.close();
  };
  try {
    for await (const batch of walkSource(source, archive, signal)) {
      for (const entry of batch.entries) {
        if (entry.kind === "file") files++;
        bytes += entry.size;
      }
      skipped.push(...batch.skipped);
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { source, archive, files, bytes, skipped, close };
}

/** Walks in a thread of its own. */
async function* walkSource(
  { source, exclude = [], skipUnreadable = false }: AnalyzeSource,
  archive: Archive | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<SourceBatch> {
  const walker = new Source({
    source: archive?.files ?? source,
    exclude,
    skipUnreadable,
    chunking: DEFAULT_CHUNKING,
    memory: createChunkerMemory(0),
    statCache: { read: undefined, write: undefined, id: "" },
  });
  try {
    for (let done = false; !done;) {
      signal?.throwIfAborted();
      const batch = await walker.walk();
      ({ done } = batch);
      yield batch;
    }
  } finally {
    await walker.close();
  }
}

/** The source as it is read: itself, or where it is too large a sample of it. Errors: SOURCE_CHANGED, those of the spool. */
export async function sourceMaterial(
  opened: OpenedSource,
  plan: SamplePlan,
  spool: Spool,
  signal: AbortSignal | undefined,
): Promise<Material> {
  const { source, archive, bytes } = opened;
  if (plan.share === 1) return { source, archive, bytes };
  if (archive !== undefined) return await sampleArchive(archive, source, plan, spool);
  const writer = await MaterialWriter.open(spool);
  const root = openRoot(source.source);
  for await (const batch of walkSource(source, undefined, signal)) {
    for (const entry of batch.entries) {
      signal?.throwIfAborted();
      const full = root.fileName === undefined ? `${root.path}/${entry.path}` : root.path;
      await sampleEntry(entry, full, plan, writer);
    }
  }
  return await writer.finish(undefined);
}

async function sampleEntry(
  entry: SourceEntry,
  full: string,
  plan: SamplePlan,
  writer: MaterialWriter,
): Promise<void> {
  const { kind, mode, target, size } = entry;
  const head = { path: entry.path, kind, mode, target, mtimeNs: nanosOf(entry.mtime) };
  if (kind !== "file" || size === 0) {
    await writer.add(head, 0);
    return;
  }
  for (const { path, offset, bytes } of plan.parts(entry.path, size)) {
    await writer.add({ ...head, path }, bytes);
    await copyPart(full, entry.path, { offset, bytes }, writer);
  }
}

async function copyPart(
  full: string,
  path: string,
  { offset, bytes }: { readonly offset: number; readonly bytes: number },
  writer: MaterialWriter,
): Promise<void> {
  const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, bytes));
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const file = await fs.open(full, O_RDONLY | O_NOFOLLOW | O_NONBLOCK).catch((error: unknown) => {
    throw sourceError(error, path, "");
  });
  try {
    for (let at = 0; at < bytes;) {
      const wanted = Math.min(buffer.byteLength, bytes - at);
      const { bytesRead } = await file.read(buffer, 0, wanted, offset + at);
      if (bytesRead === 0) throw changed(path);
      await writer.append(buffer.subarray(0, bytesRead));
      at += bytesRead;
    }
  } finally {
    await file.close();
  }
}

/** The bytes of an archive lie in a file already: a sample is a shorter list of them. */
async function sampleArchive(
  { files }: Archive,
  { exclude = [] }: AnalyzeSource,
  plan: SamplePlan,
  spool: Spool,
): Promise<Material> {
  const filter = createPathFilter({ exclude });
  const writer = await MaterialWriter.open(spool);
  for (const entry of readCatalog(files.catalog)) {
    if (filter.isExcluded(entry.path, entry.kind === "directory")) continue;
    if (entry.size === 0) await writer.addElsewhere(entry);
    else {
      for (const { path, offset, bytes } of plan.parts(entry.path, entry.size)) {
        await writer.addElsewhere({ ...entry, path, size: bytes, offset: entry.offset + offset });
      }
    }
  }
  return await writer.finish(files);
}
