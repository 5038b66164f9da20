/** `node manifest-child.ts STORE MEMORY_MIB`: the steps of bench/manifest.bench.ts; prints their figures as JSON. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { must } from "../src/base/assert.ts";
import { concatBytes } from "../src/base/bytes.ts";
import { systemClock } from "../src/base/clock.ts";
import { MiB } from "../src/base/limits.ts";
import { systemRandom } from "../src/base/random.ts";
import { diffVersions } from "../src/dataset/diff.ts";
import type { Engine } from "../src/dataset/engine.ts";
import { ChunkIndex } from "../src/dataset/ingest/chunk-index.ts";
import { LocalSession } from "../src/dataset/ingest/local-session.ts";
import { ManifestWriter } from "../src/dataset/push/manifest-writer.ts";
import { PageStage } from "../src/dataset/push/page-stage.ts";
import { entries, findEntry, listFolder } from "../src/dataset/version/entries.ts";
import { openVersion } from "../src/dataset/version/version.ts";
import { WorkerPool } from "../src/dataset/workers/pool.ts";
import { DEFAULT_CHUNKING } from "../src/format/chunking.ts";
import { digestOf, type Digest } from "../src/format/digest.ts";
import { CODECS } from "../src/format/frame.ts";
import { parseDatasetName, parseTag } from "../src/format/reference.ts";
import { openStore } from "../src/store/drivers/all.ts";
import { roundTo3, type Figures } from "./result.ts";

const FOLDERS = 1000;
const FILES_PER_FOLDER = 1000;
const FILES_PER_CHUNK = 4;
const FILE_BYTES = 64;
const LOOKUPS = 100;
const NAME = parseDatasetName("million");
const TIME = { seconds: 1_700_000_000, nanos: 0 };

/** A version to build: the second has another content in each file whose number this divides. */
interface Edition {
  readonly tag: string;
  readonly changedEvery: number | undefined;
  /** The version before. */
  readonly reference?: Digest;
}

const [address, memoryMiB] = process.argv.slice(2);
const cacheDir = await mkdtemp(join(tmpdir(), "aetherfs-manifest-"));
const pool = new WorkerPool(2);
try {
  const options = { create: true, clock: systemClock, random: systemRandom };
  const store = await openStore(must(address, "the first argument is a store"), options);
  const memoryBytes = Number(memoryMiB) * MiB;
  const engine = { store, clock: systemClock, random: systemRandom, pool, memoryBytes, cacheDir };
  console.log(JSON.stringify(await runSteps(engine)));
} finally {
  await pool.close();
  await rm(cacheDir, { recursive: true, force: true });
}

async function runSteps(engine: Engine): Promise<Record<string, Figures>> {
  const steps: Record<string, Figures> = {};
  const step = async <T>(name: string, task: () => Promise<T>, count: (result: T) => Figures): Promise<T> => {
    const begunMs = engine.clock.elapsedMs();
    const result = await task();
    const seconds = roundTo3((engine.clock.elapsedMs() - begunMs) / 1000);
    steps[name] = { seconds, ...count(result) };
    return result;
  };
  const stored = ({ manifestBytes }: { manifestBytes: number }): Figures => ({ manifestBytes });
  const first = await step(
    "build and store",
    () => build(engine, { tag: "one", changedEvery: undefined }),
    stored,
  );
  const second = await step(
    "a thousandth changed",
    () => build(engine, { tag: "two", changedEvery: 1000, reference: first.version }),
    stored,
  );
  await step(
    `look up ${LOOKUPS} paths, each cold`,
    () => lookUp(engine, first.version),
    (readBytes) => ({ readBytes }),
  );
  await step(
    "list one folder",
    () => list(engine, first.version, "folder-500"),
    (items) => ({ items }),
  );
  await step(
    "list everything",
    () => listAll(engine, first.version),
    (items) => ({ items }),
  );
  await step(
    "compare the two",
    () => diffVersions(engine, first.version, second.version),
    ({ changed, updateBytes }) => ({ changed: changed.length, updateBytes }),
  );
  return steps;
}

async function build(
  engine: Engine,
  edition: Edition,
): Promise<{ readonly version: Digest; readonly manifestBytes: number }> {
  const index = new ChunkIndex(join(must(engine.cacheDir, "there is a cache"), "index.db"));
  const { reference } = edition;
  const session = new LocalSession(engine, index, { domain: "", publisher: "bench", reference });
  await session.begin({});
  const old = reference === undefined ? undefined : await openVersion(engine, reference);
  const writer = new ManifestWriter(DEFAULT_CHUNKING, new PageStage(engine, session, old));
  for (let folder = 0; folder < FOLDERS; folder++) await addFolder(session, writer, folder, edition);
  const { rootBytes, inlinePages } = await writer.finish({});
  const { version, totals } = await session.publish({
    root: rootBytes,
    inlinePages,
    base: undefined,
    tags: [{ name: NAME, tag: parseTag(edition.tag) }],
    publisher: "bench",
    message: "",
    labels: {},
  });
  return { version, manifestBytes: totals.manifestBytes };
}

async function addFolder(
  session: LocalSession,
  writer: ManifestWriter,
  folder: number,
  edition: Edition,
): Promise<void> {
  const parent = `folder-${String(folder).padStart(3, "0")}`;
  writer.addEntry({ path: parent, kind: "directory", mode: 0o755 }, TIME);
  let parts: Buffer[] = [];
  for (let file = 0; file < FILES_PER_FOLDER; file++) {
    const bytes = contentOf(folder * FILES_PER_FOLDER + file, edition);
    const path = `${parent}/sample-${String(file).padStart(3, "0")}.bin`;
    const content = { size: FILE_BYTES, digest: digestOf(bytes) };
    writer.addEntry({ path, kind: "file", mode: 0o644, ...content }, TIME);
    parts.push(bytes);
    if (parts.length < FILES_PER_CHUNK) continue;
    const stored = concatBytes(parts);
    parts = [];
    const chunk = { digest: digestOf(stored), length: stored.byteLength };
    writer.addChunk(chunk);
    const [isMissing] = await session.missing([chunk.digest]);
    if (isMissing === true) {
      await session.put([{ codec: CODECS.raw, chunks: [chunk], stored, base: undefined }]);
    }
  }
  await writer.drain({});
}

function contentOf(number: number, { changedEvery }: Edition): Buffer {
  const isChanged = changedEvery !== undefined && number % changedEvery === 0;
  return Buffer.from(`${isChanged ? "changed" : "sample"} ${number}`.padEnd(FILE_BYTES));
}

/** Finds paths spread over the version, each with nothing cached; the bytes that it took. */
async function lookUp(engine: Engine, version: Digest): Promise<number> {
  let readBytes = 0;
  for (let lookup = 0; lookup < LOOKUPS; lookup++) {
    const folder = String((lookup * 617) % FOLDERS).padStart(3, "0");
    const file = String((lookup * 383) % FILES_PER_FOLDER).padStart(3, "0");
    const opened = await openVersion(engine, version);
    const found = await findEntry(opened, `folder-${folder}/sample-${file}.bin`);
    must(found, "the path is there");
    readBytes += opened.traffic.manifestBytes;
  }
  return readBytes;
}

async function list(engine: Engine, version: Digest, folder: string): Promise<number> {
  const opened = await openVersion(engine, version);
  let items = 0;
  for await (const batch of listFolder(opened, folder)) items += batch.length;
  return items;
}

async function listAll(engine: Engine, version: Digest): Promise<number> {
  const opened = await openVersion(engine, version);
  let items = 0;
  for await (const batch of entries(opened)) items += batch.length;
  return items;
}
