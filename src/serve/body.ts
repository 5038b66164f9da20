import type { HttpResponse } from "./http-handler.ts";

/** Sends a body piece by piece, as fast as the client takes it. */
export class Body {
  readonly #response: HttpResponse;
  #isGone = false;
  #wake: (() => void) | undefined;

  constructor(response: HttpResponse) {
    this.#response = response;
    response.once("close", () => {
      this.#isGone = true;
      this.#wake?.();
    });
  }

  /** Resolves when the piece is on its way and its memory may be used again; false: the client has gone, and more is in vain. */
  async write(bytes: Uint8Array | string): Promise<boolean> {
    if (this.#isGone) return false;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      this.#response.write(bytes, (error) => {
        // What a connection that is gone does not take comes back before its end is told.
        if (error !== null && error !== undefined) this.#isGone = true;
        // What a connection takes at once comes back within the same turn of the event loop: others get theirs.
        setImmediate(resolve);
      });
    });
    return !this.#isGone;
  }

  /** Sends all pieces, then the end; stops asking for more when the client has gone. */
  async send(pieces: AsyncIterable<Uint8Array | string>): Promise<void> {
    for await (const piece of pieces) {
      if (!(await this.write(piece))) return;
    }
    this.#response.end();
  }
}
