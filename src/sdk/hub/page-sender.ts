/** A session's pages on their way to the hub. */
import { MiB } from "../../base/limits.ts";
import type { PageForm } from "../../dataset/ingest/ingest.ts";
import { BODY_FRAMES_MAX } from "../../dataset/ingest/sessions.ts";
import { DEFAULT_COMPRESSION_LEVEL, encodePlain, type Codec } from "../../format/frame.ts";
import type { EncodedPage } from "../../format/page.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { HubConnection } from "./hub-connection.ts";

/** Pages are sent together at this size. */
const BODY_BYTES = MiB;

/** What a message says of a page beside its bytes, about. */
const FIELDS_BYTES = 64;

interface SentPage {
  readonly codec: Codec;
  readonly pageBytes: number;
  readonly bases: Uint8Array<ArrayBuffer>;
  readonly stored: Uint8Array<ArrayBuffer>;
}

/** Collects pages and sends them, in order, numbered from 0. Calls come one after another. */
export class PageSender {
  readonly #hub: HubConnection;
  readonly #session: string;
  readonly #bytesMax: number;
  #pages: SentPage[] = [];
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

  /** Takes a page, unless the hub has it; may send those before. */
  async add(page: EncodedPage, form: PageForm, options: CallOptions): Promise<void> {
    if (form.isHeld === true) return;
    const sent = sentPage(page, form);
    const bytes = sent.stored.byteLength + sent.bases.byteLength + FIELDS_BYTES;
    const isFull = this.#bytes + bytes > this.#bytesMax || this.#pages.length === BODY_FRAMES_MAX;
    if (isFull) await this.flush(options);
    this.#pages.push(sent);
    this.#bytes += bytes;
  }

  /** Sends what is collected; the hub has taken all when it resolves. */
  async flush({ signal }: CallOptions): Promise<void> {
    if (this.#pages.length === 0) return;
    const request = { session: this.#session, sequence: this.#sequence, frames: this.#pages };
    const call = signal === undefined ? {} : { signal };
    await this.#hub.call(signal, () => this.#hub.ingest.putPages(request, call));
    this.#sequence++;
    this.#sentBytes += this.#bytes;
    this.#pages = [];
    this.#bytes = 0;
  }
}

function sentPage({ bytes }: EncodedPage, { frame }: PageForm): SentPage {
  const { codec, stored } = frame ?? encodePlain(bytes, DEFAULT_COMPRESSION_LEVEL);
  const bases = new Uint8Array(frame?.base?.digests ?? []);
  return { codec, pageBytes: bytes.byteLength, bases, stored: new Uint8Array(stored) };
}
