/** The engine's side of the source's thread. */
import { Worker } from "node:worker_threads";
import { must } from "../../base/assert.ts";
import type { Digest } from "../../format/digest.ts";
import type { TimelessEntry } from "../../format/page.ts";
import type { FileTime } from "../../format/entry.ts";
import { reviveError } from "../workers/message.ts";
import type { ScannedPiece, SegmentRequest } from "./scan.ts";
import type { SourceReply, SourceRequest, SourceSettings, WalkBatch } from "./source-messages.ts";

const WORKER_URL = new URL(
  import.meta.url.endsWith(".ts") ? "./source-worker.ts" : "./source-worker.js",
  import.meta.url,
);

/** An entry of the source whose content is not known yet. */
export interface SourceEntry {
  readonly path: string;
  readonly kind: TimelessEntry["kind"];
  readonly size: number;
  readonly mode: number;
  readonly mtime: FileTime;
  readonly target: string;
  /** Whether a file is as the stat cache has it. */
  readonly unchanged: boolean;
}

/** A batch of the walk. */
export interface SourceBatch {
  readonly entries: readonly SourceEntry[];
  readonly skipped: WalkBatch["skipped"];
  readonly done: boolean;
}

/** Asks the thread, one request after another: it answers in order. */
export class Source {
  readonly #worker: Worker;
  readonly #waiting: { resolve: (reply: SourceReply) => void; reject: (error: unknown) => void }[] = [];
  #failure: Error | undefined;

  /** Starts the thread. The first answer fails with SOURCE_NOT_FOUND when there is no such source. */
  constructor(settings: SourceSettings) {
    this.#worker = new Worker(WORKER_URL, {
      workerData: settings,
      resourceLimits: { maxYoungGenerationSizeMb: 4 },
    });
    this.#worker.unref();
    this.#worker.on("message", (reply: SourceReply) => {
      const waiting = must(this.#waiting.shift(), "a reply answers a request");
      if (this.#waiting.length === 0) this.#worker.unref();
      if (reply.error === undefined) waiting.resolve(reply);
      else waiting.reject(reviveError(reply.error));
    });
    this.#worker.on("error", (error) => {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    });
    this.#worker.on("exit", () => {
      this.#fail(new Error("the source's thread has ended"));
    });
  }

  /** The next entries of the walk. */
  async walk(): Promise<SourceBatch> {
    const { batch } = await this.#ask({ kind: "walk" });
    const { entries, skipped, done } = unpack(must(batch, "a walk is answered by a batch"));
    return { entries, skipped, done };
  }

  /** Reads segments, the ones given last, into [start,end) of the memory. */
  async fill(
    segments: readonly SegmentRequest[],
    start: number,
    end: number,
  ): Promise<readonly ScannedPiece[]> {
    const { pieces } = await this.#ask({ kind: "fill", segments, start, end });
    return must(pieces, "a fill is answered by pieces");
  }

  /** Keeps what the walk saw as the stat cache about `version`. */
  async commit(version: Digest): Promise<void> {
    await this.#ask({ kind: "commit", version });
  }

  /** Ends the thread, once it has removed what it wrote for a commit that did not come. */
  async close(): Promise<void> {
    await this.#ask({ kind: "close" }).catch(() => undefined);
    await this.#worker.terminate();
  }

  #ask(request: SourceRequest): Promise<SourceReply> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#worker.ref();
      this.#worker.postMessage(request);
    });
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const waiting of this.#waiting.splice(0)) waiting.reject(error);
  }
}

const KINDS = ["file", "directory", "symlink"] as const;

function unpack(batch: WalkBatch): SourceBatch {
  const paths = batch.count === 0 ? [] : batch.paths.split("\0");
  let links = 0;
  const entries = paths.map((path, index) => {
    const kind = must(KINDS[batch.kinds[index] ?? 3], "a kind is one of three");
    return {
      path,
      kind,
      size: batch.sizes[index] ?? 0,
      mode: batch.modes[index] ?? 0,
      mtime: { seconds: batch.seconds[index] ?? 0, nanos: batch.nanos[index] ?? 0 },
      target: kind === "symlink" ? (batch.targets[links++] ?? "") : "",
      unchanged: batch.unchanged[index] === 1,
    };
  });
  return { entries, skipped: batch.skipped, done: batch.done };
}
