/** A session on a store that this process holds itself. */
import { codeOf } from "../../base/errors.ts";
import { BLOCK_BYTES_DEFAULT, type FrameInfo } from "../../format/block.ts";
import { digestOf, type Digest } from "../../format/digest.ts";
import { DEFAULT_COMPRESSION_LEVEL, DEPTH_MAX, encodePlain } from "../../format/frame.ts";
import { encodeManifest } from "../../format/manifest.ts";
import type { EncodedPage } from "../../format/page.ts";
import type { Plan } from "../../format/plan.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { Engine } from "../engine.ts";
import { BlockDomains } from "../version/block-domains.ts";
import { loadBundle } from "../version/manifest-source.ts";
import { Traffic } from "../version/traffic.ts";
import { BlockIndexes, missing } from "./block-indexes.ts";
import { BlockPacker, joinDigests, splitDigests, type LastKind, type SealedBlock } from "./block-packer.ts";
import type { ChunkIndex, ChunkLocation } from "./chunk-index.ts";
import { Commit } from "./commit.ts";
import { StoredBases } from "./delta-bases.ts";
import type {
  IngestFrame,
  IngestSession,
  IngestTotals,
  PageForm,
  Publication,
  Published,
  SeenTags,
} from "./ingest.ts";
import { Lease } from "./lease.ts";
import { PlanMaker } from "./plan-maker.ts";
import { ReBase } from "./re-base.ts";
import { PlanWriter, itemsOf, rootPlan } from "./plan-writer.ts";

/** Blocks on their way to the store while the next one fills. */
const PUTS_MAX = 1;

/** What a session is for. */
export interface LocalSessionOptions {
  readonly domain: string;
  readonly publisher: string;
  readonly blockBytes?: number | undefined;
  /** Writes nothing, but counts what it would write. */
  readonly dryRun?: boolean | undefined;
  /** The version whose chunks the producer reuses without asking for each. */
  readonly reference?: Digest | undefined;
  /** How the tags stood. */
  readonly seen?: SeenTags | undefined;
}

/** A session on a store: packs frames into blocks, claims what it builds on, writes plans and manifest, moves the tags. */
export class LocalSession implements IngestSession {
  readonly bases: StoredBases;
  /** Whether the producer builds on a version before. */
  readonly isUpdate: boolean;
  /** Its producer has the old bytes as near as the session itself. */
  readonly takesProposals = false;
  readonly #engine: Engine;
  readonly #domain: string;
  readonly #index: ChunkIndex;
  readonly #plans: PlanMaker;
  readonly #planWriter: PlanWriter;
  readonly #packer: BlockPacker;
  readonly #lease: Lease;
  readonly #commit: Commit;
  readonly #dryRun: boolean;
  readonly #reference: Digest | undefined;
  /** Chunks that were declared missing or put, until their block is stored. */
  readonly #promised = new Set<Digest>();
  /** Of those, the ones that were put. */
  readonly #packed = new Set<Digest>();
  readonly #puts = new Set<Promise<void>>();
  readonly #reBase: ReBase;
  #packing: Promise<void> = Promise.resolve();
  #storedBytes = 0;
  #manifestBytes = 0;
  #failure: unknown;

  /** `index` is synced with the store (syncIndex); the session closes it when it ends. */
  constructor(engine: Engine, index: ChunkIndex, options: LocalSessionOptions) {
    const { store, clock, random } = engine;
    this.#engine = engine;
    this.#domain = options.domain;
    this.#index = index;
    this.#plans = new PlanMaker(index, new BlockIndexes(store.blocks, (block) => index.bytesOf(block)));
    this.bases = new StoredBases(engine, index, this.#plans);
    this.#packer = new BlockPacker(options.domain, options.blockBytes ?? BLOCK_BYTES_DEFAULT);
    this.#lease = new Lease(store.datasets, clock, random.id(), options.publisher);
    this.#commit = new Commit(engine, index, this.#lease, options.seen?.tags);
    this.#dryRun = options.dryRun === true;
    this.#reference = options.reference;
    const { domain } = options;
    const domains = new BlockDomains(store.blocks);
    const parts = {
      datasets: this.#commit.manifests,
      index,
      plans: this.#plans,
      lease: this.#lease,
      domain,
      domains,
    };
    this.#planWriter = new PlanWriter(parts);
    this.#reBase = new ReBase({
      engine,
      plans: this.#plans,
      pack: async (frame, call) => {
        const info = await this.#describe(frame, call);
        await this.#pack(info, frame.stored, call, "reBased");
        if (info.isPage) this.#manifestBytes += info.storedBytes;
        return info;
      },
    });
    this.isUpdate = options.reference !== undefined;
    if (options.reference !== undefined) this.#lease.addVersion(options.reference);
  }

  /** Makes the first claim: to be awaited before anything of the store is relied on. */
  async begin(options: CallOptions): Promise<void> {
    if (!this.#dryRun) await this.#commit.begin(options);
  }

  /** The domain that the session's chunks lie in. */
  get domain(): string {
    return this.#domain;
  }

  /** Chunks and pages that were declared missing or put, and are not stored yet. */
  get expected(): number {
    return this.#promised.size;
  }

  /** Where a chunk or page lies that was stored; undefined of others, those that were just put among them. */
  find(digest: Digest): ChunkLocation | undefined {
    return this.#index.find(digest);
  }

  /** Where chunks that were stored lie, with all that decoding them takes. Errors: OBJECT_MISSING. */
  async planOf(digests: readonly Digest[], options: CallOptions): Promise<Plan> {
    return (await this.#plans.make("items", digests, options)).plan;
  }

  async missing(digests: readonly Digest[], options: CallOptions = {}): Promise<readonly boolean[]> {
    const answers: boolean[] = [];
    for (const digest of digests) answers.push(await this.#promise(digest, options));
    return answers;
  }

  async canBase(bases: readonly Digest[], decodedBytes: number, options: CallOptions = {}): Promise<boolean> {
    return (await this.#reBase.allow(bases, decodedBytes, options)) !== undefined;
  }

  async put(frames: readonly IngestFrame[], options: CallOptions = {}): Promise<void> {
    for (const frame of frames) {
      // Looking for hundreds of bases takes a while: others have their turns.
      if (frame.base !== undefined) await new Promise(setImmediate);
      const info = await this.#describe(frame, options);
      if (!this.#isOfUse(info)) continue;
      if (!this.#dryRun) this.bases.expect(frame.chunks);
      await this.#pack(info, frame.stored, options);
    }
  }

  /**
   * Whether to pack a delta of chunks that are all there already: for plans, where it lies deeper than they do. Else whoever
   * makes an index anew from the blocks might take it for their place, and count on what it takes to decode.
   */
  #isOfUse(info: FrameInfo): boolean {
    if (info.base === undefined) return true;
    const depths: number[] = [];
    for (const digest of splitDigests(info.digests)) {
      const location = this.#promised.has(digest) ? undefined : this.find(digest);
      if (location === undefined) return true;
      depths.push(location.depth);
    }
    return info.depth > Math.max(...depths) && this.#plans.expectAgain(info);
  }

  async putPage(page: EncodedPage, { frame }: PageForm = {}, options: CallOptions = {}): Promise<void> {
    const isMissing = await this.#promise(page.digest, options);
    if (isMissing || (this.#promised.has(page.digest) && !this.#packed.has(page.digest))) {
      const { stored, ...form } = frame ?? plainPage(page);
      const info = await this.#describe({ ...form, stored, isPage: true }, options);
      this.#manifestBytes += stored.byteLength;
      await this.#pack(info, stored, options, info.base === undefined ? undefined : page.kind);
    }
    const items = itemsOf(page);
    const bases = frame?.base && splitDigests(frame.base.digests);
    if (items.length > 0 && !this.#dryRun)
      this.#planWriter.add({ key: page.digest, covers: "items", items, bases, isNew: isMissing });
  }

  async publish(publication: Publication, options: CallOptions = {}): Promise<Published> {
    const version = digestOf(publication.root);
    this.#commit.expect(version);
    this.#planWriter.add({ ...rootPlan(version, publication), isNew: version !== this.#reference });
    await this.keep(options);
    await this.#writePlans(options);
    if (!this.#dryRun) this.#planWriter.checkDone(this.#promised);
    await this.#putManifest(version, publication, options);
    const moved = this.#dryRun
      ? publication.tags.map(() => false)
      : await this.#commit.run(publication, options);
    await this.#end();
    return { version, moved, totals: this.#totals() };
  }

  /** Stores what was put, and publishes nothing. The session goes on. Errors: those of the store. */
  async keep(options: CallOptions = {}): Promise<void> {
    await this.#sealAndSend(options);
    await this.#settle();
  }

  async abort(): Promise<void> {
    await Promise.allSettled(this.#puts);
    await this.#end();
  }

  async #end(): Promise<void> {
    await this.#lease.release();
    this.#index.close();
  }

  /** Whether the chunk is missing, and was not promised before. */
  async #promise(digest: Digest, options: CallOptions): Promise<boolean> {
    if (this.#promised.has(digest)) return false;
    const location = this.#index.find(digest);
    if (location !== undefined && (await this.#plans.isWhole(location, digest, options))) {
      this.#lease.addBlock(location.block);
      return false;
    }
    // Somebody else may have asked for the same one meanwhile.
    if (this.#promised.has(digest)) return false;
    if (location !== undefined) this.#index.forget(digest);
    this.#promised.add(digest);
    return true;
  }

  #totals(): IngestTotals {
    const storedBytes = this.#storedBytes;
    return { sentBytes: storedBytes, storedBytes, manifestBytes: this.#manifestBytes };
  }

  async #describe(frame: IngestFrame, options: CallOptions): Promise<FrameInfo> {
    const { codec, chunks, stored, base, isPage = false } = frame;
    const lengths = chunks.map((chunk) => chunk.length);
    const info = {
      codec,
      storedBytes: stored.byteLength,
      digests: joinDigests(chunks.map((chunk) => chunk.digest)),
      lengths,
      base: undefined,
      depth: 0,
      decodeBytes: 0,
      isPage,
    };
    if (base === undefined) return info;
    const decodedBytes = lengths.reduce((sum, length) => sum + length, 0);
    const cost = await this.#reBase.allow(splitDigests(base.digests), decodedBytes, options);
    if (cost === undefined) throw missing(digestOf(base.digests));
    return { ...info, base, ...cost };
  }

  /** Frames of the producer and of re-basing come at the same time, and go one after another. */
  #pack(info: FrameInfo, stored: Uint8Array, options: CallOptions, last?: LastKind): Promise<void> {
    const packing = this.#packing.then(() => this.#packInTurn(info, stored, options, last));
    this.#packing = packing.catch(() => undefined);
    return packing;
  }

  async #packInTurn(
    info: FrameInfo,
    stored: Uint8Array,
    options: CallOptions,
    last: LastKind | undefined,
  ): Promise<void> {
    if (this.#packer.isFull(stored.byteLength)) await this.#sealAndSend(options);
    if (last === undefined) this.#packer.add(info, stored);
    else this.#packer.addLast(info, stored, last);
    for (const digest of splitDigests(info.digests)) {
      this.#promised.add(digest);
      this.#packed.add(digest);
    }
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
    // One that lay there, damaged, may have been left as it was.
    if (!this.#index.unreadable.has(sealed.digest)) this.#commit.noteStored(sealed.digest);
    this.#packer.recycle(sealed);
    this.#index.add(sealed);
    this.#plans.settle(sealed, this.#domain);
    const digests = sealed.frames.flatMap((frame) => splitDigests(frame.digests));
    await this.bases.settle(digests);
    for (const digest of digests) {
      this.#promised.delete(digest);
      this.#packed.delete(digest);
    }
    await this.#writePlans(options);
  }

  async #settle(): Promise<void> {
    while (this.#puts.size > 0) await Promise.all(this.#puts);
    this.#throwFailure();
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure as Error;
  }

  async #writePlans(options: CallOptions): Promise<void> {
    if (this.#dryRun) return;
    const bytes = await this.#planWriter.write(this.#promised, options);
    this.#storedBytes += bytes;
    this.#manifestBytes += bytes;
  }

  async #putManifest(version: Digest, publication: Publication, options: CallOptions): Promise<void> {
    const { root, inlinePages: pages, base } = publication;
    // Another version than the reference is rarely there: it is looked for when it cannot be added.
    const isNew = version !== this.#reference && !this.#dryRun;
    if (!isNew && (await this.#hasManifest(version, pages, options))) return;
    if (base?.depth === DEPTH_MAX)
      await this.#writeManifest(base.version, encodeManifest(base.bundle), options);
    const shallow = base && { ...base, depth: base.depth % DEPTH_MAX };
    const bytes = encodeManifest({ root, pages }, shallow);
    const isAdded = isNew && (await this.#commit.manifests.addManifest(version, bytes, options));
    if (isAdded) this.#countManifest(bytes);
    else if (isNew && (await this.#hasManifest(version, pages, options))) return;
    else await this.#writeManifest(version, bytes, options);
    // Reads the bases' objects too, whose names count.
    if (this.#commit.isWatching)
      await loadBundle(this.#commit.manifests, version, { ...options, traffic: new Traffic() });
  }

  async #writeManifest(version: Digest, bytes: Uint8Array, options: CallOptions): Promise<void> {
    this.#countManifest(bytes);
    if (!this.#dryRun) await this.#commit.manifests.putManifest(version, bytes, options);
  }

  #countManifest({ byteLength }: Uint8Array): void {
    this.#storedBytes += byteLength;
    this.#manifestBytes += byteLength;
  }

  /** Whether the version's manifest object is there and can be read, with all that it needs. */
  async #hasManifest(version: Digest, pages: readonly Uint8Array[], options: CallOptions): Promise<boolean> {
    // What was read a moment ago may be remembered, though it was pruned.
    if (!(await this.#engine.store.datasets.hasObject("manifests", version, options))) return false;
    try {
      const bundle = await loadBundle(this.#commit.manifests, version, {
        ...options,
        traffic: new Traffic(),
      });
      const present = new Set(bundle.pages.map(digestOf));
      return pages.every((page) => present.has(digestOf(page)));
    } catch (error) {
      const code = codeOf(error);
      if (code === "VERSION_NOT_FOUND" || code.startsWith("OBJECT_")) return false;
      throw error;
    }
  }
}

function plainPage({ digest, bytes }: EncodedPage): IngestFrame {
  const chunks = [{ digest, length: bytes.byteLength }];
  return { ...encodePlain(bytes, DEFAULT_COMPRESSION_LEVEL), chunks, base: undefined };
}
