/** The S3 API of a hub beside `rclone serve s3` on the same files: a file of 1 GiB whole and in ranges, a list of 100,000 keys. */
import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { GetObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { must } from "../src/base/assert.ts";
import { withFolder } from "./folders.ts";
import { FILE_BYTES, fetchRanges, fetchWhole, RANGES_BYTES, SPREAD_PIECES, writeNoise } from "./fs.bench.ts";
import { AETHERFS, NODE, runProgram } from "./measure.ts";
import { inRounds, roundTo3, type BenchResult, type Figures } from "./result.ts";
import { freePort, startServer, type Server } from "./servers.ts";
import { aetherfsCommand } from "./snapshot-tools.ts";

const CHILD = new URL("./s3-api-child.ts", import.meta.url).pathname;
const GB = 1e9;
const FOLDERS = 100;
const FILES_PER_FOLDER = 1000;
const KEY = { id: "AKIABENCH", secret: "the-secret-of-the-bench" };

const run = promisify(execFile);

/** One server, and the buckets in which it has the file and the many. */
interface Candidate {
  readonly name: string;
  readonly fileBucket: string;
  readonly manyBucket: string;
  readonly start: () => Promise<Server>;
}

/** Measures each server with curl and with the pages of a list; servers of one round follow one another. */
export async function benchS3Api(rounds: number): Promise<BenchResult> {
  const medians = await withFolder(async (folder) =>
    inRounds(rounds, await candidatesIn(folder), measureServer),
  );
  const hasRclone = "rclone" in medians;
  const value = (row: string, column: string): number => must(medians[row]?.[column], "every row has it");
  const ratios: Record<string, number> = {};
  for (const column of hasRclone ? ["wholeMBs", "rangesMBs"] : []) {
    ratios[`${column}: aetherfs / rclone`] = roundTo3(value("aetherfs", column) / value("rclone", column));
  }
  if (hasRclone) {
    ratios["listSeconds: rclone / aetherfs"] = roundTo3(
      value("rclone", "listSeconds") / value("aetherfs", "listSeconds"),
    );
  }
  const peer = hasRclone
    ? `rclone serve s3 (${await rcloneVersion()}) asked by anybody`
    : "no rclone with `serve s3` was at hand (AETHERFS_BENCH_RCLONE)";
  const keys = FOLDERS * FILES_PER_FOLDER;
  const compared = `one file of 1 GiB of noise by curl over loopback: whole, 256 ranges of 1 MiB on one connection, both warm; ${keys} keys by ListObjectsV2 in pages of 1000; aetherfs asked by presigned URLs; ${peer}`;
  return { name: "s3-api", rounds, compared, medians, ratios };
}

async function candidatesIn(folder: string): Promise<Candidate[]> {
  const served = join(folder, "served");
  const [files, many] = [join(served, "file"), join(served, "many")];
  await mkdir(files, { recursive: true });
  await mkdir(join(folder, "home"));
  await writeNoise(join(files, "raw.bin"));
  for (let index = 0; index < FOLDERS; index++) await writeMany(join(many, `folder-${index}`));
  await runProgram(aetherfsCommand(folder, "push", "-t", "file:one", files));
  await runProgram(aetherfsCommand(folder, "push", "-t", "many:one", many));
  const hub: Candidate = {
    name: "aetherfs",
    fileBucket: "file--one",
    manyBucket: "many--one",
    start: () => startHub(folder),
  };
  const rclone = await rcloneWithS3();
  if (rclone === undefined) return [hub];
  const start = async (): Promise<Server> => {
    const port = await freePort();
    const argv = [rclone, "serve", "s3", "--addr", `127.0.0.1:${port}`, served];
    return startServer({ argv, env: { HOME: join(folder, "home") } }, port, "/");
  };
  return [hub, { name: "rclone", fileBucket: "file", manyBucket: "many", start }];
}

async function writeMany(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (let index = 0; index < FILES_PER_FOLDER; index++) {
    await writeFile(join(folder, `file-${index}.txt`), `${folder} ${index}`);
  }
}

/** Debian 12's cannot serve S3: AETHERFS_BENCH_RCLONE names another. */
const RCLONE = process.env["AETHERFS_BENCH_RCLONE"] ?? "rclone";

async function rcloneWithS3(): Promise<string | undefined> {
  const { stdout } = await run(RCLONE, ["serve", "s3", "--help"]).catch(() => ({ stdout: "" }));
  return stdout.includes("rclone serve s3") ? RCLONE : undefined;
}

async function rcloneVersion(): Promise<string> {
  return (await run(RCLONE, ["version"])).stdout.split("\n", 1).join("");
}

async function startHub(folder: string): Promise<Server> {
  const [port, s3Port] = [await freePort(), await freePort()];
  const keys = join(folder, "keys.json");
  await writeFile(keys, JSON.stringify({ [KEY.id]: { secret: KEY.secret } }), { mode: 0o600 });
  const argv = [AETHERFS, "run", "--bind", "127.0.0.1", "--port", String(port), "--s3_port", String(s3Port)];
  argv.push("--storage_file_path", join(folder, "store"), "--cache_dir", join(folder, "hub-cache"));
  argv.push("--s3_keys_file", keys, "--log_level", "error");
  return startServer({ argv, env: { HOME: join(folder, "home") } }, s3Port, "/");
}

async function measureServer({ fileBucket, manyBucket, start }: Candidate): Promise<Figures> {
  const server = await start();
  const client = new S3Client({
    endpoint: server.url,
    region: "us-east-1",
    forcePathStyle: true,
    credentials: { accessKeyId: KEY.id, secretAccessKey: KEY.secret },
  });
  try {
    const input = { Bucket: fileBucket, Key: "raw.bin" };
    const isSigned = fileBucket !== "file";
    const signed = await getSignedUrl(client, new GetObjectCommand(input), { expiresIn: 3600 });
    const url = isSigned ? signed : `${server.url}/${fileBucket}/raw.bin`;
    await fetchWhole(url);
    const begin = server.usage().cpuSeconds;
    const whole = await fetchWhole(url);
    const afterWhole = server.usage().cpuSeconds;
    const ranges = await fetchRanges(url, SPREAD_PIECES);
    const afterRanges = server.usage().cpuSeconds;
    const peakMiB = server.usage().peakMiB;
    server.resetPeak();
    const argv = [...NODE, CHILD, server.url, manyBucket, ...(isSigned ? [KEY.id, KEY.secret] : [])];
    const list = JSON.parse(await runProgram({ argv })) as { keys: number; seconds: number };
    if (list.keys !== FOLDERS * FILES_PER_FOLDER) throw new Error(`${list.keys} keys were listed`);
    const end = server.usage();
    return {
      wholeMBs: roundTo3(FILE_BYTES / 1e6 / whole),
      wholeCpuPerGB: roundTo3((afterWhole - begin) / (FILE_BYTES / GB)),
      rangesMBs: roundTo3(RANGES_BYTES / 1e6 / ranges),
      rangesCpuPerGB: roundTo3((afterRanges - afterWhole) / (RANGES_BYTES / GB)),
      peakMiB,
      listSeconds: list.seconds,
      listCpuSeconds: roundTo3(end.cpuSeconds - afterRanges),
      listPeakMiB: end.peakMiB,
    };
  } finally {
    client.destroy();
    await server.stop();
  }
}
