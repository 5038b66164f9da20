import type { Clock } from "../../base/clock.ts";

/** What ends a connection. */
export interface Ends {
  /** Lets what is under way finish; nothing new is taken. */
  readonly close: () => void;
  readonly destroy: () => void;
}

/** A connection that may carry requests. */
export interface Connection {
  readonly ends: Ends;
  /** Milliseconds without a request after which it is destroyed. */
  readonly idleMs: number;
  /** Requests under way. */
  exchanges: number;
  /** When the last one ended, by the monotonic clock. */
  idleSinceMs: number;
}

/** The connections of a port: ended when they are idle for too long, and when the port closes. */
export class Connections {
  readonly #clock: Clock;
  readonly #open = new Set<Connection>();
  #closing = false;
  #whenEmpty: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get closing(): boolean {
    return this.#closing;
  }

  /** Requests under way. */
  get exchanges(): number {
    let sum = 0;
    for (const { exchanges } of this.#open) sum += exchanges;
    return sum;
  }

  /** Takes a connection in. */
  add(ends: Ends, idleMs: number): Connection {
    const connection = { ends, idleMs, exchanges: 0, idleSinceMs: this.#clock.elapsedMs() };
    this.#open.add(connection);
    return connection;
  }

  /** Forgets a connection that has ended. */
  remove(connection: Connection): void {
    this.#open.delete(connection);
    if (this.#open.size === 0) this.#whenEmpty?.();
  }

  /** A request begins. */
  begin(connection: Connection): void {
    connection.exchanges++;
  }

  /** A request has ended. */
  end(connection: Connection): void {
    connection.exchanges--;
    if (connection.exchanges > 0) return;
    connection.idleSinceMs = this.#clock.elapsedMs();
    if (this.#closing) connection.ends.close();
  }

  /** Destroys the connections that were idle for too long, again and again until the signal aborts. */
  async sweep(everyMs: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const nowMs = this.#clock.elapsedMs();
      for (const { exchanges, idleSinceMs, idleMs, ends } of this.#open) {
        if (exchanges === 0 && nowMs - idleSinceMs >= idleMs) ends.destroy();
      }
      await this.#clock.sleep(everyMs, signal).catch(() => undefined);
    }
  }

  /** Ends the idle ones now, the others when their requests have ended, and whatever is left after `graceMs`. */
  async close(graceMs: number): Promise<void> {
    this.#closing = true;
    const empty = new Promise<void>((resolve) => (this.#whenEmpty = resolve));
    for (const { ends } of this.#open) ends.close();
    if (this.#open.size === 0) return;
    const timer = new AbortController();
    await Promise.race([empty, this.#clock.sleep(graceMs, timer.signal).catch(() => undefined)]);
    timer.abort();
    for (const { ends } of this.#open) ends.destroy();
  }
}
