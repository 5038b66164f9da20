/** Versions as blocks of the first AetherFS's interface. docs/format.md §8.6, docs/decisions/0007 */
import { isDeepStrictEqual } from "node:util";
import { AetherError, codeOf } from "../../base/errors.ts";
import { MiB } from "../../base/limits.ts";
import { digestOf, type Digest } from "../../format/digest.ts";
import type { DatasetName } from "../../format/reference.ts";
import {
  decodeView,
  encodeView,
  LAYOUTS_MAX,
  type BlockPlace,
  type Layout,
  type SignatureRecord,
  type ViewRecord,
} from "../../format/view-record.ts";
import type { CallOptions } from "../../store/block-store.ts";
import { Gate } from "../../store/layers/gate.ts";
import type { Engine } from "../engine.ts";
import { ChunkReader } from "../version/chunk-reader.ts";
import { LoadingCache } from "../version/loading-cache.ts";
import { openVersion } from "../version/version.ts";
import { filesOf, spansWithin, type PlacedFile } from "./layout.ts";
import { BlockSigner } from "./signature.ts";
import { addPlace, readSignature } from "./signatures.ts";
import { readUpload, renewUpload } from "./uploads.ts";

/** Of versions that nobody cut into blocks. */
const BLOCK_BYTES_DEFAULT = 64 * MiB;
/** Files whose places are remembered, of all versions together: some 40 MB. */
const FILES_KEPT_MAX = 200_000;
/** Paths and signatures of views that are remembered: some 40 MB. */
const RECORD_ITEMS_MAX = 200_000;
/** Versions that wait to be cut into blocks. */
const WAITERS_MAX = 100;
/** Times that a view is written anew because somebody else wrote it meanwhile. */
const TRIES_MAX = 16;

/** Who asks for blocks. */
export interface BlockCaller {
  readonly name: string;
  readonly mayRead: (dataset: DatasetName) => Promise<boolean>;
}

/** A version's files in the order of its layout. */
export interface View {
  readonly layout: Layout;
  readonly files: readonly PlacedFile[];
}

/** A block that its caller may read. */
export interface FoundBlock {
  readonly bytes: number;
  /** It was uploaded and lies apart; the call that found it made it stay for another day. */
  readonly isUpload: boolean;
  /** Bytes `start` to `end`, verified. */
  readonly read: (start: number, end: number) => AsyncIterable<Uint8Array>;
}

/** The views of a store's versions. */
export class Views {
  readonly #engine: Engine;
  readonly #stopping: AbortSignal;
  readonly #files = new LoadingCache<readonly PlacedFile[]>(FILES_KEPT_MAX, (files) => files.length + 1);
  readonly #deriving = new Map<Digest, Promise<Layout>>();
  /** Reading a whole version takes the engine's memory for itself. */
  readonly #turns = new Gate({ callsMax: 1, bytesMax: 1, waitersMax: WAITERS_MAX });
  readonly #records = new LoadingCache<ViewRecord | undefined>(RECORD_ITEMS_MAX, recordItems);

  constructor(engine: Engine, stopping: AbortSignal) {
    this.#engine = engine;
    this.#stopping = stopping;
  }

  /**
   * The version of the dataset as blocks: as it was published through the interface, else in 64 MiB, for which its stream
   * is read once, whoever gives up waiting. Errors: LIMIT_EXCEEDED, VERSION_NOT_FOUND, those of reading.
   */
  async get(dataset: DatasetName, version: Digest, options: CallOptions = {}): Promise<View> {
    const known = (await this.#read(version, options))?.layouts.at(-1);
    const files = known === undefined ? await this.#placed(version, { files: null }) : [];
    const layout = known ?? (await this.#derive(dataset, version, files));
    await this.#ensurePlace(dataset, version, layout, options);
    return { layout, files: known === undefined ? files : await this.#placed(version, layout) };
  }

  /** The block, if the caller may read it: they uploaded it, or may read a dataset that has it. */
  async find(
    signature: Digest,
    caller: BlockCaller,
    options: CallOptions = {},
  ): Promise<FoundBlock | undefined> {
    const record = await readSignature(this.#engine.store.datasets, signature, options);
    if (record === undefined) return undefined;
    return (
      (await this.#inVersion(record, caller, options)) ?? (await this.#uploaded(record, caller, options))
    );
  }

  /** Notes a layout of a version as the one to show; `publisher` uploaded its blocks, if anybody did. */
  async add(
    dataset: DatasetName,
    version: Digest,
    layout: Layout,
    options: CallOptions & { readonly publisher?: string } = {},
  ): Promise<void> {
    const { datasets } = this.#engine.store;
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const found = await datasets.getView({ kind: "view", digest: version }, options);
      const others = found === undefined ? [] : decodeView(found.value).layouts;
      const layouts = [...others.filter((other) => !isDeepStrictEqual(other, layout)), layout].slice(
        -LAYOUTS_MAX,
      );
      try {
        const key = { kind: "view", digest: version } as const;
        await datasets.putView(key, encodeView({ version, layouts }), found?.revision, options);
        this.#records.remove(version);
        await this.#addPlaces({ dataset, version }, layout, options.publisher, options);
        return;
      } catch (error) {
        if (codeOf(error) !== "OBJECT_CONFLICT") throw error;
      }
    }
    throw new AetherError(
      "OBJECT_CONFLICT",
      "a version's view is being written by too many at once: try again",
    );
  }

  async #read(version: Digest, options: CallOptions): Promise<ViewRecord | undefined> {
    const found = await this.#engine.store.datasets.getView({ kind: "view", digest: version }, options);
    const record = found && decodeView(found.value);
    if (record === undefined || record.version === version) return record;
    throw new AetherError("OBJECT_INVALID", "a version's view is another's");
  }

  #placed(version: Digest, layout: Pick<Layout, "files">): Promise<readonly PlacedFile[]> {
    const order = layout.files === null ? "" : digestOf(Buffer.from(layout.files.join("\0")));
    const load = async (): Promise<readonly PlacedFile[]> =>
      filesOf(await openVersion(this.#engine, version), layout);
    return this.#files.get(`${version} ${order}`, load);
  }

  #derive(dataset: DatasetName, version: Digest, files: readonly PlacedFile[]): Promise<Layout> {
    const under = this.#deriving.get(version);
    if (under !== undefined) return under;
    const deriving = this.#turns
      .run(1, () => this.#sign(version, files), this.#stopping)
      .then(async (layout) => {
        await this.add(dataset, version, layout, { signal: this.#stopping });
        return layout;
      })
      .finally(() => this.#deriving.delete(version));
    this.#deriving.set(version, deriving);
    return deriving;
  }

  async #sign(version: Digest, files: readonly PlacedFile[]): Promise<Layout> {
    const opened = await openVersion(this.#engine, version, { signal: this.#stopping });
    const blocks: Digest[] = [];
    let signer = new BlockSigner();
    let signedBytes = 0;
    for await (const piece of new ChunkReader(this.#engine, opened).readRange(0, streamBytes(files))) {
      for (let at = 0; at < piece.byteLength;) {
        const part = piece.subarray(at, at + BLOCK_BYTES_DEFAULT - signedBytes);
        signer.update(part);
        at += part.byteLength;
        signedBytes += part.byteLength;
        if (signedBytes < BLOCK_BYTES_DEFAULT) continue;
        blocks.push(signer.finish());
        signer = new BlockSigner();
        signedBytes = 0;
      }
    }
    if (signedBytes > 0) blocks.push(signer.finish());
    return { blockBytes: BLOCK_BYTES_DEFAULT, files: null, blocks };
  }

  /** Another dataset may have the same version: its readers find the blocks through it. */
  async #ensurePlace(
    dataset: DatasetName,
    version: Digest,
    layout: Layout,
    options: CallOptions,
  ): Promise<void> {
    const [first] = layout.blocks;
    if (first === undefined) return;
    const record = await readSignature(this.#engine.store.datasets, first, options);
    if (record?.places.some((place) => place.dataset === dataset && place.version === version) === true)
      return;
    await this.#addPlaces({ dataset, version }, layout, undefined, options);
  }

  async #addPlaces(
    place: BlockPlace,
    layout: Layout,
    publisher: string | undefined,
    options: CallOptions,
  ): Promise<void> {
    const totalBytes = streamBytes(await this.#placed(place.version, layout));
    for (const [index, signature] of layout.blocks.entries()) {
      const bytes = Math.min(layout.blockBytes, totalBytes - index * layout.blockBytes);
      await addPlace(this.#engine.store.datasets, { signature, bytes }, place, publisher, options);
    }
  }

  async #inVersion(
    { signature, bytes, places }: SignatureRecord,
    caller: BlockCaller,
    options: CallOptions,
  ): Promise<FoundBlock | undefined> {
    const { datasets } = this.#engine.store;
    for (const { dataset, version } of places.toReversed()) {
      if (!(await caller.mayRead(dataset))) continue;
      const layout = await this.#layoutWith(version, signature);
      if (layout === undefined || (await datasets.getManifest(version, options)) === undefined) continue;
      const blockStart = layout.blocks.indexOf(signature) * layout.blockBytes;
      const read = (start: number, end: number): AsyncIterable<Uint8Array> =>
        this.#readVersion(version, layout, blockStart + start, blockStart + end, options);
      return { bytes, isUpload: false, read };
    }
    return undefined;
  }

  /** Another hub may have added a layout since the view was remembered. */
  async #layoutWith(version: Digest, signature: Digest): Promise<Layout | undefined> {
    const has = ({ blocks }: Layout): boolean => blocks.includes(signature);
    const load = (): Promise<ViewRecord | undefined> => this.#read(version, { signal: this.#stopping });
    const known = await this.#records.get(version, load);
    const layout = known?.layouts.findLast(has);
    if (layout !== undefined) return layout;
    this.#records.remove(version);
    return (await this.#records.get(version, load))?.layouts.findLast(has);
  }

  async #uploaded(
    { bytes, upload }: SignatureRecord,
    caller: BlockCaller,
    options: CallOptions,
  ): Promise<FoundBlock | undefined> {
    if (upload?.holders.includes(caller.name) !== true) return undefined;
    if (!(await renewUpload(this.#engine, upload, options))) return undefined;
    const read = (start: number, end: number): AsyncIterable<Uint8Array> =>
      readUpload(this.#engine, upload, start, end, options);
    return { bytes, isUpload: true, read };
  }

  async *#readVersion(
    version: Digest,
    layout: Layout,
    start: number,
    end: number,
    { signal }: CallOptions,
  ): AsyncGenerator<Uint8Array> {
    const files = await this.#placed(version, layout);
    const opened = await openVersion(this.#engine, version, { signal });
    const reader = new ChunkReader(this.#engine, opened);
    for (const span of spansWithin(files, start, end)) yield* reader.readRange(span.start, span.end);
  }
}

function recordItems(record: ViewRecord | undefined): number {
  const counts = record?.layouts.map(({ blocks, files }) => blocks.length + (files?.length ?? 0)) ?? [];
  return counts.reduce((sum, count) => sum + count, 1);
}

function streamBytes(files: readonly PlacedFile[]): number {
  return files.reduce((sum, { entry }) => sum + entry.size, 0);
}
