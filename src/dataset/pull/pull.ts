import path from "node:path";
import { AetherError } from "../../base/errors.ts";
import { formatDigest } from "../../format/digest.ts";
import type { Progress, PullOptions, PullResult } from "../contract.ts";
import type { ReadEngine } from "../engine.ts";
import { createPathFilter, type PathFilter } from "../path-filter.ts";
import { PATH_STATES } from "../workers/inspect-task.ts";
import { mapAhead } from "../version/read-ahead.ts";
import { openVersion, type Version } from "../version/version.ts";
import { build } from "./build.ts";
import { LocalChunks } from "./local-chunks.ts";
import { PullMemory } from "./pull-memory.ts";
import { select } from "./selection.ts";
import { finishFolder, placeDeferred } from "./settle.ts";
import { openStaging, type Staging } from "./staging.ts";
import { removeStrangers } from "./strangers.ts";
import { survey, type Survey } from "./survey.ts";
import { UnitWriter } from "./unit-writer.ts";

/** Paths that an error about a differing folder names. */
const PATHS_NAMED_MAX = 5;
const PROGRESS_INTERVAL_MS = 50;
const BATCHES_AHEAD = 4;

/**
 * Makes a folder's tree the version's: fetches what the folder lacks, verifies every chunk, and never leaves a
 * half-written file under its final name. Files that are not of the version stay unless `delete` is set. What an
 * interrupted pull fetched is used by the next one. Times come out as exactly as Node can set them (file-times.ts).
 * Errors: VERSION_NOT_FOUND, MANIFEST_UNSAFE, ARGUMENT_INVALID, TARGET_UNWRITABLE, SPACE_EXHAUSTED, FOLDER_DIFFERS,
 * OBJECT_MISSING, OBJECT_CORRUPT, OBJECT_INVALID, FORMAT_UNSUPPORTED, STORE_UNAVAILABLE.
 */
export async function pull(engine: ReadEngine, options: PullOptions): Promise<PullResult> {
  const startMs = engine.clock.elapsedMs();
  const { signal } = options;
  const filter = createPathFilter(options);
  const memory = new PullMemory(engine, path.resolve(options.target), signal);
  let staging: Staging | undefined;
  let isDone = false;
  try {
    const { known, keeper } = memory;
    const version = await openVersion(engine, options.version, { signal, known, keeper });
    staging = openStaging(options.target);
    memory.begin();
    const run = new PullRun({ engine, options, version, filter, memory, staging });
    const counted = await run.run();
    await memory.commit(version);
    isDone = true;
    const { manifestBytes, fetchedBytes } = version.traffic;
    const seconds = (engine.clock.elapsedMs() - startMs) / 1000;
    return { digest: options.version, ...counted, fetchedBytes, manifestBytes, seconds };
  } finally {
    memory.close();
    if (isDone) staging?.finish();
    else staging?.leave();
  }
}

interface PullRunInput {
  readonly engine: ReadEngine;
  readonly options: PullOptions;
  readonly version: Version;
  readonly filter: PathFilter;
  readonly memory: PullMemory;
  readonly staging: Staging;
}

/** One pull's steps, and what they have done so far. */
class PullRun {
  readonly #input: PullRunInput;
  #files = 0;
  #bytes = 0;
  #reusedBytes = 0;
  #totalBytes: number | undefined;
  #reportedMs = -Infinity;

  constructor(input: PullRunInput) {
    this.#input = input;
  }

  async run(): Promise<Pick<PullResult, "files" | "bytes" | "reusedBytes">> {
    const { engine, options, version, filter, memory, staging } = this.#input;
    const { signal } = options;
    const old = await memory.openOld();
    const found = await this.#survey(old);
    this.#files = found.readyFiles;
    this.#bytes = found.readyBytes;
    this.#reusedBytes = found.readyBytes;
    this.#totalBytes = found.bytes;
    const { target, ignoresCase } = staging;
    const removesFolders = this.#removesFolders;
    const input = { engine, version, filter, target, ignoresCase, removesFolders, signal };
    const locals = new LocalChunks();
    if (found.hasBuilds && !staging.isFresh) await this.#findLocals(locals, old, found);
    const onWritten = (files: number, bytes: number, reusedBytes: number): void => {
      this.#files += files;
      this.#bytes += bytes;
      this.#reusedBytes += reusedBytes;
      this.#report("fetch");
    };
    const writer = new UnitWriter({ ...input, locals, onWritten });
    await build({ ...input, actions: found.actions, writer });
    if (found.hasDeferred) await placeDeferred(input, found.actions);
    if (options.delete === true) await removeStrangers(input);
    await finishFolder(input, memory);
    if (options.verify === true) await this.#verify(found);
    return { files: found.files, bytes: found.bytes, reusedBytes: this.#reusedBytes };
  }

  /** With globs to exclude, what they leave out may lie in such a folder. */
  get #removesFolders(): boolean {
    const { exclude = [], delete: removes } = this.#input.options;
    return removes === true && exclude.length === 0;
  }

  #survey(old: Version | undefined): Promise<Survey> {
    const { engine, options, version, filter, memory, staging } = this.#input;
    return survey({
      engine,
      version,
      filter,
      staging,
      memory,
      old,
      removesFolders: this.#removesFolders,
      signal: options.signal,
      onEntries: (files, bytes) => {
        this.#files = files;
        this.#bytes = bytes;
        this.#report("walk");
      },
    });
  }

  async #findLocals(locals: LocalChunks, old: Version | undefined, found: Survey): Promise<void> {
    const { engine, options, version, staging } = this.#input;
    const { chunking } = version.root;
    for (const { path: relative, bytes } of found.unknown) {
      if (bytes < chunking.averageBytes) continue;
      await locals.addFile(engine.pool, staging.target, relative, chunking, options.signal);
    }
    if (old !== undefined) await locals.addVersion(old, found.changed);
  }

  /** Reads every file again. Errors: FOLDER_DIFFERS. */
  async #verify(found: Survey): Promise<void> {
    const { engine, options, version, filter, staging } = this.#input;
    const { signal } = options;
    this.#files = 0;
    this.#bytes = 0;
    this.#totalBytes = found.bytes;
    const wrong: string[] = [];
    const inspections = mapAhead(select(version, filter), BATCHES_AHEAD, async (batch) => {
      const items = batch.map(({ entry }) => ({
        entry,
        record: undefined,
        recordDigest: undefined,
        staged: undefined,
      }));
      const states = await engine.pool.run("inspectPaths", { target: staging.target, items }, { signal });
      return { batch, states };
    });
    for await (const { batch, states } of inspections) {
      for (const [index, { entry }] of batch.entries()) {
        if (states[index]?.state !== PATH_STATES.same) wrong.push(entry.path);
        if (entry.kind !== "file") continue;
        this.#files++;
        this.#bytes += entry.size;
      }
      this.#report("verify");
      if (wrong.length > PATHS_NAMED_MAX) break;
    }
    if (wrong.length === 0) return;
    const named = wrong.slice(0, PATHS_NAMED_MAX).map((name) => JSON.stringify(name));
    const more = wrong.length > PATHS_NAMED_MAX ? " and others" : "";
    throw new AetherError(
      "FOLDER_DIFFERS",
      `${named.join(", ")}${more} in ${options.target} are not as in ${formatDigest(version.digest)}: pull again`,
      { data: { path: wrong[0] ?? "" } },
    );
  }

  #report(phase: Progress["phase"]): void {
    const { engine, options } = this.#input;
    if (options.onProgress === undefined) return;
    const nowMs = engine.clock.elapsedMs();
    if (nowMs - this.#reportedMs < PROGRESS_INTERVAL_MS) return;
    this.#reportedMs = nowMs;
    const { files, bytes, reusedBytes } = {
      files: this.#files,
      bytes: this.#bytes,
      reusedBytes: this.#reusedBytes,
    };
    options.onProgress({ phase, files, bytes, totalBytes: this.#totalBytes, reusedBytes });
  }
}
