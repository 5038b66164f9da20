/**
 * `node many-chunks-child.ts STORE CHUNKS`: makes a store that holds that many tiny chunks, by the format's encoders alone: the
 * versions v1 to v6 of one dataset, each a half of the chunks, a fifth of which are new in it. Prints what it made as JSON.
 */
import { createHash } from "node:crypto";
import { must } from "../src/base/assert.ts";
import { systemClock } from "../src/base/clock.ts";
import { systemRandom } from "../src/base/random.ts";
import type { Engine } from "../src/dataset/engine.ts";
import { BlockPacker, type SealedBlock } from "../src/dataset/ingest/block-packer.ts";
import { itemsOf } from "../src/dataset/ingest/plan-writer.ts";
import { commitTag } from "../src/dataset/tags.ts";
import { WorkerPool } from "../src/dataset/workers/pool.ts";
import { BLOCK_BYTES_DEFAULT } from "../src/format/block.ts";
import { DEFAULT_CHUNKING } from "../src/format/chunking.ts";
import { digestBytes, digestFromBytes, digestOf, type Digest } from "../src/format/digest.ts";
import { CODECS } from "../src/format/frame.ts";
import { encodeManifest, encodeRoot } from "../src/format/manifest.ts";
import type { EncodedPage } from "../src/format/page.ts";
import { encodePlan, type PlanFrame } from "../src/format/plan.ts";
import { parseDatasetName, parseTag } from "../src/format/reference.ts";
import { ChunkTreeBuilder, EntryTreesBuilder } from "../src/format/tree.ts";
import { openStore } from "../src/store/drivers/all.ts";

const VERSIONS = 6;
const CHUNK_BYTES = 8;
/** As many as a block of real chunks has: 32 MiB of some 32 KiB, as they are stored. */
const FRAMES_PER_BLOCK = 1024;
/** What changes from version to version: the first fifth of every so many chunks. */
const STRIDE = 5000;
const PARALLEL = 16;
const NAME = parseDatasetName("many");

/** Where frames lie: of chunks by number, of pages by digest. */
class FrameWriter {
  readonly #engine: Engine;
  readonly #packer = new BlockPacker("", BLOCK_BYTES_DEFAULT);
  readonly #blocks: Digest[] = [];
  readonly #chunkBlocks: Uint32Array;
  readonly #chunkOffsets: Uint32Array;
  readonly #pages = new Map<Digest, { block: number; offset: number; storedBytes: number }>();
  #waiting: ((block: number, offset: number) => void)[] = [];

  constructor(engine: Engine, chunks: number) {
    this.#engine = engine;
    this.#chunkBlocks = new Uint32Array(chunks);
    this.#chunkOffsets = new Uint32Array(chunks);
  }

  get blocks(): number {
    return this.#blocks.length;
  }

  hasPage(page: Digest): boolean {
    return this.#pages.has(page);
  }

  async addChunk(number: number): Promise<void> {
    await this.#add(chunkBytes(number), false, (block, offset) => {
      this.#chunkBlocks[number] = block;
      this.#chunkOffsets[number] = offset;
    });
  }

  async addPage({ digest, bytes }: EncodedPage): Promise<void> {
    const storedBytes = bytes.byteLength;
    await this.#add(bytes, true, (block, offset) => this.#pages.set(digest, { block, offset, storedBytes }));
  }

  chunkFrame(number: number): PlanFrame {
    const block = must(this.#blocks[must(this.#chunkBlocks[number], "in range")], "the block is sealed");
    const offset = must(this.#chunkOffsets[number], "in range");
    return { block, offset, storedBytes: CHUNK_BYTES, codec: CODECS.raw, delta: undefined };
  }

  pageFrame(page: Digest): PlanFrame {
    const { block, offset, storedBytes } = must(this.#pages.get(page), "the page was stored");
    const digest = must(this.#blocks[block], "the block is sealed");
    return { block: digest, offset, storedBytes, codec: CODECS.raw, delta: undefined };
  }

  async seal(): Promise<void> {
    const sealed: SealedBlock | undefined = this.#packer.seal();
    if (sealed === undefined) return;
    await this.#engine.store.blocks.put(sealed.digest, sealed.parts);
    const block = this.#blocks.push(sealed.digest) - 1;
    for (const [index, place] of this.#waiting.entries())
      place(block, must(sealed.offsets[index], "a place for each frame"));
    this.#waiting = [];
    this.#packer.recycle(sealed);
  }

  async #add(
    stored: Uint8Array,
    isPage: boolean,
    place: (block: number, offset: number) => unknown,
  ): Promise<void> {
    if (this.#waiting.length === FRAMES_PER_BLOCK || this.#packer.isFull(stored.byteLength))
      await this.seal();
    const digests = digestBytes(digestOf(stored));
    const lengths = [stored.byteLength];
    const info = { codec: CODECS.raw, storedBytes: stored.byteLength, digests, lengths };
    this.#packer.add({ ...info, base: undefined, depth: 0, decodeBytes: 0, isPage }, stored);
    this.#waiting.push((block, offset) => void place(block, offset));
  }
}

function chunkBytes(number: number): Uint8Array {
  const bytes = Buffer.alloc(CHUNK_BYTES);
  bytes.writeDoubleLE(number);
  return bytes;
}

/** The number of the chunk that stands at a place of a version, both from 0. */
function chunkAt(version: number, place: number, perVersion: number): number {
  const isChanged = place % STRIDE < STRIDE / 5;
  if (version === 0 || !isChanged) return place;
  const changed = Math.floor(place / STRIDE) * (STRIDE / 5) + (place % STRIDE);
  return perVersion + ((version - 1) * perVersion) / 5 + changed;
}

/** Stores one version: chunks first, then pages from the leaves up, each with its plan. */
async function buildVersion(
  engine: Engine,
  frames: FrameWriter,
  version: number,
  perVersion: number,
): Promise<void> {
  for (let place = 0; place < perVersion; place++) {
    if (version === 0 || place % STRIDE < STRIDE / 5)
      await frames.addChunk(chunkAt(version, place, perVersion));
  }
  await frames.seal();
  const pages: EncodedPage[] = [];
  const inner: EncodedPage[] = [];
  const tree = new ChunkTreeBuilder((page) => void pages.push(page));
  let placed = 0;
  let plans: Promise<void>[] = [];
  const content = createHash("sha256");
  for (let place = 0; place <= perVersion; place++) {
    if (place < perVersion) {
      const bytes = chunkBytes(chunkAt(version, place, perVersion));
      content.update(bytes);
      tree.add({ digest: digestOf(bytes), length: CHUNK_BYTES });
    }
    const chunks = place < perVersion ? undefined : must(tree.finish(), "there are chunks");
    for (const page of pages.splice(0)) {
      if (page.level > 0) inner.push(page);
      const items = page.level > 0 ? 0 : itemsOf(page).length;
      const first = placed;
      placed += items;
      if (frames.hasPage(page.digest)) continue;
      await frames.addPage(page);
      if (page.level > 0) continue;
      const places = Array.from({ length: items }, (_, index) => chunkAt(version, first + index, perVersion));
      plans.push(
        putPlan(
          engine,
          page.digest,
          places.map((number) => frames.chunkFrame(number)),
        ),
      );
      if (plans.length < PARALLEL) continue;
      await Promise.all(plans);
      plans = [];
    }
    if (chunks === undefined) continue;
    const digest = digestFromBytes(content.digest());
    await finishVersion(engine, frames, { version, perVersion, chunks, inner, digest });
  }
  await Promise.all(plans);
}

async function finishVersion(
  engine: Engine,
  frames: FrameWriter,
  built: {
    readonly version: number;
    readonly perVersion: number;
    readonly chunks: NonNullable<ReturnType<ChunkTreeBuilder["finish"]>>;
    readonly inner: readonly EncodedPage[];
    /** Of all bytes. */
    readonly digest: Digest;
  },
): Promise<void> {
  const { version, perVersion, chunks, inner, digest } = built;
  const others: EncodedPage[] = [];
  const trees = new EntryTreesBuilder((page) => void others.push(page));
  const bytes = perVersion * CHUNK_BYTES;
  trees.add(
    { path: "data.bin", kind: "file", mode: 0o644, size: bytes, digest },
    { seconds: 1_700_000_000 + version, nanos: 0 },
  );
  const { entries, times } = trees.finish();
  for (const page of others) if (!frames.hasPage(page.digest)) await frames.addPage(page);
  await frames.seal();
  for (const page of inner) {
    const children = itemsOf(page).map((child) => frames.pageFrame(child));
    await putPlan(engine, page.digest, children);
  }
  const counts = { files: 1, directories: 0, symlinks: 0, bytes };
  const root = encodeRoot({ chunking: DEFAULT_CHUNKING, ...counts, entries, times, chunks });
  const name = digestOf(root);
  const tops = [entries, times, chunks].map((top) => frames.pageFrame(must(top, "a tree").digest));
  await putPlan(engine, name, tops);
  await engine.store.datasets.putManifest(name, encodeManifest({ root, pages: [] }));
  await engine.store.datasets.flush();
  await commitTag(engine, NAME, parseTag(`v${version + 1}`), {
    ...{ publisher: "bench", message: "", labels: {}, writeId: engine.random.id() },
    ...{ state: "announced", digest: name, files: 1, bytes },
  });
}

/** A plan whose items lie each in a frame of its own. */
async function putPlan(engine: Engine, key: Digest, all: readonly PlanFrame[]): Promise<void> {
  const { datasets } = engine.store;
  const present = await datasets.getPlan(key);
  if (present !== undefined) return;
  const places = all.map((_, frame) => ({ frame, offset: 0 }));
  await datasets.putPlan(key, encodePlan({ covers: "items", frames: all, places }), undefined);
}

const [address, count] = process.argv.slice(2);
const pool = new WorkerPool(1);
try {
  const options = { create: true, clock: systemClock, random: systemRandom };
  const store = await openStore(must(address, "the first argument is a store"), options);
  const parts = { store, clock: systemClock, random: systemRandom, pool };
  const engine: Engine = { ...parts, memoryBytes: 256 * 2 ** 20, cacheDir: undefined };
  const perVersion = Math.floor(Number(count) / 2 / STRIDE) * STRIDE;
  const frames = new FrameWriter(engine, perVersion * 2);
  for (let version = 0; version < VERSIONS; version++)
    await buildVersion(engine, frames, version, perVersion);
  console.log(JSON.stringify({ chunks: perVersion * 2, versions: VERSIONS, blocks: frames.blocks }));
  await store.close();
} finally {
  await pool.close();
}
