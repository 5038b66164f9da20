/** The first byte of a range of a large version on S3, cold and warm, through a proxy that makes each request wait as a network does. */
import { spawn } from "node:child_process";
import { createCipheriv } from "node:crypto";
import { mkdir, open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { GetObjectCommand, HeadObjectCommand, ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { must } from "../src/base/assert.ts";
import { systemRandom } from "../src/base/random.ts";
import { newBucket } from "../test/servers/buckets.ts";
import { startFaultProxy, type FaultProxy } from "../test/servers/fault-proxy.ts";
import { startRadosgw } from "../test/servers/radosgw.ts";
import type { S3Server } from "../test/servers/s3-server.ts";
import { withFolder } from "./folders.ts";
import { AETHERFS, runProgram, type Command } from "./measure.ts";
import { medianFigures, roundTo3, type BenchResult, type Figures } from "./result.ts";
import { freePort, startServer } from "./servers.ts";

/** What a request waits: about as long as within a region and a half of a cloud. */
const DELAY_MS = 25;
/** As many chunks as 10 GiB have at the usual size, and small ones, so that the server can hold them in memory. */
const CHUNKS = 160_000;
const CHUNK_BYTES = 4096;
const FILES = 100_000;
/** Of a list, after the first. */
const PAGES = 100;
const FOLDERS = 100;
const RANGE_BYTES = 4096;
/** Writes that make the file. */
const PARTS = 250;
/** Where the ranges lie: the first, one that the same page of chunks names, and one far away. */
const FIRST = 100_000 * CHUNK_BYTES;
const NEAR = FIRST + 8 * CHUNK_BYTES;
const FAR = 20_000 * CHUNK_BYTES;
const KEY = { id: "AKIABENCH", secret: "the-secret-of-the-bench" };

/** The store, what lies in it, and what counts its requests. */
interface Bed {
  readonly folder: string;
  readonly server: S3Server;
  readonly proxy: FaultProxy;
  readonly bucket: string;
}

/** Fills a store once; in each round every process is a new one, without a cache. */
export async function benchFirstByte(rounds: number): Promise<BenchResult> {
  const server = await startRadosgw();
  const proxy = await startFaultProxy(server.endpoint, systemRandom);
  const figures = new Map<string, Figures[]>();
  try {
    await withFolder(async (folder) => {
      const bed = { folder, server, proxy, bucket: await newBucket(server) };
      await fill(bed);
      proxy.setRules([{ fault: { kind: "delayed", delayMs: DELAY_MS } }]);
      for (let round = 0; round < rounds; round++) {
        for (const measure of [measureStore, measurePrograms, measureFs, measureS3, measureLists]) {
          await measure(bed, (row, found) => figures.set(row, [...(figures.get(row) ?? []), found]));
        }
      }
    });
  } finally {
    await proxy.stop();
    await server.stop();
  }
  const medians = Object.fromEntries([...figures].map(([row, found]) => [row, medianFigures(found)]));
  const value = (row: string): number => must(medians[row]?.["firstByteMs"], "every row has it");
  const ratios = {
    "cold: /fs / one request": roundTo3(value("/fs, cold") / value("the store itself")),
    "near: /fs / one request": roundTo3(value("/fs, near") / value("the store itself")),
    "aetherfs cat / rclone cat": roundTo3(value("aetherfs cat") / value("rclone cat")),
  };
  const compared = `ranges of ${RANGE_BYTES} bytes of a file of ${CHUNKS} chunks beside ${FILES} small files, on one radosgw in memory, each request ${DELAY_MS} ms late; rounds: requests that waited for one another; each process new, without a cache folder; the programs' times begin with their start`;
  return { name: "first-byte", rounds, compared, medians, ratios };
}

type Note = (row: string, figures: Figures) => void;

async function fill(bed: Bed): Promise<void> {
  const source = join(bed.folder, "source");
  const data = join(source, "data.bin");
  await mkdir(source);
  await writeNoise(data);
  for (let index = 0; index < FOLDERS; index++) {
    const folder = join(source, `folder-${index}`);
    await mkdir(folder);
    for (let file = 0; file < FILES / FOLDERS; file++)
      await writeFile(join(folder, `file-${file}.txt`), `${index} ${file}`);
  }
  await mkdir(join(bed.folder, "home"));
  const cut = ["--chunking", "fixed", "--chunk-size", String(CHUNK_BYTES)];
  await runProgram(aetherfs(bed, bed.server.endpoint, "push", ...cut, "-t", "big:one", source));
  await runProgram(rclone(bed, bed.server.endpoint, "copyto", data, plainPath(bed)));
}

async function writeNoise(file: string): Promise<void> {
  const handle = await open(file, "w");
  try {
    const cipher = createCipheriv("aes-128-ctr", Buffer.alloc(16, 9), Buffer.alloc(16));
    const zeros = Buffer.alloc((CHUNKS * CHUNK_BYTES) / PARTS);
    for (let part = 0; part < PARTS; part++) await handle.write(cipher.update(zeros));
  } finally {
    await handle.close();
  }
}

function variables(bed: Bed, endpoint: string): Record<string, string> {
  const { accessKeyId, secretAccessKey } = bed.server.credentials;
  return {
    HOME: join(bed.folder, "home"),
    STORAGE_S3_ENDPOINT: endpoint,
    STORAGE_S3_REGION: "us-east-1",
    STORAGE_S3_ACCESS_KEY_ID: accessKeyId,
    STORAGE_S3_SECRET_ACCESS_KEY: secretAccessKey,
  };
}

function aetherfs(bed: Bed, endpoint: string, ...words: string[]): Command {
  const env = { ...variables(bed, endpoint), STORE: `s3://${bed.bucket}/store` };
  return { argv: [AETHERFS, ...words], env };
}

function rclone(bed: Bed, endpoint: string, ...words: string[]): Command {
  const { accessKeyId, secretAccessKey } = bed.server.credentials;
  const env = {
    HOME: join(bed.folder, "home"),
    RCLONE_CONFIG_BENCH_TYPE: "s3",
    RCLONE_CONFIG_BENCH_PROVIDER: "Ceph",
    RCLONE_CONFIG_BENCH_ENDPOINT: endpoint,
    RCLONE_CONFIG_BENCH_ACCESS_KEY_ID: accessKeyId,
    RCLONE_CONFIG_BENCH_SECRET_ACCESS_KEY: secretAccessKey,
    RCLONE_CONFIG_BENCH_NO_CHECK_BUCKET: "true",
  };
  return { argv: ["rclone", "--quiet", ...words], env };
}

function plainPath({ bucket }: Bed): string {
  return `bench:${bucket}/plain/data.bin`;
}

/** Counts what one answer takes of the store. */
async function counted({ proxy }: Bed, answer: () => Promise<number>): Promise<Figures> {
  proxy.reset();
  const firstByteMs = await answer();
  return { firstByteMs: roundTo3(firstByteMs), rounds: roundsOf(proxy), requests: proxy.requests.length };
}

/** The longest row of requests each of which began when the one before had ended. */
function roundsOf({ requests }: FaultProxy): number {
  let rounds = 0;
  let endMs = -Infinity;
  for (const { beganMs, endedMs = Infinity } of requests.toSorted(
    (a, b) => (a.endedMs ?? Infinity) - (b.endedMs ?? Infinity),
  )) {
    if (beganMs < endMs) continue;
    rounds++;
    endMs = endedMs;
  }
  return rounds;
}

/** Milliseconds to the first byte of the answer's body, of which all is read. */
async function firstByteOf(url: string, start?: number, method = "GET"): Promise<number> {
  const begunMs = performance.now();
  const headers = start === undefined ? {} : { range: `bytes=${start}-${start + RANGE_BYTES - 1}` };
  const response = await fetch(url, { method, headers });
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  let firstMs: number | undefined;
  const reader = response.body?.getReader();
  while (reader !== undefined && !(await reader.read()).done) firstMs ??= performance.now();
  return (firstMs ?? performance.now()) - begunMs;
}

/** Milliseconds from a program's start to its first byte. */
function firstByteOfProgram({ argv, env }: Command): Promise<number> {
  const [program = "", ...words] = argv;
  const begunMs = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, {
      env: { PATH: process.env["PATH"], ...env },
      stdio: ["ignore", "pipe", "inherit"],
    });
    let firstMs = Infinity;
    child.stdout.on("data", () => (firstMs = Math.min(firstMs, performance.now())));
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve(firstMs - begunMs);
      else reject(new Error(`${argv.join(" ")} ended with ${code}`));
    });
  });
}

function clientOf(endpoint: string, accessKeyId: string, secretAccessKey: string): S3Client {
  const credentials = { accessKeyId, secretAccessKey };
  return new S3Client({ endpoint, region: "us-east-1", forcePathStyle: true, credentials });
}

async function measureStore(bed: Bed, note: Note): Promise<void> {
  const { accessKeyId, secretAccessKey } = bed.server.credentials;
  const client = clientOf(bed.proxy.endpoint, accessKeyId, secretAccessKey);
  const input = { Bucket: bed.bucket, Key: "plain/data.bin" };
  const url = await getSignedUrl(client, new GetObjectCommand(input), { expiresIn: 3600 });
  note("the store itself", await counted(bed, () => firstByteOf(url, FIRST)));
  client.destroy();
}

async function measurePrograms(bed: Bed, note: Note): Promise<void> {
  const { endpoint } = bed.proxy;
  const part = ["--offset", String(FIRST), "--count", String(RANGE_BYTES)];
  const theirs = rclone(bed, endpoint, "cat", ...part, plainPath(bed));
  note("rclone cat", await counted(bed, () => firstByteOfProgram(theirs)));
  const range = `${FIRST}-${FIRST + RANGE_BYTES - 1}`;
  const folder = join(bed.folder, `cache-${systemRandom.id()}`);
  const ours = aetherfs(bed, endpoint, "cat", "--cache_dir", folder, "--range", range, "big:one", "data.bin");
  note("aetherfs cat", await counted(bed, () => firstByteOfProgram(ours)));
}

/** Runs a task with a hub that knows nothing yet. */
async function withHub(
  bed: Bed,
  task: (hub: { readonly url: string; readonly s3Url: string }) => Promise<void>,
): Promise<void> {
  const [port, s3Port] = [await freePort(), await freePort()];
  const keys = join(bed.folder, "keys.json");
  await writeFile(keys, JSON.stringify({ [KEY.id]: { secret: KEY.secret } }), { mode: 0o600 });
  const argv = [AETHERFS, "run", "--bind", "127.0.0.1", "--port", String(port), "--s3_port", String(s3Port)];
  argv.push("--storage_driver", "s3", "--storage_s3_bucket", bed.bucket, "--storage_s3_prefix", "store");
  argv.push("--cache_dir", join(bed.folder, `cache-${systemRandom.id()}`), "--s3_keys_file", keys);
  argv.push("--log_level", "error");
  const env = variables(bed, bed.proxy.endpoint);
  const server = await startServer({ argv, env }, port, "/healthz");
  try {
    await task({ url: server.url, s3Url: `http://127.0.0.1:${s3Port}` });
  } finally {
    await server.stop();
  }
}

async function measureFs(bed: Bed, note: Note): Promise<void> {
  await withHub(bed, async ({ url }) => {
    const file = `${url}/fs/big/one/data.bin`;
    note("/fs, cold", await counted(bed, () => firstByteOf(file, FIRST)));
    note("/fs, near", await counted(bed, () => firstByteOf(file, NEAR)));
    note("/fs, far", await counted(bed, () => firstByteOf(file, FAR)));
  });
}

async function measureS3(bed: Bed, note: Note): Promise<void> {
  await withHub(bed, async ({ s3Url: url }) => {
    const client = clientOf(url, KEY.id, KEY.secret);
    const object = { Bucket: "big--one", Key: "data.bin" };
    const signed = await getSignedUrl(client, new GetObjectCommand(object), { expiresIn: 3600 });
    note("GetObject, cold", await counted(bed, () => firstByteOf(signed, FIRST)));
    note("GetObject, near", await counted(bed, () => firstByteOf(signed, NEAR)));
    const head = await getSignedUrl(client, new HeadObjectCommand(object), { expiresIn: 3600 });
    note("HeadObject, warm", await counted(bed, () => firstByteOf(head, undefined, "HEAD")));
    client.destroy();
  });
  await withHub(bed, async ({ s3Url: url }) => {
    const client = clientOf(url, KEY.id, KEY.secret);
    const object = { Bucket: "big--one", Key: "data.bin" };
    const head = await getSignedUrl(client, new HeadObjectCommand(object), { expiresIn: 3600 });
    note("HeadObject, cold", await counted(bed, () => firstByteOf(head, undefined, "HEAD")));
    client.destroy();
  });
}

async function measureLists(bed: Bed, note: Note): Promise<void> {
  await withHub(bed, async ({ s3Url: url }) => {
    const client = clientOf(url, KEY.id, KEY.secret);
    const page = async (ContinuationToken?: string): Promise<string | undefined> => {
      const command = new ListObjectsV2Command({ Bucket: "big--one", ContinuationToken });
      return (await client.send(command)).NextContinuationToken;
    };
    let token: string | undefined;
    const timed = async (task: () => Promise<void>): Promise<number> => {
      const begunMs = performance.now();
      await task();
      return performance.now() - begunMs;
    };
    note(
      "ListObjectsV2, cold: 1,000 keys",
      await counted(bed, () => timed(async () => void (token = await page()))),
    );
    const rest: Figures = await counted(bed, () =>
      timed(async () => {
        while (token !== undefined) token = await page(token);
      }),
    );
    note("ListObjectsV2: the other 99,101 keys", {
      ...rest,
      requestsPerPage: roundTo3((rest["requests"] ?? 0) / PAGES),
    });
    client.destroy();
  });
}
