import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { must } from "../base/assert.ts";
import { KiB } from "../base/limits.ts";
import { SILENT_LOG } from "../base/log.ts";
import type { Engine } from "../dataset/engine.ts";
import { HeadMemory } from "../dataset/head-memory.ts";
import { collect } from "../dataset/testing/engine.ts";
import { publishManyChunks, TINY_BYTES, tinyChunk } from "../dataset/testing/many-chunks.ts";
import { BED_TAG, withPushBed, type PushBed } from "../dataset/testing/push-bed.ts";
import { openVersion } from "../dataset/version/version.ts";
import { WorkerPool } from "../dataset/workers/pool.ts";
import { digestOf, type Digest } from "../format/digest.ts";
import { decodeRoot, encodeRoot } from "../format/manifest.ts";
import { decodePlan, encodePlan, type PlanFrame } from "../format/plan.ts";
import type { TagOpening } from "../format/record.ts";
import { openStoreTree } from "./store-tree.ts";
import { RoundTrips } from "./testing/round-trips.ts";
import type { VersionPath } from "./tree-path.ts";
import type { Caller, Tree } from "./tree.ts";

const ANYBODY: Caller = { check: async () => undefined };
/** As many levels of pages as 10 GiB in chunks of the usual size have (bench/first-byte.bench.ts has those). */
const CHUNKS = 60_000;
const LEVELS = 2;
/** A chunk that later editions replace is in the same leaf. */
const WANTED = 40_029;
/** Of one answer, as S3 has it. */
const PAGE_ENTRIES = 1000;
/** Few chunks to a piece. */
const CACHE = { pieceBytes: 16 * KiB, diskBytes: 0, log: SILENT_LOG };

let pool: WorkerPool;
before(() => {
  pool = new WorkerPool(2);
});
after(() => pool.close());

/** A pool that tells whether anything is under way in it. */
function watched(inner: WorkerPool): { readonly pool: WorkerPool; readonly isBusy: () => boolean } {
  let underWay = 0;
  const run: WorkerPool["run"] = async (...parameters) => {
    underWay++;
    try {
      return await inner.run(...parameters);
    } finally {
      underWay--;
    }
  };
  const proxy = new Proxy(inner, {
    get: (target, name): unknown => {
      if (name === "run") return run;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
  return { pool: proxy, isBusy: () => underWay > 0 };
}

/** What a process that knows nothing yet asks of the store for a few bytes, and then for others. */
class ColdReader {
  readonly far: RoundTrips;
  readonly #tree: Tree;
  readonly #chunksPerFile: number;

  constructor(bed: PushBed, files: number) {
    const { pool: watchedPool, isBusy } = watched(pool);
    this.far = new RoundTrips(bed.store, isBusy);
    const parts = { store: this.far.store, pool: watchedPool, heads: new HeadMemory(10) };
    const engine: Engine = { ...bed.engine, ...parts };
    this.#tree = openStoreTree(engine, CACHE);
    this.#chunksPerFile = Math.ceil(CHUNKS / files);
  }

  /** Reads a chunk of the tag's version, or of the one that the digest names; gives the rounds that it took. */
  async read(chunk: number, edition: number, digest?: Digest): Promise<number> {
    const before = this.far.rounds.length;
    const file = Math.floor(chunk / this.#chunksPerFile);
    const tag = digest === undefined ? BED_TAG.tag : undefined;
    const path = `d/${String(file).padStart(7, "0")}`;
    const place: VersionPath = { kind: "version", name: BED_TAG.name, tag, digest, path };
    const start = (chunk % this.#chunksPerFile) * TINY_BYTES;
    const range = { start, end: start + TINY_BYTES };
    const node = await this.#tree.look(ANYBODY, place, range);
    assert.ok(node.kind === "file");
    assert.deepEqual(await collect(this.#tree.read(node, range)), Buffer.from(tinyChunk(chunk, edition)));
    return this.far.rounds.length - before;
  }

  /** The paths of the next entries after one. */
  async list(after: string, count: number): Promise<string[]> {
    const from = after === "" ? "" : `${after}\0`;
    const top = await this.#tree.open(ANYBODY, { ...BED_TAG, digest: undefined }, from);
    const paths: string[] = [];
    for await (const batch of this.#tree.entries(top, from === "" ? {} : { from })) {
      paths.push(...batch.map(({ entry }) => entry.path));
      if (paths.length >= count) break;
    }
    return paths.slice(0, count);
  }
}

/** The rounds of processes that each know nothing yet, by tag and by digest. */
async function checkCold(bed: PushBed, files: number, edition: number, digest: Digest): Promise<void> {
  for (const named of [undefined, digest]) {
    const reader = new ColdReader(bed, files);
    const rounds = await reader.read(WANTED, edition, named);
    assert.ok(rounds <= 5, `edition ${edition}, by ${named ?? "tag"}:\n${reader.far.shown()}`);
  }
}

describe("the first bytes of a range, of a store that is far", () => {
  it("take at most five round trips, and one when the way to them is known", () =>
    withPushBed(pool, async (bed) => {
      const files = 1;
      const digest = await publishManyChunks(bed.engine, { chunks: CHUNKS, files, edition: 0 });
      assert.equal((await openVersion(bed.engine, digest)).root.chunks?.level, LEVELS);
      await checkCold(bed, files, 0, digest);
      const reader = new ColdReader(bed, files);
      await reader.read(WANTED, 0);
      assert.equal(await reader.read(WANTED + 80, 0), 1, reader.far.shown());
      assert.ok(
        reader.far.rounds.at(-1)?.some((call) => call.startsWith("blocks.read")),
        "it was read from the store",
      );
      await checkHints(bed, files);
    }));

  it("take no more of a version of many files, nor after updates, whose pages and plans build on those before", () =>
    withPushBed(pool, async (bed) => {
      const files = 20_000;
      let reference: Digest | undefined;
      for (const edition of [0, 1, 2, 3]) {
        reference = await publishManyChunks(bed.engine, { chunks: CHUNKS, files, edition, reference });
        await checkCold(bed, files, edition, reference);
      }
      await checkList(bed, files);
    }));
});

/** A list in pages, as clients of S3 ask for it: a round or two for each, and nothing is read twice. */
async function checkList(bed: PushBed, files: number): Promise<void> {
  const reader = new ColdReader(bed, files);
  const paths: string[] = [];
  for (;;) {
    const page = await reader.list(paths.at(-1) ?? "", PAGE_ENTRIES);
    paths.push(...page);
    if (page.length < PAGE_ENTRIES) break;
  }
  assert.equal(paths.length, files + 1);
  assert.equal(new Set(paths).size, files + 1);
  const { rounds } = reader.far;
  const asked = rounds.flat().filter((call) => /^(blocks\.read|datasets\.get(Plan|Manifest))/.test(call));
  const named = asked.map((call) => call.replace(/, \{"traffic.*$/, ""));
  assert.equal(new Set(named).size, named.length, "something was read twice");
  const pages = Math.ceil(paths.length / PAGE_ENTRIES);
  assert.ok(rounds.length <= 2 * pages + 4, `${rounds.length} rounds for ${pages} pages`);
}

/** Whatever a hint says, what is read is right, and takes a round more at most. */
async function checkHints(bed: PushBed, files: number): Promise<void> {
  const { datasets } = bed.store;
  const { name, tag } = BED_TAG;
  const hint = must(await datasets.getHint(name, tag), "the tag was moved");
  const { root, plan } = must(hint.opening, "the version's pages lie in blocks");
  const told = decodePlan(plan);
  const leading = (frames: readonly PlanFrame[]): TagOpening => ({
    root,
    plan: encodePlan({ ...told, frames }),
  });
  const openings: (TagOpening | undefined)[] = [
    undefined,
    { root, plan: root },
    { root: plan, plan },
    { root: encodeRoot({ ...decodeRoot(root), directories: 2 }), plan },
    leading(told.frames.map((frame) => ({ ...frame, block: digestOf(root) }))),
    leading(told.frames.map((frame) => ({ ...frame, offset: frame.offset + 1 }))),
  ];
  for (const opening of openings) {
    await datasets.putHint(name, tag, { ...hint, opening });
    const reader = new ColdReader(bed, files);
    assert.ok((await reader.read(WANTED, 0)) <= 6, reader.far.shown());
  }
}
