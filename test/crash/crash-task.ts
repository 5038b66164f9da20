/** What is interrupted: one push, pull or copy, in a child, and in this process when it must come to its end. */
import type { WorkerPool } from "../../src/dataset/workers/pool.ts";
import type { Engine } from "../../src/dataset/engine.ts";
import { pull } from "../../src/dataset/pull/pull.ts";
import { copyVersion } from "../../src/dataset/copy/copy-version.ts";
import { withCheckedIngest } from "../../src/dataset/ingest/checked-ingest.ts";
import { withLocalIngest } from "../../src/dataset/ingest/local-ingest.ts";
import { push } from "../../src/dataset/push/push.ts";
import { openEngine, type LocalOptions } from "../../src/daemon/local.ts";
import { MiB } from "../../src/base/limits.ts";
import type { Digest } from "../../src/format/digest.ts";
import { parseDatasetName, parseTag } from "../../src/format/reference.ts";

/** The dataset and the tag of all crash tests. */
export const NAME = parseDatasetName("crash");
export const TAG = parseTag("latest");

/** Small, so that a version has many. */
const CHUNKING = { kind: "cdc", averageBytes: 4096 } as const;

interface PushTask {
  readonly kind: "push";
  readonly source: string;
}
interface PullTask {
  readonly kind: "pull";
  readonly target: string;
  readonly version: Digest;
}

interface CopyTask {
  readonly kind: "copy";
  /** The folder of the store that the version comes from. */
  readonly from: string;
  readonly version: Digest;
}

/** A task, and the engine that it takes. */
export type CrashTask = (PushTask | PullTask | CopyTask) & { readonly engine: LocalOptions };

/** The engine's settings on a store in a folder. */
export function engineOptions(store: string, cacheDir: string): LocalOptions {
  return { store, cacheDir, create: true, memoryBytes: 128 * MiB, threads: 2 };
}

/** Runs a task to its end; the version that it was about. */
export async function runTask(engine: Engine, task: CrashTask): Promise<Digest> {
  if (task.kind === "push") {
    const options = { chunking: CHUNKING, blockBytes: MiB, publisher: "crash" };
    const tags = [{ name: NAME, tag: TAG }];
    return (await push(withLocalIngest(engine), { source: task.source, tags, ...options })).digest;
  }
  if (task.kind === "copy") return await runCopy(engine, task);
  const { target, version } = task;
  return (await pull(engine, { name: NAME, version, target, delete: true, verify: true })).digest;
}

async function runCopy(engine: Engine, { from, version }: CopyTask): Promise<Digest> {
  const source = await openEngine({ ...engineOptions(from, from), cacheDir: undefined });
  try {
    const tags = [{ name: NAME, tag: TAG }];
    const wanted = { version, place: tags, tags, publisher: "crash", message: "", labels: {} };
    const { published } = await copyVersion(source.engine, withCheckedIngest(engine), wanted, {});
    return published.version;
  } finally {
    await source.close();
  }
}

/** Runs a task in this process, on a store opened for it and the pool's threads. */
export async function complete(task: CrashTask, pool: WorkerPool): Promise<Digest> {
  return withEngine(task.engine, pool, (engine) => runTask(engine, task));
}

/** Opens the store for one use; the threads stay for the next. */
export async function withEngine<T>(
  options: LocalOptions,
  pool: WorkerPool,
  use: (engine: Engine) => Promise<T>,
): Promise<T> {
  const { engine, close } = await openEngine(options);
  try {
    return await use({ ...engine, pool });
  } finally {
    await close();
  }
}
