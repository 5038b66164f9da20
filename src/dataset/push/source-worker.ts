/** The body of the source's thread: walks, reads, hashes and cuts, as it is asked. */
import fs from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { must } from "../../base/assert.ts";
import { systemClock } from "../../base/clock.ts";
import type { AetherError } from "../../base/errors.ts";
import { createPathFilter } from "../path-filter.ts";
import { StatCacheReader, StatCacheWriter, isRacy, sameStat } from "../stat-cache.ts";
import { plainError, type PlainError } from "../workers/message.ts";
import { ArchivedFiles, walkArchive } from "./archive/archive-source.ts";
import { SegmentScanner } from "./scan.ts";
import { folderFiles } from "./source-files.ts";
import type { SourceReply, SourceRequest, SourceSettings, WalkBatch } from "./source-messages.ts";
import { fileTime, openRoot, sourceError, walk, type WalkedEntry } from "./walk.ts";

const BATCH_ENTRIES = 2048;
const KIND_NUMBERS = { file: 0, directory: 1, symlink: 2 } as const;

class SourceThread {
  readonly #settings: SourceSettings;
  readonly #scanner: SegmentScanner;
  readonly #cache: StatCacheReader | undefined;
  readonly #nextCache: StatCacheWriter | undefined;
  readonly #walk: Generator<WalkedEntry>;
  /** Where a walked path lies; undefined of an archive's. */
  readonly #fullPath: ((path: string) => string) | undefined;
  #skipped: { path: string; reason: string }[] = [];

  constructor(settings: SourceSettings) {
    const { source, exclude, chunking, memory, statCache } = settings;
    this.#settings = settings;
    const filter = createPathFilter({ exclude });
    if (typeof source === "string") {
      const root = openRoot(source);
      const fullPath = (path: string): string =>
        root.fileName === undefined ? `${root.path}/${path}` : root.path;
      this.#fullPath = fullPath;
      this.#scanner = new SegmentScanner(folderFiles(fullPath), chunking, memory);
      this.#walk = walk(root, filter, (path, error) => {
        this.#skip(path, error);
      });
    } else {
      this.#scanner = new SegmentScanner(new ArchivedFiles(source), chunking, memory);
      this.#walk = walkArchive(source, filter);
    }
    const { read, write, id } = statCache;
    this.#cache = read && new StatCacheReader(read.file, read.version);
    this.#nextCache = write === undefined ? undefined : new StatCacheWriter(write, id);
  }

  answer(request: SourceRequest): SourceReply {
    switch (request.kind) {
      case "walk":
        return { batch: this.#walkBatch() };
      case "fill":
        this.#scanner.enqueue(request.segments);
        return { pieces: this.#scanner.fill(request.start, request.end) };
      case "commit":
        this.#nextCache?.commit(request.version);
        return {};
      case "close":
        this.close();
        return {};
    }
  }

  close(): void {
    this.#scanner.close();
    this.#cache?.close();
    this.#nextCache?.close();
  }

  #skip(path: string, error: AetherError): void {
    if (!this.#settings.skipUnreadable) throw error;
    this.#skipped.push({ path, reason: error.message });
  }

  #walkBatch(): WalkBatch {
    const entries: WalkedEntry[] = [];
    const unchanged = new Uint8Array(BATCH_ENTRIES);
    const seenNs = BigInt(systemClock.nowMs()) * 1_000_000n;
    let done = false;
    while (entries.length < BATCH_ENTRIES) {
      const next = this.#walk.next();
      if (next.done === true) {
        done = true;
        break;
      }
      const entry = next.value;
      if (entry.kind === "file" && !this.#mayRead(entry.path)) continue;
      const known = this.#cache?.find(entry.path);
      if (known !== undefined && sameStat(known, entry)) unchanged[entries.length] = 1;
      if (!isRacy(entry.ctimeNs, seenNs)) this.#nextCache?.add(entry);
      entries.push(entry);
    }
    const skipped = this.#skipped;
    this.#skipped = [];
    return {
      paths: entries.map((entry) => entry.path).join("\0"),
      count: entries.length,
      kinds: Uint8Array.from(entries, (entry) => KIND_NUMBERS[entry.kind]),
      unchanged,
      sizes: Float64Array.from(entries, (entry) => entry.size),
      modes: Uint16Array.from(entries, (entry) => entry.mode),
      seconds: Float64Array.from(entries, (entry) => fileTime(entry.mtimeNs).seconds),
      nanos: Uint32Array.from(entries, (entry) => fileTime(entry.mtimeNs).nanos),
      targets: entries.filter((entry) => entry.kind === "symlink").map((entry) => entry.target),
      skipped,
      done,
    };
  }

  /** What cannot be read must be left out before segments are laid; without skipUnreadable reading will tell. */
  #mayRead(path: string): boolean {
    if (!this.#settings.skipUnreadable || this.#fullPath === undefined) return true;
    try {
      fs.accessSync(this.#fullPath(path), fs.constants.R_OK);
      return true;
    } catch (cause) {
      this.#skip(path, sourceError(cause, path, ""));
      return false;
    }
  }
}

const port = must(parentPort, "this module runs as a worker thread");
let thread: SourceThread | undefined;
/** What a request failed with: all that follow fail alike. */
let failure: PlainError | undefined;

function answer(request: SourceRequest): SourceReply {
  if (failure !== undefined) return { error: failure };
  try {
    thread ??= new SourceThread(workerData as SourceSettings);
    return thread.answer(request);
  } catch (error) {
    thread?.close();
    failure = plainError(error);
    return { error: failure };
  }
}

port.on("message", (request: SourceRequest) => {
  port.postMessage(answer(request));
});
