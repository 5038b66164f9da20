/** The tasks that pool threads run. A task is a synchronous function of a cloneable input. */
import type { Transferable } from "node:worker_threads";
import { encodeFrames } from "./encode-task.ts";
import { decodeUnit } from "./decode-task.ts";

/** A task's output, and the buffers in it that move to the caller. */
export interface TaskResult<T> {
  readonly output: T;
  readonly transfer: Transferable[];
}

export const TASKS = { encodeFrames, decodeUnit } as const;

export type TaskName = keyof typeof TASKS;
export type TaskInput<T extends TaskName> = Parameters<(typeof TASKS)[T]>[0];
export type TaskOutput<T extends TaskName> = ReturnType<(typeof TASKS)[T]>["output"];
