/** A push's session on a hub. docs/protocol.md §4 */
import { AetherError } from "../../base/errors.ts";
import type {
  DeltaBases,
  IngestFrame,
  IngestSession,
  PageForm,
  Publication,
  Published,
  TagGoal,
} from "../../dataset/ingest/ingest.ts";
import { DIGEST_BYTES, digestBytes, digestFromBytes, digestOf, type Digest } from "../../format/digest.ts";
import { encodeManifest } from "../../format/manifest.ts";
import type { EncodedPage } from "../../format/page.ts";
import type { CallOptions } from "../../store/block-store.ts";
import { answersFor, Batch } from "./batch.ts";
import { FrameSender } from "./frame-sender.ts";
import type { HubConnection } from "./hub-connection.ts";
import { PageSender } from "./page-sender.ts";
import type { SentChunks } from "./sent-chunks.ts";

/** Digests that one call asks for. */
const ASKED_MAX = 8192;
/** Giving up is told to the hub, but not waited for longer than this: it notices by itself. */
const ABORT_MS_MAX = 2000;

/** A delta that a push may make. */
interface PossibleDelta {
  readonly bases: readonly Digest[];
  readonly decodedBytes: number;
}

interface Goal extends Pick<TagGoal, "name" | "tag"> {
  readonly expected?: Uint8Array<ArrayBuffer>;
}

/** What the hub said of a session. */
export interface BegunHubSession {
  readonly id: string;
  readonly ttlSeconds: number;
  readonly bodyBytesMax: number;
  readonly takesManifests: boolean;
  /** Versions that manifests may be in terms of. */
  readonly predecessors: readonly Digest[];
}

/** One session. Errors of all: HUB_UNAVAILABLE, SESSION_LOST (begin another), those of the hub's store. */
export class HubSession implements IngestSession {
  readonly takesProposals = true;
  readonly #begun: BegunHubSession;
  readonly #sent: SentChunks | undefined;
  readonly #hub: HubConnection;
  readonly #id: string;
  readonly #frames: FrameSender;
  readonly #pages: PageSender;
  readonly #missing: Batch<readonly Digest[], readonly boolean[]>;
  readonly #canBase: Batch<PossibleDelta, boolean>;
  readonly #ended = new AbortController();

  /**
   * Says to the hub now and then that the producer is still there, until the session ends. `sent`: what was sent to it before,
   * which the session closes.
   */
  constructor(hub: HubConnection, begun: BegunHubSession, sent: SentChunks | undefined) {
    const { id, ttlSeconds, bodyBytesMax } = begun;
    this.#begun = begun;
    this.#sent = sent;
    this.#hub = hub;
    this.#id = id;
    this.#frames = new FrameSender(hub, id, bodyBytesMax);
    this.#pages = new PageSender(hub, id, bodyBytesMax);
    this.#missing = new Batch({
      ask: (questions) => this.#askMissing(questions),
      sizeMax: ASKED_MAX,
      sizeOf: (digests) => digests.length,
    });
    this.#canBase = new Batch({
      ask: (deltas) => this.#askCanBase(deltas),
      sizeMax: ASKED_MAX,
      sizeOf: ({ bases }) => bases.length,
    });
    void this.#renew(Math.max(1, ttlSeconds / 3) * 1000);
  }

  get bases(): DeltaBases | undefined {
    return this.#sent;
  }

  async missing(digests: readonly Digest[], { signal }: CallOptions = {}): Promise<readonly boolean[]> {
    const answers: boolean[] = [];
    for (let start = 0; start < digests.length; start += ASKED_MAX) {
      answers.push(...(await this.#missing.get(digests.slice(start, start + ASKED_MAX), signal)));
    }
    return answers;
  }

  canBase(bases: readonly Digest[], decodedBytes: number, { signal }: CallOptions = {}): Promise<boolean> {
    return this.#canBase.get({ bases, decodedBytes }, signal);
  }

  async put(frames: readonly IngestFrame[], options: CallOptions = {}): Promise<void> {
    await Promise.all([this.#frames.add(frames, options), this.#sent?.keep(frames, options)]);
  }

  async putPage(page: EncodedPage, form: PageForm = {}, options: CallOptions = {}): Promise<void> {
    await this.#pages.add(page, form, options);
  }

  async publish(publication: Publication, options: CallOptions = {}): Promise<Published> {
    await this.#frames.flush(options);
    await this.#pages.flush(options);
    const { root, inlinePages, base, tags, publisher, message, labels, attempt } = publication;
    const manifest = this.#manifestOf(publication);
    const content =
      manifest === undefined
        ? { root: new Uint8Array(root), inlinePages: inlinePages.map((page) => new Uint8Array(page)) }
        : { manifest: new Uint8Array(manifest) };
    const request = {
      session: this.#id,
      ...content,
      base: base === undefined ? new Uint8Array() : new Uint8Array(digestBytes(base.version)),
      tags: tags.map(goalOf),
      publisher,
      message,
      labels: { ...labels },
      writeId: attempt?.writeId ?? "",
      heads: attempt?.heads.map(BigInt) ?? [],
    };
    const answer = await this.#hub.call(options.signal, () =>
      this.#hub.ingest.publish(request, callOf(options)),
    );
    this.#ended.abort();
    await this.#sent?.close();
    const version = digestOf(root);
    if (answer.version.byteLength !== DIGEST_BYTES || digestFromBytes(answer.version) !== version) {
      throw new AetherError(
        "INTERNAL",
        `the hub ${this.#hub.hub} published another version than it was asked to`,
      );
    }
    const rootBytes =
      manifest?.byteLength ?? inlinePages.reduce((sum, page) => sum + page.byteLength, root.byteLength);
    const sentBytes = this.#frames.sentBytes + this.#pages.sentBytes + rootBytes;
    const storedBytes = Number(answer.storedBytes);
    const totals = { sentBytes, storedBytes, manifestBytes: Number(answer.manifestBytes) };
    return { version, moved: answer.moved, totals };
  }

  /** The manifest object, as short as the hub takes it; undefined: it takes root and pages, or there are none. */
  #manifestOf({ root, inlinePages: pages, base }: Publication): Uint8Array | undefined {
    const { takesManifests, predecessors } = this.#begun;
    if (!takesManifests || pages.length === 0) return undefined;
    const isKnown = base !== undefined && predecessors.includes(base.version);
    // The hub has the base whole, whatever it lies on.
    return encodeManifest({ root, pages }, isKnown ? { ...base, depth: 0 } : undefined);
  }

  async abort(): Promise<void> {
    this.#ended.abort();
    await Promise.all([this.#frames.cancel(), this.#sent?.close()]);
    // No answer is no harm.
    const call = { timeoutMs: ABORT_MS_MAX };
    await this.#hub.ingest.abort({ session: this.#id }, call).catch(() => undefined);
  }

  /**
   * Which digests the hub lacks. When an answer was lost, the hub already counts on getting what it asked for then, and
   * would not ask again: everything is sent that time.
   */
  async #askMissing(questions: readonly (readonly Digest[])[]): Promise<(readonly boolean[])[]> {
    const digests = questions.flat();
    const request = { session: this.#id, digests: joined(digests) };
    let attempts = 0;
    const { missing } = await this.#hub.call(this.#ended.signal, (attempt) => {
      attempts = attempt;
      return this.#hub.ingest.missing(request, { signal: this.#ended.signal });
    });
    answersFor(this.#hub.hub, digests, missing);
    let at = 0;
    return questions.map((question) => {
      const answers = missing.slice(at, (at += question.length));
      return attempts === 0 ? answers : answers.map(() => true);
    });
  }

  /** Whether each of these deltas may be made, to the hub. */
  async #askCanBase(deltas: readonly PossibleDelta[]): Promise<readonly boolean[]> {
    const request = {
      session: this.#id,
      deltas: deltas.map(({ bases, decodedBytes }) => ({
        bases: joined(bases),
        decodedBytes: BigInt(decodedBytes),
      })),
    };
    const { canBase } = await this.#hub.call(this.#ended.signal, () =>
      this.#hub.ingest.canBase(request, { signal: this.#ended.signal }),
    );
    return answersFor(this.#hub.hub, deltas, canBase);
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

function goalOf({ name, tag, expected }: TagGoal): Goal {
  if (expected === undefined) return { name, tag };
  return { name, tag, expected: new Uint8Array(expected === null ? [] : digestBytes(expected)) };
}

function joined(digests: readonly Digest[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.concat(digests.map(digestBytes)));
}

function callOf({ signal }: CallOptions): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}
