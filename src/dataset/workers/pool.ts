/** Threads for what would block the event loop: hashing, chunking, compression, many small files. */
import { Worker, type Transferable } from "node:worker_threads";
import { must } from "../../base/assert.ts";
import type { TaskName, TaskInput, TaskOutput } from "./tasks.ts";
import { reviveError, type Reply } from "./message.ts";

interface Job {
  readonly task: TaskName;
  readonly input: unknown;
  readonly transfer: Transferable[];
  readonly resolve: (output: never) => void;
  readonly reject: (error: unknown) => void;
  readonly signal: AbortSignal | undefined;
}

/** The worker's module, whichever form this one runs in. */
const WORKER_URL = new URL(import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js", import.meta.url);

/** Threads make little garbage but buffers: a small nursery has these freed soon. */
const YOUNG_MEMORY_MB = 4;

/**
 * A fixed number of threads that run tasks in the order they were given. Callers bound what they queue: a job's input
 * counts against their memory, not the pool's. Threads start with the first job and end with close().
 */
export class WorkerPool {
  readonly threads: number;
  readonly #idle: Worker[] = [];
  readonly #running = new Map<Worker, Job>();
  readonly #queue: Job[] = [];
  readonly #all = new Set<Worker>();
  #closed = false;

  constructor(threads: number) {
    this.threads = threads;
  }

  /** Jobs that wait for a thread. */
  get queued(): number {
    return this.#queue.length;
  }

  /**
   * Runs a task on a thread. Buffers in `transfer` move there. A job whose signal aborts before it starts is dropped; one
   * that runs is finished, and its result too is dropped. Errors: what the task throws, AetherErrors with their code.
   */
  run<T extends TaskName>(
    task: T,
    input: TaskInput<T>,
    options: { readonly transfer?: Transferable[]; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<TaskOutput<T>> {
    if (this.#closed) return Promise.reject(new Error("the worker pool is closed"));
    return new Promise<TaskOutput<T>>((resolve, reject) => {
      const { transfer = [], signal } = options;
      this.#queue.push({ task, input, transfer, signal, resolve, reject });
      this.#dispatch();
    });
  }

  /** Ends the threads; jobs that are still under way are rejected. */
  async close(): Promise<void> {
    this.#closed = true;
    const ended = new Error("the worker pool is closed");
    for (const job of this.#queue.splice(0)) job.reject(ended);
    await Promise.all([...this.#all].map((worker) => worker.terminate()));
  }

  #dispatch(): void {
    while (this.#queue.length > 0) {
      const worker = this.#idle.pop() ?? (this.#all.size < this.threads ? this.#start() : undefined);
      if (worker === undefined) return;
      const job = must(this.#queue.shift(), "the queue has a job");
      if (job.signal?.aborted === true) {
        job.reject(job.signal.reason);
        this.#idle.push(worker);
        continue;
      }
      this.#running.set(worker, job);
      // Only threads at work keep the process from ending.
      worker.ref();
      worker.postMessage({ task: job.task, input: job.input }, job.transfer);
    }
  }

  #start(): Worker {
    const worker = new Worker(WORKER_URL, { resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MEMORY_MB } });
    worker.unref();
    this.#all.add(worker);
    worker.on("message", (reply: Reply) => {
      this.#finish(worker, reply);
    });
    worker.on("error", (error) => {
      this.#lose(worker, error);
    });
    worker.on("exit", (code) => {
      this.#lose(worker, new Error(`a worker thread ended with code ${code}`));
    });
    return worker;
  }

  #finish(worker: Worker, reply: Reply): void {
    const job = must(this.#running.get(worker), "a reply belongs to a job");
    this.#running.delete(worker);
    this.#idle.push(worker);
    worker.unref();
    if (job.signal?.aborted === true) job.reject(job.signal.reason);
    else if (reply.error !== undefined) job.reject(reviveError(reply.error));
    else job.resolve(reply.output as never);
    this.#dispatch();
  }

  #lose(worker: Worker, error: unknown): void {
    this.#all.delete(worker);
    const job = this.#running.get(worker);
    this.#running.delete(worker);
    const index = this.#idle.indexOf(worker);
    if (index !== -1) this.#idle.splice(index, 1);
    job?.reject(error);
    if (!this.#closed) this.#dispatch();
  }
}
