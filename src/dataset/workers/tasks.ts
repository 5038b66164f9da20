/** The tasks that pool threads run. A task is a synchronous function of a cloneable input. */
import type { Transferable } from "node:worker_threads";
import { encodeFrames } from "./encode-task.ts";
import { cutFile, probeChunks } from "./cut-task.ts";
import { decodePlain } from "./decode-plain-task.ts";
import { decodeUnit } from "./decode-task.ts";
import { hashFile } from "./hash-file-task.ts";
import { inspectPaths } from "./inspect-task.ts";
import { finishPaths, listStrangers, placePaths, removePaths } from "./place-task.ts";
import { sketchChunks } from "./sketch-task.ts";
import { verifyPlain, verifyUnit } from "./verify-task.ts";
import { finishFile, writeFiles } from "./write-task.ts";

/** A task's output, and the buffers in it that move to the caller. */
export interface TaskResult<T> {
  readonly output: T;
  readonly transfer: Transferable[];
}

/** Name → task. */
export const TASKS = {
  encodeFrames,
  sketchChunks,
  decodePlain,
  decodeUnit,
  verifyPlain,
  verifyUnit,
  hashFile,
  inspectPaths,
  cutFile,
  probeChunks,
  writeFiles,
  finishFile,
  placePaths,
  removePaths,
  listStrangers,
  finishPaths,
} as const;

/** A task's name. */
export type TaskName = keyof typeof TASKS;
/** What a task takes. */
export type TaskInput<T extends TaskName> = Parameters<(typeof TASKS)[T]>[0];
/** What a task gives. */
export type TaskOutput<T extends TaskName> = ReturnType<(typeof TASKS)[T]>["output"];
