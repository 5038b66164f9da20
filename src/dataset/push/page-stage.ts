/** Pages on their way to the session: as deltas against those that they replace. docs/format.md §5.1 */
import { must } from "../../base/assert.ts";
import { concatBytes, totalBytes } from "../../base/bytes.ts";
import { KiB } from "../../base/limits.ts";
import type { Digest } from "../../format/digest.ts";
import { DEFAULT_COMPRESSION_LEVEL } from "../../format/frame.ts";
import type { EncodedPage } from "../../format/page.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { ReadEngine } from "../engine.ts";
import { joinDigests } from "../ingest/block-packer.ts";
import type { RunBase } from "../ingest/encode-run.ts";
import type { IngestFrame, IngestSession } from "../ingest/ingest.ts";
import type { Version } from "../version/version.ts";
import { isDelta, packRequests, unpackItems } from "../workers/encode-task.ts";
import { PageOrigins, type PageOrigin } from "./page-origins.ts";

/** Pages that are asked for and encoded together, and their bytes. */
const BATCH_PAGES = 64;
const BATCH_BYTES = 256 * KiB;

/** Takes the pages of a version in order, children before parents, and hands them to the session so. */
export class PageStage {
  readonly #engine: Pick<ReadEngine, "pool">;
  readonly #session: IngestSession;
  readonly #reference: Version | undefined;
  readonly #origins: PageOrigins | undefined;
  #batch: PageOrigin[] = [];
  #batchBytes = 0;

  /** `reference`: the session's. */
  constructor(engine: Pick<ReadEngine, "pool">, session: IngestSession, reference: Version | undefined) {
    this.#engine = engine;
    this.#session = session;
    // Pages that lie with their root are not in blocks, and no bases.
    this.#reference = reference?.bundle.pages.length === 0 ? reference : undefined;
    this.#origins = this.#reference && new PageOrigins(this.#reference);
  }

  /** Takes a page; may keep it back until finish(). Errors: those of the session, and of reading the reference. */
  async add(page: EncodedPage, options: CallOptions): Promise<void> {
    if (this.#origins === undefined) await this.#session.putPage(page, {}, options);
    else await this.#collect(await this.#origins.add(page), options);
  }

  /** Hands over what is kept back. Errors: as add(). */
  async finish(options: CallOptions): Promise<void> {
    await this.#collect((await this.#origins?.finish()) ?? [], options);
    await this.#flush(options);
  }

  async #collect(origins: readonly PageOrigin[], options: CallOptions): Promise<void> {
    for (const origin of origins) {
      this.#batch.push(origin);
      this.#batchBytes += origin.page.bytes.byteLength;
      if (this.#batch.length >= BATCH_PAGES || this.#batchBytes >= BATCH_BYTES) await this.#flush(options);
    }
  }

  async #flush(options: CallOptions): Promise<void> {
    const batch = this.#batch;
    this.#batch = [];
    this.#batchBytes = 0;
    const fresh = batch.filter(({ isHeld }) => !isHeld);
    const digests = fresh.map(({ page }) => page.digest);
    const missing = fresh.length === 0 ? [] : await this.#session.missing(digests, options);
    const frames = await this.#encode(
      fresh.filter((_, index) => missing[index] === true),
      options,
    );
    for (const { page } of batch) {
      const frame = frames.get(page.digest);
      await this.#session.putPage(page, { isHeld: frame === undefined, frame }, options);
    }
  }

  async #encode(
    origins: readonly PageOrigin[],
    options: CallOptions,
  ): Promise<ReadonlyMap<Digest, IngestFrame>> {
    if (origins.length === 0) return new Map();
    const bases = await this.#basesOf(origins, options);
    const memory = new SharedArrayBuffer(totalBytes(origins.map(({ page }) => page.bytes)));
    let end = 0;
    const requests = origins.map(({ page: { bytes } }, index) => {
      const start = end;
      new Uint8Array(memory).set(bytes, start);
      end += bytes.byteLength;
      return { start, end, chunkEnds: [end], dictionary: bases[index]?.dictionary };
    });
    const input = packRequests(memory, DEFAULT_COMPRESSION_LEVEL, requests);
    const items = unpackItems(await this.#engine.pool.run("encodeFrames", input, options));
    const frames = items.map((item) => {
      const { digest, bytes } = must(origins[item.request], "a frame is of a page").page;
      const base = isDelta(item) ? bases[item.request]?.frame : undefined;
      const stored = new Uint8Array(memory, item.start, item.storedBytes);
      const chunks = [{ digest, length: bytes.byteLength }];
      return [digest, { codec: item.codec, chunks, stored, base, isPage: true }] as const;
    });
    return new Map(frames);
  }

  /** Of each page the old ones in its place, where a delta may lie on them. */
  async #basesOf(
    origins: readonly PageOrigin[],
    options: CallOptions,
  ): Promise<readonly (RunBase | undefined)[]> {
    const allowed = await Promise.all(
      origins.map(async ({ page, old }) => {
        const digests = old.map(({ digest }) => digest);
        return old.length > 0 && (await this.#session.canBase(digests, page.bytes.byteLength, options));
      }),
    );
    const used = origins.map(({ old }, index) => (allowed[index] === true ? old : []));
    const loaded = (await this.#reference?.pages.loadEncoded(used.flat())) ?? [];
    let at = 0;
    return used.map((refs) => {
      const pages = loaded.slice(at, (at += refs.length));
      if (pages.length === 0) return undefined;
      const dictionary = concatBytes(pages);
      const lengths = pages.map((page) => page.byteLength);
      const digests = joinDigests(refs.map(({ digest }) => digest));
      return { frame: { digests, lengths, offset: 0, bytes: dictionary.byteLength }, dictionary };
    });
  }
}
