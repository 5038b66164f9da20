/** A push's session on a hub. docs/protocol.md §4 */
import { AetherError } from "../../base/errors.ts";
import type { IngestFrame, IngestSession, Publication, Published } from "../../dataset/ingest/ingest.ts";
import { DIGEST_BYTES, digestBytes, digestFromBytes, digestOf, type Digest } from "../../format/digest.ts";
import type { EncodedPage } from "../../format/page.ts";
import type { CallOptions } from "../../store/block-store.ts";
import { FrameSender } from "./frame-sender.ts";
import type { HubConnection } from "./hub-connection.ts";
import { PageSender } from "./page-sender.ts";

/** Digests that one call asks for. */
const ASKED_MAX = 8192;
/** Giving up is told to the hub, but not waited for longer than this: it notices by itself. */
const ABORT_MS_MAX = 2000;

/** What the hub said of a session. */
export interface BegunHubSession {
  readonly id: string;
  readonly ttlSeconds: number;
  readonly bodyBytesMax: number;
}

/** One session. Errors of all: HUB_UNAVAILABLE, SESSION_LOST (begin another), those of the hub's store. */
export class HubSession implements IngestSession {
  readonly #hub: HubConnection;
  readonly #id: string;
  readonly #frames: FrameSender;
  readonly #pages: PageSender;
  readonly #ended = new AbortController();

  /** Says to the hub now and then that the producer is still there, until the session ends. */
  constructor(hub: HubConnection, begun: BegunHubSession) {
    const { id, ttlSeconds, bodyBytesMax } = begun;
    this.#hub = hub;
    this.#id = id;
    this.#frames = new FrameSender(hub, id, bodyBytesMax);
    this.#pages = new PageSender(hub, id, bodyBytesMax);
    void this.#renew(Math.max(1, ttlSeconds / 3) * 1000);
  }

  async missing(digests: readonly Digest[], options: CallOptions = {}): Promise<readonly boolean[]> {
    const answers: boolean[] = [];
    for (let start = 0; start < digests.length; start += ASKED_MAX) {
      answers.push(
        ...(await askMissing(this.#hub, this.#id, digests.slice(start, start + ASKED_MAX), options)),
      );
    }
    return answers;
  }

  canBase(bases: readonly Digest[], decodedBytes: number, options: CallOptions = {}): Promise<boolean> {
    return askCanBase(this.#hub, this.#id, bases, decodedBytes, options);
  }

  async put(frames: readonly IngestFrame[], options: CallOptions = {}): Promise<void> {
    await this.#frames.add(frames, options);
  }

  async putPage(page: EncodedPage, options: CallOptions = {}): Promise<void> {
    await this.#pages.add(page, options);
  }

  async publish(publication: Publication, options: CallOptions = {}): Promise<Published> {
    await this.#frames.flush(options);
    await this.#pages.flush(options);
    const { root, inlinePages, base, tags, publisher, message, labels } = publication;
    const request = {
      session: this.#id,
      root: new Uint8Array(root),
      inlinePages: inlinePages.map((page) => new Uint8Array(page)),
      base: base === undefined ? new Uint8Array() : new Uint8Array(digestBytes(base.version)),
      tags: tags.map(({ name, tag }) => ({ name, tag })),
      publisher,
      message,
      labels: { ...labels },
    };
    const answer = await this.#hub.call(options.signal, () =>
      this.#hub.ingest.publish(request, callOf(options)),
    );
    this.#ended.abort();
    const version = digestOf(root);
    if (answer.version.byteLength !== DIGEST_BYTES || digestFromBytes(answer.version) !== version) {
      throw new AetherError(
        "INTERNAL",
        `the hub ${this.#hub.hub} published another version than it was asked to`,
      );
    }
    const rootBytes = inlinePages.reduce((sum, page) => sum + page.byteLength, root.byteLength);
    const sentBytes = this.#frames.sentBytes + this.#pages.sentBytes + rootBytes;
    const storedBytes = Number(answer.storedBytes);
    const totals = { sentBytes, storedBytes, manifestBytes: Number(answer.manifestBytes) };
    return { version, moved: answer.moved, totals };
  }

  async abort(): Promise<void> {
    this.#ended.abort();
    await this.#frames.cancel();
    await abortSession(this.#hub, this.#id);
  }

  async #renew(intervalMs: number): Promise<void> {
    const { signal } = this.#ended;
    for (;;) {
      await this.#hub.clock.sleep(intervalMs, signal).catch(() => undefined);
      if (signal.aborted) return;
      // What is wrong with the hub is told by the next call that somebody waits for.
      await this.#hub.ingest.renew({ session: this.#id }, { signal }).catch(() => undefined);
    }
  }
}

/**
 * Which digests the hub lacks. When an answer was lost, the hub already counts on getting what it asked for then, and
 * would not ask again: everything is sent that time.
 */
export async function askMissing(
  hub: HubConnection,
  session: string,
  digests: readonly Digest[],
  options: CallOptions,
): Promise<readonly boolean[]> {
  const request = { session, digests: joined(digests) };
  let attempts = 0;
  const { missing } = await hub.call(options.signal, (attempt) => {
    attempts = attempt;
    return hub.ingest.missing(request, callOf(options));
  });
  if (missing.length !== digests.length) {
    throw new AetherError(
      "INTERNAL",
      `the hub ${hub.hub} answered for ${missing.length} chunks of ${digests.length}`,
    );
  }
  return attempts === 0 ? missing : digests.map(() => true);
}

/** Whether a delta may build on these chunks, to the hub. */
export async function askCanBase(
  hub: HubConnection,
  session: string,
  bases: readonly Digest[],
  decodedBytes: number,
  options: CallOptions,
): Promise<boolean> {
  const request = { session, bases: joined(bases), decodedBytes: BigInt(decodedBytes) };
  return (await hub.call(options.signal, () => hub.ingest.canBase(request, callOf(options)))).canBase;
}

/** Tells the hub that the session is given up; no answer is no harm. */
export async function abortSession(hub: HubConnection, session: string): Promise<void> {
  await hub.ingest.abort({ session }, { timeoutMs: ABORT_MS_MAX }).catch(() => undefined);
}

function joined(digests: readonly Digest[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.concat(digests.map(digestBytes)));
}

function callOf({ signal }: CallOptions): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}
