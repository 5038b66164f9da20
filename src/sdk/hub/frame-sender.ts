/** A session's frames on their way to the hub: one body is under way while the next one fills. */
import { must } from "../../base/assert.ts";
import { AetherError } from "../../base/errors.ts";
import { MiB } from "../../base/limits.ts";
import type { IngestFrame } from "../../dataset/ingest/ingest.ts";
import type { CallOptions } from "../../store/block-store.ts";
import { FrameBody } from "./frame-body.ts";
import type { HubConnection } from "./hub-connection.ts";

/** A body is sent at this size, though the hub may take larger ones. */
const BODY_BYTES = 4 * MiB;
const PATH = "/bulk/v1/frames";

/** Collects frames into bodies and sends them, numbered from 0. Calls come one after another. */
export class FrameSender {
  readonly #hub: HubConnection;
  readonly #session: string;
  readonly #bodyBytesMax: number;
  readonly #free: FrameBody[] = [];
  #sending: Promise<void> = Promise.resolve();
  #filling: FrameBody | undefined;
  #sequence = 0;
  #sentBytes = 0;
  readonly #cancelled = new AbortController();
  #failure: { readonly error: unknown } | undefined;

  constructor(hub: HubConnection, session: string, bodyBytesMax: number) {
    this.#hub = hub;
    this.#session = session;
    this.#bodyBytesMax = bodyBytesMax;
  }

  /** Bytes of all bodies that the hub took. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** Takes copies of the frames; waits while too many bodies are under way. Errors: those of the hub, LIMIT_EXCEEDED. */
  async add(frames: readonly IngestFrame[], options: CallOptions): Promise<void> {
    for (const frame of frames) {
      this.#filling ??= this.#begin();
      if (this.#filling.add(frame)) continue;
      if (!this.#filling.isEmpty) await this.#send(options);
      this.#filling ??= this.#begin();
      if (!this.#filling.add(frame)) await this.#sendAlone(frame, options);
    }
    this.#throwFailure();
  }

  /** Sends what is collected, and waits until the hub has taken all. */
  async flush(options: CallOptions): Promise<void> {
    if (this.#filling?.isEmpty === false) await this.#send(options);
    await this.#sending;
    this.#throwFailure();
  }

  /** Gives up what is under way. */
  async cancel(): Promise<void> {
    this.#cancelled.abort(new AetherError("CANCELLED", "the push is given up"));
    await this.#sending;
  }

  #begin(bytes = Math.min(BODY_BYTES, this.#bodyBytesMax)): FrameBody {
    const body = this.#free.pop() ?? new FrameBody(bytes);
    body.begin(this.#session, this.#sequence);
    return body;
  }

  /** A frame that is larger than bodies usually are. */
  async #sendAlone(frame: IngestFrame, options: CallOptions): Promise<void> {
    const usual = must(this.#filling, "a body was begun");
    this.#filling = new FrameBody(this.#bodyBytesMax);
    this.#filling.begin(this.#session, this.#sequence);
    if (!this.#filling.add(frame)) {
      throw new AetherError(
        "LIMIT_EXCEEDED",
        `the hub ${this.#hub.hub} takes bodies of ${this.#bodyBytesMax} bytes at most, and a frame has ${frame.stored.byteLength}: push with smaller chunks`,
      );
    }
    this.#free.push(usual);
    await this.#send(options, false);
  }

  async #send(options: CallOptions, isReused = true): Promise<void> {
    // The hub takes a session's bodies in the order of their numbers.
    await this.#sending;
    this.#throwFailure();
    const body = must(this.#filling, "there is something to send");
    this.#filling = undefined;
    this.#sequence++;
    this.#sending = this.#post(body.bytes(), options)
      .then(() => {
        if (isReused) this.#free.push(body);
      })
      .catch((error: unknown) => {
        this.#failure ??= { error };
      });
  }

  async #post(body: Uint8Array, options: CallOptions): Promise<void> {
    const { signal: cancelled } = this.#cancelled;
    const signal = options.signal === undefined ? cancelled : AbortSignal.any([options.signal, cancelled]);
    const headers = { "content-type": "application/protobuf" };
    await this.#hub.bulk({ method: "POST", path: PATH, headers, body }, signal, async (response) => {
      await response.body.dump();
    });
    this.#sentBytes += body.byteLength;
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error as Error;
  }
}
