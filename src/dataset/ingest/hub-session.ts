/** One producer's session on a hub. */
import { AetherError } from "../../base/errors.ts";
import { digestOf, type Digest } from "../../format/digest.ts";
import { DELTA_BASES_MAX } from "../../format/frame.ts";
import { decodeBundle, decodeManifestObject, type ManifestBase } from "../../format/manifest.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { Engine } from "../engine.ts";
import { loadBundle } from "../version/manifest-source.ts";
import { Traffic } from "../version/traffic.ts";
import { ArrivingDeltas } from "./arriving-deltas.ts";
import { FrameCheck } from "./frame-check.ts";
import type { Published } from "./ingest.ts";
import { domainOf } from "./local-ingest.ts";
import type { LocalSession } from "./local-session.ts";
import { PageCheck } from "./page-check.ts";
import {
  BODY_FRAMES_MAX,
  type HubPublication,
  type HubSession,
  type ReceivedFrame,
  type ReceivedPage,
  type Taking,
} from "./sessions.ts";

/** Calls of one session that may be under way. */
const CALLS_MAX = 64;

/** Chunks that were declared missing and have not come: each takes about 100 bytes of memory. */
const EXPECTED_MAX = 1 << 19;

/** Chunks that are looked for before others have their turn. */
const ASKED_AT_ONCE = 1024;

/** What a session works with. */
export interface ProducerSessionParts {
  readonly engine: Engine;
  readonly local: LocalSession;
  /** Versions that the producer may build on. */
  readonly predecessors: readonly Digest[];
  /** Called once, when the session has ended, but for repeating its answer. */
  readonly onEnd: (published: boolean) => void;
}

/** What a session has until it ends: most of the memory. */
interface Work {
  readonly local: LocalSession;
  readonly frames: FrameCheck;
  readonly deltas: ArrivingDeltas;
  readonly pages: PageCheck;
}

/** A session that verifies all it is given, and takes it in order. */
export class ProducerSession implements HubSession {
  readonly #engine: Engine;
  readonly #predecessors: readonly Digest[];
  readonly #onEnd: (published: boolean) => void;
  #work: Work | undefined;
  readonly #ended = new AbortController();
  /** Bodies taken of each kind. */
  readonly #taken = { frames: 0, pages: 0 };
  /** What was asked last. */
  #last: Promise<unknown> = Promise.resolve();
  /** The frames that came last, on their way. */
  #taking: Promise<void> = Promise.resolve();
  #calls = 0;
  #result: { readonly asked: Digest; readonly published: Published } | undefined;
  #ending: Promise<void> | undefined;

  constructor({ engine, local, predecessors, onEnd }: ProducerSessionParts) {
    this.#engine = engine;
    this.#predecessors = predecessors;
    this.#onEnd = onEnd;
    this.#work = {
      local,
      frames: new FrameCheck(engine, local),
      deltas: new ArrivingDeltas(engine, local),
      pages: new PageCheck(engine, local),
    };
  }

  /** Whether a call is under way. */
  get isBusy(): boolean {
    return this.#calls > 0;
  }

  missing(digests: readonly Digest[], options: CallOptions): Promise<readonly boolean[]> {
    return this.#call(options, async (call, { local }) => {
      const answers: boolean[] = [];
      if (local.expected + digests.length <= EXPECTED_MAX) {
        for (let start = 0; start < digests.length; start += ASKED_AT_ONCE) {
          answers.push(...(await local.missing(digests.slice(start, start + ASKED_AT_ONCE), call)));
          await new Promise(setImmediate);
        }
        return answers;
      }
      throw new AetherError(
        "LIMIT_EXCEEDED",
        `${EXPECTED_MAX} chunks were asked for and did not come yet: put them`,
      );
    });
  }

  canBase(bases: readonly Digest[], decodedBytes: number, options: CallOptions): Promise<boolean> {
    if (bases.length === 0 || bases.length > DELTA_BASES_MAX) return Promise.resolve(false);
    return this.#call(options, (call, { local }) => local.canBase(bases, decodedBytes, call));
  }

  putFrames(sequence: number, frames: readonly ReceivedFrame[], options: CallOptions): Promise<Taking> {
    return this.#inTurn(options, async (call, work) => {
      await this.#taking;
      if (!this.#isNext("frames", sequence)) return { done: Promise.resolve() };
      const done = this.#takeFrames(frames, call, work);
      // The next one is received meanwhile; whatever comes next waits for it.
      this.#taking = done;
      done.catch(() => undefined);
      this.#taken.frames++;
      return { done };
    });
  }

  putPages(sequence: number, pages: readonly ReceivedPage[], options: CallOptions): Promise<void> {
    return this.#inTurn(options, async (call, work) => {
      await this.#taking;
      if (!this.#isNext("pages", sequence)) return;
      if (pages.length > BODY_FRAMES_MAX)
        throw new AetherError("LIMIT_EXCEEDED", `a body has at most ${BODY_FRAMES_MAX} pages`);
      for (const page of pages) {
        await work.pages.take(page, call);
        await new Promise(setImmediate);
      }
      this.#taken.pages++;
    });
  }

  publish(publication: HubPublication, options: CallOptions): Promise<Published> {
    const { manifest, root } = publication;
    const asked = digestOf(manifest === undefined || manifest.byteLength === 0 ? root : manifest);
    const again = this.#result;
    if (again?.asked === asked) return Promise.resolve(again.published);
    return this.#inTurn(options, async (call, work) => {
      if (this.#result?.asked === asked) return this.#result.published;
      await this.#taking;
      const content = await this.#unpacked(publication, call);
      const published = await this.#publish({ ...publication, ...content }, call, work);
      this.#result = { asked, published };
      this.#work = undefined;
      this.#ended.abort(lost());
      this.#onEnd(true);
      return published;
    });
  }

  abort(): Promise<void> {
    this.#ending ??= this.#abort();
    return this.#ending;
  }

  async #abort(): Promise<void> {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort(lost());
    await this.#last;
    await this.#taking.catch(() => undefined);
    try {
      await this.#work?.local.abort();
    } finally {
      this.#work = undefined;
      this.#onEnd(false);
    }
  }

  async #publish(publication: HubPublication, call: CallOptions, { local, pages }: Work): Promise<Published> {
    const { tags } = publication;
    if (tags.length > 0 && (await domainOf(this.#engine, tags, call)) !== local.domain) {
      throw new AetherError("ACCESS_DENIED", "a tag lies in another domain than the session");
    }
    await pages.checkRoot(publication, call);
    return local.publish({ ...publication, base: await this.#baseOf(publication.base, call) }, call);
  }

  /** Root and pages of a manifest object. Errors: OBJECT_INVALID, OBJECT_CORRUPT; OBJECT_MISSING when the base is none. */
  async #unpacked({ manifest, base }: HubPublication, call: CallOptions): Promise<Partial<HubPublication>> {
    if (manifest === undefined || manifest.byteLength === 0) return {};
    const object = decodeManifestObject(manifest);
    const known = object.base === undefined ? undefined : await this.#baseOf(base, call);
    if (known?.version !== object.base) {
      throw new AetherError("OBJECT_MISSING", "the manifest's base is not what the dataset's tags lead to");
    }
    const { root, pages } = decodeBundle(object, known?.bundle);
    return { root, inlinePages: pages };
  }

  /** A base is a wish: one that the tags never led to, or that cannot be read, is left out. */
  async #baseOf(version: Digest | undefined, call: CallOptions): Promise<ManifestBase | undefined> {
    if (version === undefined || !this.#predecessors.includes(version)) return undefined;
    const { datasets } = this.#engine.store;
    try {
      const bundle = await loadBundle(datasets, version, { ...call, traffic: new Traffic() });
      const object = await datasets.getManifest(version, call);
      return object === undefined
        ? undefined
        : { version, depth: decodeManifestObject(object).depth, bundle };
    } catch (error) {
      call.signal?.throwIfAborted();
      if (error instanceof AetherError) return undefined;
      throw error;
    }
  }

  async #takeFrames(
    received: readonly ReceivedFrame[],
    call: CallOptions,
    { local, frames, deltas }: Work,
  ): Promise<void> {
    this.#calls++;
    try {
      const checked = await frames.check(received, call);
      await local.put(await deltas.make(checked, call), call);
    } finally {
      this.#calls--;
    }
  }

  /** False: it was taken before. Errors: ARGUMENT_INVALID when one before it was not taken. */
  #isNext(kind: "frames" | "pages", sequence: number): boolean {
    const next = this.#taken[kind];
    if (sequence <= next) return sequence === next;
    throw new AetherError("ARGUMENT_INVALID", `body ${sequence} of ${kind} came before body ${next}`);
  }

  /** Runs after what was asked before. A caller that goes away does not break off what has begun. */
  #inTurn<T>(options: CallOptions, task: (call: CallOptions, work: Work) => Promise<T>): Promise<T> {
    return this.#call(options, (call, work) => {
      const result = this.#last.then(() => {
        options.signal?.throwIfAborted();
        if (this.#result === undefined) this.#ended.signal.throwIfAborted();
        return task(call, work);
      });
      this.#last = result.then(
        () => undefined,
        () => undefined,
      );
      return result;
    });
  }

  /** Calls work by the session's own signal: what they leave under way outlives them. */
  async #call<T>(options: CallOptions, task: (call: CallOptions, work: Work) => Promise<T>): Promise<T> {
    options.signal?.throwIfAborted();
    const work = this.#work;
    if (work === undefined || this.#ended.signal.aborted) throw lost();
    if (this.#calls === CALLS_MAX) throw new AetherError("LIMIT_EXCEEDED", "too many calls of one session");
    this.#calls++;
    try {
      return await task({ signal: this.#ended.signal }, work);
    } catch (error) {
      // What failed because the session ended says so.
      this.#ended.signal.throwIfAborted();
      throw error;
    } finally {
      this.#calls--;
    }
  }
}

/** The error for a session that is not there. */
export function lost(): AetherError {
  return new AetherError("SESSION_LOST", "the hub does not know this push (any more): begin it again");
}
