/** The Ingest of a process that holds the store itself. */
import { codeOf } from "../../base/errors.ts";
import { BLOCK_BYTES_DEFAULT, type FrameInfo } from "../../format/block.ts";
import { DIGEST_BYTES, digestFromBytes, digestOf, type Digest } from "../../format/digest.ts";
import { DEFAULT_COMPRESSION_LEVEL, encodePlain } from "../../format/frame.ts";
import { decodeRoot, encodeManifest } from "../../format/manifest.ts";
import { decodePage, type EncodedPage } from "../../format/page.ts";
import { decodePlan, encodePlan, type PlanCovers } from "../../format/plan.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { Engine } from "../engine.ts";
import { commitTag } from "../tags.ts";
import { BlockIndexes, missing } from "./block-indexes.ts";
import { BlockPacker, joinDigests, type SealedBlock } from "./block-packer.ts";
import type { ChunkIndex } from "./chunk-index.ts";
import type { IngestFrame, IngestSession, IngestTotals, Publication, Published } from "./ingest.ts";
import { Lease } from "./lease.ts";
import { PlanMaker } from "./plan-maker.ts";

/** Blocks on their way to the store while the next one fills. */
const PUTS_MAX = 1;
/** Times that a plan is written anew because somebody else wrote it meanwhile. */
const PLAN_TRIES_MAX = 8;
/** Calls at the same time when many small objects are written or looked for. */
const PARALLEL_MAX = 16;

export interface LocalIngestOptions {
  readonly domain: string;
  readonly publisher: string;
  readonly blockBytes?: number | undefined;
  /** Writes nothing, but counts what it would write. */
  readonly dryRun?: boolean | undefined;
  /** The version whose chunks the producer reuses without asking for each. */
  readonly reference?: Digest | undefined;
}

/** A plan that waits for its chunks to be in sealed blocks. */
interface PendingPlan {
  readonly key: Digest;
  readonly covers: PlanCovers;
  readonly items: readonly Digest[];
}

export class LocalIngest implements IngestSession {
  readonly #engine: Engine;
  readonly #index: ChunkIndex;
  readonly #plans: PlanMaker;
  readonly #packer: BlockPacker;
  readonly #lease: Lease;
  readonly #dryRun: boolean;
  /** Chunks that were declared missing, until their block is sealed. */
  readonly #promised = new Set<Digest>();
  readonly #puts = new Set<Promise<void>>();
  #pending: PendingPlan[] = [];
  #storedBytes = 0;
  #manifestBytes = 0;
  #failure: unknown;

  /** `index` is synced with the store (syncIndex) and stays the caller's to close. */
  constructor(engine: Engine, index: ChunkIndex, options: LocalIngestOptions) {
    const { store, clock, random } = engine;
    this.#engine = engine;
    this.#index = index;
    this.#plans = new PlanMaker(index, new BlockIndexes(store.blocks));
    this.#packer = new BlockPacker(options.domain, options.blockBytes ?? BLOCK_BYTES_DEFAULT);
    this.#lease = new Lease(store.datasets, clock, random.id(), options.publisher);
    this.#dryRun = options.dryRun === true;
    if (options.reference !== undefined) this.#lease.addVersion(options.reference);
  }

  /** Makes the first claim: to be awaited before anything of the store is relied on. */
  async begin(options: CallOptions): Promise<void> {
    if (!this.#dryRun) await this.#lease.store(options);
  }

  missing(digests: readonly Digest[]): Promise<readonly boolean[]> {
    const answers = digests.map((digest) => {
      if (this.#promised.has(digest)) return false;
      const location = this.#index.find(digest);
      if (location === undefined) {
        this.#promised.add(digest);
        return true;
      }
      this.#lease.addBlock(location.block);
      return false;
    });
    return Promise.resolve(answers);
  }

  async canBase(bases: readonly Digest[], decodedBytes: number, options: CallOptions = {}): Promise<boolean> {
    return (await this.#plans.cost(bases, decodedBytes, options)) !== undefined;
  }

  async put(frames: readonly IngestFrame[], options: CallOptions = {}): Promise<void> {
    for (const frame of frames) {
      const info = await this.#describe(frame, options);
      await this.#pack(info, frame.stored, options);
    }
  }

  async putPage(page: EncodedPage, options: CallOptions = {}): Promise<void> {
    const [isMissing] = await this.missing([page.digest]);
    if (isMissing === true) {
      const { codec, stored } = encodePlain(page.bytes, DEFAULT_COMPRESSION_LEVEL);
      const info = {
        codec,
        storedBytes: stored.byteLength,
        digests: joinDigests([page.digest]),
        lengths: [page.bytes.byteLength],
        base: undefined,
        depth: 0,
        decodeBytes: 0,
        isPage: true,
      };
      this.#manifestBytes += stored.byteLength;
      await this.#pack(info, stored, options);
    }
    const items = itemsOf(page);
    if (items.length > 0) this.#pending.push({ key: page.digest, covers: "items", items });
  }

  async publish(publication: Publication, options: CallOptions = {}): Promise<Published> {
    const version = digestOf(publication.root);
    this.#pending.push(rootPlan(version, publication));
    await this.#sealAndSend(options);
    await this.#settle();
    await this.#writePlans(options);
    await this.#putManifest(version, publication, options);
    const moved = this.#dryRun
      ? publication.tags.map(() => false)
      : await this.#commit(version, publication, options);
    await this.#lease.release();
    return { version, moved, totals: this.#totals() };
  }

  async abort(): Promise<void> {
    await Promise.allSettled(this.#puts);
    await this.#lease.release();
  }

  #totals(): IngestTotals {
    return { storedBytes: this.#storedBytes, manifestBytes: this.#manifestBytes };
  }

  async #describe(frame: IngestFrame, options: CallOptions): Promise<FrameInfo> {
    const { codec, chunks, stored, base } = frame;
    const lengths = chunks.map((chunk) => chunk.length);
    const info = {
      codec,
      storedBytes: stored.byteLength,
      digests: joinDigests(chunks.map((chunk) => chunk.digest)),
      lengths,
      base: undefined,
      depth: 0,
      decodeBytes: 0,
      isPage: false,
    };
    if (base === undefined) return info;
    const decodedBytes = lengths.reduce((sum, length) => sum + length, 0);
    const cost = await this.#plans.cost(splitDigests(base.digests), decodedBytes, options);
    if (cost === undefined) throw missing(digestOf(base.digests));
    return { ...info, base, ...cost };
  }

  async #pack(info: FrameInfo, stored: Uint8Array, options: CallOptions): Promise<void> {
    if (this.#packer.isFull(stored.byteLength)) await this.#sealAndSend(options);
    this.#packer.add(info, stored);
  }

  /** Starts the block's way to the store, if there is one; waits while too many are on it. */
  async #sealAndSend(options: CallOptions): Promise<void> {
    const sealed = this.#packer.seal();
    if (sealed === undefined) return;
    this.#storedBytes += sealed.bytes;
    if (this.#dryRun) {
      this.#packer.recycle(sealed);
      return;
    }
    this.#lease.addBlock(sealed.digest);
    await this.#lease.storeGrown(options);
    while (this.#puts.size >= PUTS_MAX) await Promise.race(this.#puts);
    this.#throwFailure();
    const put = this.#store(sealed, options)
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => this.#puts.delete(put));
    this.#puts.add(put);
  }

  async #store(sealed: SealedBlock, options: CallOptions): Promise<void> {
    await this.#engine.store.blocks.put(sealed.digest, sealed.parts, options);
    this.#packer.recycle(sealed);
    this.#index.add(sealed.digest, sealed.frames, sealed.offsets);
    for (const frame of sealed.frames)
      for (const digest of splitDigests(frame.digests)) this.#promised.delete(digest);
    await this.#writePlans(options);
  }

  async #settle(): Promise<void> {
    while (this.#puts.size > 0) await Promise.all(this.#puts);
    this.#throwFailure();
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure as Error;
  }

  /** Writes the plans whose chunks are all in sealed blocks; pages come after their chunks, so these are the first. */
  async #writePlans(options: CallOptions): Promise<void> {
    const ready: PendingPlan[] = [];
    const isSealed = (plan: PendingPlan): boolean =>
      plan.items.every((digest) => !this.#promised.has(digest));
    while (this.#pending[0] !== undefined && (this.#dryRun || isSealed(this.#pending[0]))) {
      ready.push(this.#pending[0]);
      this.#pending.shift();
    }
    if (this.#dryRun) return;
    for (let next = 0; next < ready.length; next += PARALLEL_MAX) {
      await Promise.all(ready.slice(next, next + PARALLEL_MAX).map((plan) => this.#writePlan(plan, options)));
    }
  }

  /** Others may write the same plan meanwhile, or this session itself, for a page that stands twice in the version. */
  async #writePlan(pending: PendingPlan, options: CallOptions): Promise<void> {
    const { datasets } = this.#engine.store;
    for (let tries = 1; ; tries++) {
      const present = await datasets.getPlan(pending.key, options);
      if (present !== undefined && this.#holds(present.value)) return;
      const { plan, blocks } = await this.#plans.make(pending.covers, pending.items, options);
      for (const block of blocks) this.#lease.addBlock(block);
      const bytes = encodePlan(plan);
      try {
        await datasets.putPlan(pending.key, bytes, present?.revision, options);
        this.#count(bytes);
        return;
      } catch (error) {
        // Another push planned the same page meanwhile; or this one did, of a page that stands twice in the version.
        if (codeOf(error) !== "OBJECT_CONFLICT" || tries === PLAN_TRIES_MAX) throw error;
      }
    }
  }

  /** Whether a plan leads only to blocks that are there. One that does not is replaced: the store heals. */
  #holds(bytes: Uint8Array): boolean {
    try {
      return decodePlan(bytes).frames.every((frame) => this.#index.knows(frame.block));
    } catch (error) {
      if (codeOf(error) === "OBJECT_INVALID" || codeOf(error) === "OBJECT_CORRUPT") return false;
      throw error;
    }
  }

  async #putManifest(version: Digest, publication: Publication, options: CallOptions): Promise<void> {
    const { datasets } = this.#engine.store;
    const bundle = { root: publication.root, pages: publication.inlinePages };
    const bytes = encodeManifest(bundle, publication.base);
    if ((await datasets.getManifest(version, options)) !== undefined) return;
    this.#count(bytes);
    if (!this.#dryRun) await datasets.putManifest(version, bytes, options);
  }

  #count(bytes: Uint8Array): void {
    this.#storedBytes += bytes.byteLength;
    this.#manifestBytes += bytes.byteLength;
  }

  /** The barrier, the last look for every block, then the tags. docs/format.md §9 */
  async #commit(version: Digest, publication: Publication, options: CallOptions): Promise<boolean[]> {
    const { store, random } = this.#engine;
    await this.#lease.storeGrown(options);
    await Promise.all([store.blocks.flush(options), store.datasets.flush(options)]);
    await this.#checkBlocks(options);
    const root = decodeRoot(publication.root);
    const moved: boolean[] = [];
    for (const { name, tag } of publication.tags) {
      const { publisher, message, labels } = publication;
      const totals = { files: root.files, bytes: root.bytes };
      const change = { digest: version, ...totals, state: "announced", publisher, message, labels } as const;
      const result = await commitTag(this.#engine, name, tag, { ...change, writeId: random.id() }, options);
      moved.push(result.moved);
    }
    return moved;
  }

  async #checkBlocks(options: CallOptions): Promise<void> {
    const used = [...this.#lease.blocks];
    const check = async (block: Digest): Promise<void> => {
      if ((await this.#engine.store.blocks.stat(block, options)) !== undefined) return;
      this.#index.remove(block);
      throw missing(block);
    };
    for (let next = 0; next < used.length; next += PARALLEL_MAX) {
      await Promise.all(used.slice(next, next + PARALLEL_MAX).map(check));
    }
  }
}

/** What a page's plan places: its children or chunks; entries and times lie in the page itself. */
function itemsOf(page: EncodedPage): Digest[] {
  if (page.level === 0 && page.kind !== "chunks") return [];
  const decoded = decodePage(page.bytes, page.kind, page.level);
  if ("children" in decoded) return decoded.children.map((child) => child.digest);
  return "chunks" in decoded ? decoded.chunks.map((chunk) => chunk.digest) : [];
}

function rootPlan(version: Digest, publication: Publication): PendingPlan {
  const root = decodeRoot(publication.root);
  if (publication.inlinePages.length === 0) {
    const tops = [root.entries, root.times, root.chunks].flatMap((tree) =>
      tree === undefined ? [] : [tree.digest],
    );
    return { key: version, covers: "items", items: tops };
  }
  const items: Digest[] = [];
  const pages = new Map(publication.inlinePages.map((page) => [digestOf(page), page]));
  const visit = (digest: Digest, level: number): void => {
    const bytes = pages.get(digest);
    if (bytes === undefined) throw missing(digest);
    const page = decodePage(bytes, "chunks", level);
    if ("children" in page) for (const child of page.children) visit(child.digest, level - 1);
    else if ("chunks" in page) for (const chunk of page.chunks) items.push(chunk.digest);
  };
  if (root.chunks !== undefined) visit(root.chunks.digest, root.chunks.level);
  return { key: version, covers: "version", items };
}

function splitDigests(joined: Uint8Array): Digest[] {
  const digests: Digest[] = [];
  for (let offset = 0; offset < joined.byteLength; offset += DIGEST_BYTES)
    digests.push(digestFromBytes(joined, offset));
  return digests;
}
