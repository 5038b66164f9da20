/** A session's pages on their way to the hub. */
import type { EncodedPage } from "../../format/page.ts";
import { MiB } from "../../base/limits.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { HubConnection } from "./hub-connection.ts";

/** Pages are sent together at this size. */
const BODY_BYTES = MiB;

/** Collects pages and sends them, in order, numbered from 0. Calls come one after another. */
export class PageSender {
  readonly #hub: HubConnection;
  readonly #session: string;
  readonly #bytesMax: number;
  #pages: Uint8Array<ArrayBuffer>[] = [];
  #bytes = 0;
  #sequence = 0n;
  #sentBytes = 0;

  constructor(hub: HubConnection, session: string, bodyBytesMax: number) {
    this.#hub = hub;
    this.#session = session;
    this.#bytesMax = Math.min(BODY_BYTES, bodyBytesMax);
  }

  /** Bytes of all pages that the hub took. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** Takes a page; may send those before. */
  async add({ bytes }: EncodedPage, options: CallOptions): Promise<void> {
    if (this.#bytes + bytes.byteLength > this.#bytesMax) await this.flush(options);
    this.#pages.push(new Uint8Array(bytes));
    this.#bytes += bytes.byteLength;
  }

  /** Sends what is collected; the hub has taken all when it resolves. */
  async flush({ signal }: CallOptions): Promise<void> {
    if (this.#pages.length === 0) return;
    const request = { session: this.#session, sequence: this.#sequence, pages: this.#pages };
    const call = signal === undefined ? {} : { signal };
    await this.#hub.call(signal, () => this.#hub.ingest.putPages(request, call));
    this.#sequence++;
    this.#sentBytes += this.#bytes;
    this.#pages = [];
    this.#bytes = 0;
  }
}
