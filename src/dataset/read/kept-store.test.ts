import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { must } from "../../base/assert.ts";
import { AetherError } from "../../base/errors.ts";
import { KiB, MiB } from "../../base/limits.ts";
import { SILENT_LOG } from "../../base/log.ts";
import { digestOf, type Digest } from "../../format/digest.ts";
import { decodePlan, encodePlan } from "../../format/plan.ts";
import type { VersionStore } from "../../store/dataset-store.ts";
import { collect } from "../testing/engine.ts";
import { publishManyChunks, TINY_BYTES } from "../testing/many-chunks.ts";
import { withPushBed, type PushBed } from "../testing/push-bed.ts";
import { listFolder } from "../version/entries.ts";
import { openVersion, type Version } from "../version/version.ts";
import { WorkerPool } from "../workers/pool.ts";
import { DiskPieces } from "./disk-pieces.ts";
import { KeptObjects } from "./kept-objects.ts";
import { keptStore, keyIn } from "./kept-store.ts";
import { StreamReader } from "./stream-reader.ts";

const MANY = { chunks: 6000, files: 600, edition: 0 };
const PLACE = "hub.example:8080";
const READ = { start: 2000 * TINY_BYTES + 100, end: 2300 * TINY_BYTES };
const FAR_FROM_IT = { start: 5500 * TINY_BYTES, end: 5501 * TINY_BYTES };

let pool: WorkerPool;
before(() => {
  pool = new WorkerPool(2);
});
after(() => pool.close());

function openKept({ engine, cacheDir }: PushBed): KeptObjects {
  const folder = path.join(cacheDir, "versions");
  return new KeptObjects({ ...engine, folder, bytesMax: 64 * MiB, log: SILENT_LOG });
}

/** What a process sees of the version that keeps things in the bed's cache folder; `inner` undefined: it asks nobody. */
class Reader {
  readonly #version: Version;
  readonly #stream: StreamReader;

  constructor(version: Version, stream: StreamReader) {
    this.#version = version;
    this.#stream = stream;
  }

  static async open(bed: PushBed, digest: Digest, inner: VersionStore | undefined): Promise<Reader> {
    const { store, keeper } = keptStore(openKept(bed), PLACE, inner);
    const engine = { ...bed.engine, store };
    const folder = path.join(bed.cacheDir, "pieces");
    const disk = new DiskPieces({ ...engine, folder, bytesMax: 64 * MiB, log: SILENT_LOG });
    const stream = new StreamReader(engine, { isLocal: false, pieceBytes: 16 * KiB, disk });
    return new Reader(await openVersion(engine, digest, { keeper, isEager: true }), stream);
  }

  async list(): Promise<string[]> {
    const paths: string[] = [];
    for await (const batch of listFolder(this.#version, "d"))
      paths.push(...batch.map(({ entry }) => entry.path));
    return paths;
  }

  async read(range: typeof READ): Promise<Digest> {
    return digestOf(await collect(copied(this.#stream.read(this.#version, range))));
  }
}

async function* copied(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) yield Uint8Array.from(piece);
}

const AWAY = { code: "STORE_UNAVAILABLE" };

describe("a store that is far, and what is kept of it", () => {
  it("shows without the store what was listed and read, and fails for what was not", () =>
    withPushBed(pool, async (bed) => {
      const digest = await publishManyChunks(bed.engine, MANY);
      await assert.rejects(Reader.open(bed, digest, undefined), AWAY);
      const online = await Reader.open(bed, digest, bed.store);
      const read = await online.read(READ);
      await assert.rejects((await Reader.open(bed, digest, undefined)).list(), AWAY);
      const listed = await online.list();
      assert.equal(listed.length, MANY.files);
      const offline = await Reader.open(bed, digest, undefined);
      assert.deepEqual(await offline.list(), listed);
      assert.equal(await offline.read(READ), read);
      await assert.rejects(offline.read(FAR_FROM_IT), AWAY);
      const elsewhere = keptStore(openKept(bed), "another.example:8080");
      await assert.rejects(elsewhere.store.datasets.getPlan(digest), AWAY, "plans are of one place");
    }));

  it("takes nothing that is damaged", () =>
    withPushBed(pool, async (bed) => {
      const digest = await publishManyChunks(bed.engine, MANY);
      const online = await Reader.open(bed, digest, bed.store);
      const [read, listed] = [await online.read(READ), await online.list()];
      const folder = path.join(bed.cacheDir, "versions");
      const names = fs.readdirSync(folder);
      for (const kind of ["manifest", "page", "plan"]) {
        const ofKind = names.filter((name) => name.startsWith(kind));
        assert.ok(ofKind.length > 0, kind);
        for (const name of ofKind) {
          const bytes = fs.readFileSync(path.join(folder, name));
          const at = bytes.byteLength >>> 1;
          bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
          fs.writeFileSync(path.join(folder, name), bytes);
        }
        const look = async (inner: VersionStore | undefined): Promise<unknown> => {
          const reader = await Reader.open(bed, digest, inner);
          return [await reader.read(READ), await reader.list()];
        };
        await assert.rejects(look(undefined), AWAY, kind);
        assert.deepEqual(await look(bed.store), [read, listed], kind);
        assert.deepEqual(await look(undefined), [read, listed], "it was kept anew");
      }
    }));

  it("asks for plans again when a block is not where they say; and when there is no answer then, takes them as they were", () =>
    withPushBed(pool, async (bed) => {
      const digest = await publishManyChunks(bed.engine, MANY);
      const whole = must(await bed.store.datasets.getPlan(digest), "it is there").value;
      const plan = decodePlan(whole);
      const frames = plan.frames.map((frame) => ({ ...frame, block: digestOf(whole) }));
      openKept(bed).keep("plan", keyIn(PLACE, digest), encodePlan({ ...plan, frames }));
      const reader = await Reader.open(bed, digest, bed.store);
      assert.equal((await reader.list()).length, MANY.files);
      const datasets = {
        ...bed.store.datasets,
        getManifest: () => Promise.reject(new AetherError("STORE_UNAVAILABLE", "it is away")),
        getPlan: () => Promise.reject(new AetherError("STORE_UNAVAILABLE", "it is away")),
      };
      const { store } = keptStore(openKept(bed), PLACE, { blocks: bed.store.blocks, datasets });
      await assert.rejects(store.blocks.read(digestOf(whole)), { code: "OBJECT_MISSING" });
      assert.deepEqual(Buffer.from((await store.datasets.getPlan(digest))?.value ?? []), Buffer.from(whole));
      await assert.rejects(store.datasets.getPlan(digestOf(whole)), AWAY);
    }));
});
