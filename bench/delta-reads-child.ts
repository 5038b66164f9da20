/**
 * `node delta-reads-child.ts STORE REFERENCE whole|random`: reads a version through the SDK, with no cache; prints what that
 * took as JSON.
 */
import { must } from "../src/base/assert.ts";
import { KiB } from "../src/base/limits.ts";
import { entries, open, parseReference, type Client, type Version } from "../src/sdk/index.ts";
import { roundTo3, type Figures } from "./result.ts";
import { SeededNoise } from "./seeded.ts";

const READ_BYTES = 4 * KiB;
const READS = 500;
const WARM_UP_READS = 20;

/** A file of the version that has at least one read's bytes. */
interface File {
  readonly path: string;
  readonly size: number;
}

const [store = "", reference = "", mode] = process.argv.slice(2);
const client = await open(store);
try {
  const { name, version: digest } = await client.resolve(parseReference(reference));
  const version = await client.openVersion(name, digest);
  const files = await filesOf(version);
  console.log(JSON.stringify(await (mode === "random" ? readRandomly : readWhole)(client, version, files)));
} finally {
  await client.close();
}

async function filesOf(version: Version): Promise<File[]> {
  const files: File[] = [];
  for await (const batch of entries(version)) {
    for (const { entry } of batch) if (entry.kind === "file") files.push(entry);
  }
  return files;
}

/** Every file from start to end. */
async function readWhole(client: Client, version: Version, files: readonly File[]): Promise<Figures> {
  const begunMs = performance.now();
  const before = process.cpuUsage();
  let bytes = 0;
  for (const { path } of files) bytes += await read(client, version, path, undefined);
  const seconds = roundTo3((performance.now() - begunMs) / 1000);
  const { user, system } = process.cpuUsage(before);
  const cpuSeconds = roundTo3((user + system) / 1e6);
  return { seconds, cpuSeconds, readBytes: bytes, fetchedBytes: version.traffic.fetchedBytes };
}

/** Reads at seeded offsets, one after another. */
async function readRandomly(client: Client, version: Version, files: readonly File[]): Promise<Figures> {
  const noise = new SeededNoise("delta-reads");
  const large = files.filter((file) => file.size >= READ_BYTES);
  const totalBytes = large.reduce((sum, file) => sum + file.size, 0);
  const readOne = async (): Promise<number> => {
    let at = noise.below(totalBytes);
    const file = must(
      large.find(({ size }) => (at < size ? true : ((at -= size), false))),
      "the offset is within the files",
    );
    const start = Math.min(at, file.size - READ_BYTES);
    const begunMs = performance.now();
    await read(client, version, file.path, { start, end: start + READ_BYTES });
    return performance.now() - begunMs;
  };
  for (let count = 0; count < WARM_UP_READS; count++) await readOne();
  const before = { cpu: process.cpuUsage(), bytes: version.traffic.fetchedBytes };
  const times: number[] = [];
  for (let count = 0; count < READS; count++) times.push(await readOne());
  const { user, system } = process.cpuUsage(before.cpu);
  const sorted = times.sort((a, b) => a - b);
  return {
    meanMs: roundTo3(sorted.reduce((sum, ms) => sum + ms, 0) / READS),
    medianMs: roundTo3(sorted[READS / 2] ?? NaN),
    p99Ms: roundTo3(sorted[Math.floor(READS * 0.99)] ?? NaN),
    cpuMsEach: roundTo3((user + system) / 1000 / READS),
    fetchedBytesEach: Math.round((version.traffic.fetchedBytes - before.bytes) / READS),
  };
}

async function read(
  client: Client,
  version: Version,
  path: string,
  range: { readonly start: number; readonly end: number } | undefined,
): Promise<number> {
  let bytes = 0;
  for await (const piece of client.cat(version, path, range)) bytes += piece.byteLength;
  if (range !== undefined && bytes !== READ_BYTES) throw new Error(`${path}: ${bytes} bytes were read`);
  return bytes;
}
