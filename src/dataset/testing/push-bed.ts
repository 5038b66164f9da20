/** A source, a store on the disk and an engine, for tests of pushes. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { systemClock } from "../../base/clock.ts";
import { systemRandom } from "../../base/random.ts";
import type { FrameInfo } from "../../format/block.ts";
import { digestOf, type Digest } from "../../format/digest.ts";
import type { Entry } from "../../format/entry.ts";
import { parseDatasetName, parseTag } from "../../format/reference.ts";
import { openStore } from "../../store/drivers/all.ts";
import type { Store } from "../../store/dataset-store.ts";
import type { PushOptions, PushResult } from "../contract.ts";
import type { Engine } from "../engine.ts";
import { readBlockIndex } from "../ingest/block-indexes.ts";
import { withLocalIngest } from "../ingest/local-ingest.ts";
import { push } from "../push/push.ts";
import { ChunkReader } from "../version/chunk-reader.ts";
import { entries } from "../version/entries.ts";
import { openVersion } from "../version/version.ts";
import type { WorkerPool } from "../workers/pool.ts";
import { collect, gather, testEngine } from "./engine.ts";
import { temporaryFolder } from "./folder.ts";
import { TEST_CHUNKING } from "./version-builder.ts";

/** The dataset and the tag that beds push to. */
export const BED_TAG = { name: parseDatasetName("test"), tag: parseTag("latest") };

/** Makes it; close() removes everything. `pool` stays the caller's. */
export async function openPushBed(pool: WorkerPool): Promise<PushBed> {
  const folder = temporaryFolder();
  const storeFolder = path.join(folder.path, "store");
  const store = await openStore(storeFolder, { create: true, clock: systemClock, random: systemRandom });
  fs.mkdirSync(path.join(folder.path, "source"));
  return new PushBed(folder, store, pool);
}

/** Runs `work` with a bed, and takes it away afterwards, whatever happens. */
export async function withPushBed(pool: WorkerPool, work: (bed: PushBed) => Promise<void>): Promise<void> {
  const bed = await openPushBed(pool);
  try {
    await work(bed);
  } finally {
    await bed.close();
  }
}

/** What openPushBed makes. */
export class PushBed {
  readonly store: Store;
  readonly engine: Engine;
  readonly source: string;
  readonly storeFolder: string;
  readonly cacheDir: string;
  readonly #folder: ReturnType<typeof temporaryFolder>;

  constructor(folder: ReturnType<typeof temporaryFolder>, store: Store, pool: WorkerPool) {
    this.#folder = folder;
    this.store = store;
    this.source = path.join(folder.path, "source");
    this.storeFolder = path.join(folder.path, "store");
    this.cacheDir = path.join(folder.path, "cache");
    this.engine = { ...testEngine(store, this.cacheDir), pool };
  }

  /** Writes a file of the source, its folders too. */
  write(name: string, bytes: Uint8Array | string): void {
    const file = path.join(this.source, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, bytes);
  }

  /** Pushes the source, in small chunks unless told otherwise. */
  push(options: Partial<PushOptions> = {}, engine: Partial<Engine> = {}): Promise<PushResult> {
    const defaults = { source: this.source, tags: [BED_TAG], publisher: "test", chunking: TEST_CHUNKING };
    return push(withLocalIngest({ ...this.engine, ...engine }), { ...defaults, ...options });
  }

  /** A version's entries, after each file was read from the store and found to have its digest. */
  async read(digest: Digest): Promise<Entry[]> {
    const version = await openVersion(this.engine, digest);
    const all = (await gather(entries(version))).map(({ entry }) => entry);
    const reader = new ChunkReader(this.engine, version);
    const bytes = await collect(reader.readRange(0, version.root.bytes));
    let start = 0;
    for (const entry of all) {
      if (entry.kind !== "file") continue;
      assert.equal(digestOf(bytes.subarray(start, start + entry.size)), entry.digest, entry.path);
      start += entry.size;
    }
    assert.equal(start, bytes.byteLength);
    return all;
  }

  /** The frames of all blocks, as their indexes describe them. */
  async frames(): Promise<FrameInfo[]> {
    const found: FrameInfo[] = [];
    for await (const { digest } of this.store.blocks.list()) {
      found.push(...(await readBlockIndex(this.store.blocks, digest)).frames);
    }
    return found;
  }

  /** Bytes of each file of the store below these folders of it (all: ""), by path. */
  files(...folders: readonly string[]): Map<string, number> {
    const root = path.join(this.storeFolder, "aetherfs/v1");
    const found = new Map<string, number>();
    for (const folder of folders) {
      const top = path.join(root, folder);
      if (!fs.existsSync(top)) continue;
      for (const item of fs.readdirSync(top, { recursive: true, withFileTypes: true })) {
        const file = path.join(item.parentPath, item.name);
        if (item.isFile()) found.set(file, fs.statSync(file).size);
      }
    }
    return found;
  }

  /** Bytes of blocks, manifests and plans together. */
  contentBytes(): number {
    let sum = 0;
    for (const bytes of this.files("blocks", "manifests", "plans").values()) sum += bytes;
    return sum;
  }

  async close(): Promise<void> {
    await this.store.close();
    this.#folder.remove();
  }
}
