/** A push to a hub that sends nothing: it asks what is missing, and counts what it would send. */
import type {
  DeltaBases,
  IngestFrame,
  IngestSession,
  PageForm,
  Publication,
  Published,
} from "../../dataset/ingest/ingest.ts";
import { digestOf, type Digest } from "../../format/digest.ts";
import { DEFAULT_COMPRESSION_LEVEL, encodePlain } from "../../format/frame.ts";
import { encodeManifest } from "../../format/manifest.ts";
import type { EncodedPage } from "../../format/page.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { HubConnection } from "./hub-connection.ts";
import { HubSession, type BegunHubSession } from "./hub-session.ts";
import type { SentChunks } from "./sent-chunks.ts";

/** A session of the hub that only answers questions. What blocks and plans add to the bytes is not counted. */
export class DrySession implements IngestSession {
  readonly takesProposals = true;
  readonly #session: HubSession;
  #storedBytes = 0;
  #manifestBytes = 0;

  constructor(hub: HubConnection, begun: BegunHubSession, sent: SentChunks | undefined) {
    this.#session = new HubSession(hub, begun, sent);
  }

  get bases(): DeltaBases | undefined {
    return this.#session.bases;
  }

  missing(digests: readonly Digest[], options: CallOptions = {}): Promise<readonly boolean[]> {
    return this.#session.missing(digests, options);
  }

  canBase(bases: readonly Digest[], decodedBytes: number, options: CallOptions = {}): Promise<boolean> {
    return this.#session.canBase(bases, decodedBytes, options);
  }

  async put(frames: readonly IngestFrame[]): Promise<void> {
    for (const { stored } of frames) this.#storedBytes += stored.byteLength;
    await Promise.resolve();
  }

  async putPage(page: EncodedPage, form: PageForm = {}, options: CallOptions = {}): Promise<void> {
    if (form.isHeld === true) return;
    if (form.frame === undefined) {
      const [isMissing] = await this.#session.missing([page.digest], options);
      if (isMissing !== true) return;
    }
    const { stored } = form.frame ?? encodePlain(page.bytes, DEFAULT_COMPRESSION_LEVEL);
    this.#count(stored.byteLength);
  }

  async publish({ root, inlinePages, base, tags }: Publication): Promise<Published> {
    this.#count(encodeManifest({ root, pages: inlinePages }, base).byteLength);
    await this.#session.abort();
    const storedBytes = this.#storedBytes;
    const totals = { sentBytes: storedBytes, storedBytes, manifestBytes: this.#manifestBytes };
    return { version: digestOf(root), moved: tags.map(() => false), totals };
  }

  abort(): Promise<void> {
    return this.#session.abort();
  }

  #count(bytes: number): void {
    this.#storedBytes += bytes;
    this.#manifestBytes += bytes;
  }
}
