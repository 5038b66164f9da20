/** The sessions of a hub, by their ids. */
import { AetherError } from "../../base/errors.ts";
import { MiB } from "../../base/limits.ts";
import type { Log } from "../../base/log.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { TagReference } from "../contract.ts";
import type { Engine, PushEngine } from "../engine.ts";
import { lost, ProducerSession } from "./hub-session.ts";
import type { IngestStart, SessionOptions } from "./ingest.ts";
import { beginLocalSession, withLocalIngest } from "./local-ingest.ts";
import type { BegunSession, HubSession, IngestSessions } from "./sessions.ts";

/** How sessions are kept. */
export interface SessionsOptions {
  readonly log: Log;
  /** How long a producer may be silent, in seconds. */
  readonly ttlSeconds?: number;
  /** Sessions at once. */
  readonly sessionsMax?: number;
  /** Begins that may wait for their turn. */
  readonly waitersMax?: number;
}

const TTL_SECONDS = 120;
const SESSIONS_MAX = 64;
const WAITERS_MAX = 256;
/** Answers of sessions that ended, kept to be given again. */
const ENDED_MAX = 4096;
/** Of the engine's memory, what sessions have together. */
const MEMORY_SHARE = 2;
/** Of what is left of that, what the next session has; and what it has at least. */
const SESSION_SHARE = 4;
const SESSION_BYTES_MIN = 12 * MiB;

interface Held {
  readonly session: ProducerSession;
  heardMs: number;
  readonly memoryBytes: number;
  isEnded: boolean;
}

/** Opens them, for the engine of a hub. */
export function openSessions(engine: Engine, options: SessionsOptions): IngestSessions {
  return new HubSessions(engine, options);
}

class HubSessions implements IngestSessions {
  readonly #engine: Engine & PushEngine;
  readonly #log: Log;
  readonly #ttlMs: number;
  readonly #sessionsMax: number;
  readonly #waitersMax: number;
  readonly #held = new Map<string, Held>();
  readonly #waiters = new Set<() => void>();
  readonly #closed = new AbortController();
  #freeBytes: number;
  #active = 0;

  constructor(engine: Engine, options: SessionsOptions) {
    this.#engine = { ...engine, ingest: withLocalIngest(engine).ingest };
    this.#log = options.log;
    this.#ttlMs = (options.ttlSeconds ?? TTL_SECONDS) * 1000;
    this.#sessionsMax = options.sessionsMax ?? SESSIONS_MAX;
    this.#waitersMax = options.waitersMax ?? WAITERS_MAX;
    this.#freeBytes = Math.max(SESSION_BYTES_MIN, Math.floor(engine.memoryBytes / MEMORY_SHARE));
  }

  prepare(tags: readonly TagReference[], options: CallOptions): Promise<IngestStart> {
    return this.#engine.ingest.prepare(tags, options);
  }

  async begin(session: SessionOptions, options: CallOptions): Promise<BegunSession> {
    const memoryBytes = await this.#take(options.signal);
    try {
      const id = await this.#begin(session, memoryBytes, options);
      return { id, ttlSeconds: this.#ttlMs / 1000 };
    } catch (error) {
      this.#giveBack(memoryBytes);
      throw error;
    }
  }

  use(id: string): HubSession {
    const held = this.#held.get(id);
    if (held === undefined) throw lost();
    held.heardMs = this.#engine.clock.elapsedMs();
    return held.session;
  }

  async close(): Promise<void> {
    this.#closed.abort(new AetherError("HUB_UNAVAILABLE", "the hub is stopping: try again later"));
    for (const wake of [...this.#waiters]) wake();
    await Promise.allSettled([...this.#held.values()].map((held) => held.session.abort()));
    this.#held.clear();
  }

  async #begin(session: SessionOptions, memoryBytes: number, options: CallOptions): Promise<string> {
    const { predecessors, seen } = await this.prepare(session.tags, options);
    const { reference } = session;
    const known = reference !== undefined && predecessors.includes(reference) ? reference : undefined;
    const engine = { ...this.#engine, memoryBytes };
    const local = await beginLocalSession(engine, { ...session, reference: known, seen }, options);
    if (this.#closed.signal.aborted) {
      await local.abort();
      throw this.#closed.signal.reason;
    }
    const id = engine.random.id();
    const onEnd = (published: boolean): void => {
      this.#ended(id, published);
    };
    const held: Held = {
      session: new ProducerSession({ engine, local, predecessors, onEnd }),
      heardMs: engine.clock.elapsedMs(),
      memoryBytes,
      isEnded: false,
    };
    this.#held.set(id, held);
    void this.#watch(id, held);
    return id;
  }

  #ended(id: string, published: boolean): void {
    const held = this.#held.get(id);
    if (held === undefined || held.isEnded) return;
    held.isEnded = true;
    held.heardMs = this.#engine.clock.elapsedMs();
    this.#giveBack(held.memoryBytes);
    if (!published) this.#held.delete(id);
    else if (this.#held.size > ENDED_MAX) {
      const oldest = [...this.#held].find(([, each]) => each.isEnded);
      if (oldest !== undefined) this.#held.delete(oldest[0]);
    }
  }

  /** Ends the session, and then forgets its answer, when nothing is heard of it. */
  async #watch(id: string, held: Held): Promise<void> {
    const { clock } = this.#engine;
    while (this.#held.get(id) === held && !this.#closed.signal.aborted) {
      if (held.session.isBusy) held.heardMs = clock.elapsedMs();
      const leftMs = held.heardMs + this.#ttlMs - clock.elapsedMs();
      if (leftMs > 0) {
        await clock.sleep(leftMs, this.#closed.signal).catch(() => undefined);
        continue;
      }
      if (!held.isEnded) await this.#abandon(held);
      this.#held.delete(id);
    }
  }

  async #abandon({ session }: Held): Promise<void> {
    this.#log.info(
      { ttlSeconds: this.#ttlMs / 1000 },
      "a push was given up: nothing was heard of its producer",
    );
    try {
      await session.abort();
    } catch (error) {
      this.#log.warn({ error }, "a push that was given up did not end cleanly");
    }
  }

  /** Memory for one more session, when its turn has come. */
  async #take(signal: AbortSignal | undefined): Promise<number> {
    for (;;) {
      signal?.throwIfAborted();
      this.#closed.signal.throwIfAborted();
      if (this.#active < this.#sessionsMax && this.#freeBytes >= SESSION_BYTES_MIN) break;
      await this.#wait(signal);
    }
    const bytes = Math.max(SESSION_BYTES_MIN, Math.floor(this.#freeBytes / SESSION_SHARE));
    this.#freeBytes -= bytes;
    this.#active++;
    return bytes;
  }

  #giveBack(bytes: number): void {
    this.#freeBytes += bytes;
    this.#active--;
    const first = this.#waiters.values().next().value;
    first?.();
  }

  #wait(signal: AbortSignal | undefined): Promise<void> {
    if (this.#waiters.size >= this.#waitersMax) {
      throw new AetherError("LIMIT_EXCEEDED", `${this.#waiters.size} pushes wait already: try again later`);
    }
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiters.delete(wake);
        signal?.removeEventListener("abort", wake);
        resolve();
      };
      this.#waiters.add(wake);
      signal?.addEventListener("abort", wake, { once: true });
    });
  }
}
