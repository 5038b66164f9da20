/** The way into a store of this process for what comes from elsewhere: it is verified before anything may refer to it. */
import type { Digest } from "../../format/digest.ts";
import { CODECS } from "../../format/frame.ts";
import type { EncodedPage } from "../../format/page.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { TagReference } from "../contract.ts";
import type { Engine, PushEngine } from "../engine.ts";
import { joinDigests } from "./block-packer.ts";
import { ProducerSession } from "./hub-session.ts";
import type {
  Ingest,
  IngestFrame,
  IngestSession,
  IngestStart,
  PageForm,
  Publication,
  Published,
  SessionOptions,
} from "./ingest.ts";
import { beginLocalSession, withLocalIngest } from "./local-ingest.ts";
import type { HubSession, ReceivedFrame, ReceivedPage } from "./sessions.ts";

/** The engine, able to take what others made into its own store: as a hub takes it. */
export function withCheckedIngest(engine: Engine): PushEngine {
  return { ...engine, ingest: new CheckedIngest(engine) };
}

class CheckedIngest implements Ingest {
  readonly #engine: Engine;
  readonly #local: Ingest;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#local = withLocalIngest(engine).ingest;
  }

  get folder(): string | undefined {
    return this.#local.folder;
  }

  prepare(tags: readonly TagReference[], options: CallOptions = {}): Promise<IngestStart> {
    return this.#local.prepare(tags, options);
  }

  async begin(session: SessionOptions, options: CallOptions = {}): Promise<IngestSession> {
    // Nothing is written then that could be wrong.
    if (session.dryRun === true) return this.#local.begin(session, options);
    const { predecessors, seen } = await this.prepare(session.tags, options);
    // The other half is for who reads what comes in.
    const engine = { ...this.#engine, memoryBytes: this.#engine.memoryBytes / 2 };
    const local = await beginLocalSession(engine, { ...session, seen }, options);
    const parts = { engine, local, predecessors, onEnd: () => undefined };
    return new CheckedSession(new ProducerSession(parts));
  }
}

/** A hub's session, used without a wire: bodies are handed over as they are. */
class CheckedSession implements IngestSession {
  readonly bases = undefined;
  readonly takesProposals = true;
  readonly #session: HubSession;
  readonly #taken = { frames: 0, pages: 0 };
  /** Questions are asked one after another: a hub's session bounds how many are under way. */
  #asked: Promise<unknown> = Promise.resolve();

  constructor(session: HubSession) {
    this.#session = session;
  }

  missing(digests: readonly Digest[], options: CallOptions = {}): Promise<readonly boolean[]> {
    return this.#ask(() => this.#session.missing(digests, options));
  }

  canBase(bases: readonly Digest[], decodedBytes: number, options: CallOptions = {}): Promise<boolean> {
    return this.#ask(() => this.#session.canBase(bases, decodedBytes, options));
  }

  async put(frames: readonly IngestFrame[], options: CallOptions = {}): Promise<void> {
    if (frames.length === 0) return;
    await this.#session.putFrames(this.#taken.frames++, frames.map(receivedFrame), options);
  }

  async putPage(page: EncodedPage, form: PageForm = {}, options: CallOptions = {}): Promise<void> {
    if (form.isHeld === true) return;
    await this.#session.putPages(this.#taken.pages++, [receivedPage(page, form)], options);
  }

  publish(publication: Publication, options: CallOptions = {}): Promise<Published> {
    return this.#session.publish({ ...publication, base: publication.base?.version }, options);
  }

  abort(): Promise<void> {
    return this.#session.abort();
  }

  #ask<T>(question: () => Promise<T>): Promise<T> {
    const answer = this.#asked.then(question);
    this.#asked = answer.catch(() => undefined);
    return answer;
  }
}

/** Of its own memory: a session may go on with it after it has taken the frame. */
function receivedFrame({ codec, chunks, stored, base, proposal }: IngestFrame): ReceivedFrame {
  return {
    codec,
    digests: joinDigests(chunks.map(({ digest }) => digest)),
    lengths: chunks.map(({ length }) => length),
    stored: stored.buffer instanceof SharedArrayBuffer ? new Uint8Array(stored) : stored,
    base,
    proposal,
  };
}

function receivedPage({ bytes }: EncodedPage, { frame }: PageForm): ReceivedPage {
  const { codec, stored } = frame ?? { codec: CODECS.raw, stored: bytes };
  const bases = frame?.base?.digests ?? new Uint8Array();
  return { codec, pageBytes: bytes.byteLength, bases, stored };
}
