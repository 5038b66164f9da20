/** How long an event takes to who watches: on the hub that the change was made through, and on another hub of the same store. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { must } from "../src/base/assert.ts";
import { parseDatasetName, parseTag } from "../src/format/reference.ts";
import type { Client } from "../src/sdk/client.ts";
import { connect } from "../src/sdk/index.ts";
import { withFolder } from "./folders.ts";
import { medianFigures, roundTo3, type BenchResult, type Figures } from "./result.ts";
import { startHub } from "./web-servers.ts";
import type { Server } from "./servers.ts";

const TAG = { name: parseDatasetName("events"), tag: parseTag("latest") };
const SAYS = { publisher: "bench", message: "", labels: {} };

/** Changes of one row, and what may pass between two of them, in milliseconds. */
const ROWS = [
  { watched: "the same hub", changes: 100, gapMs: 200 },
  { watched: "another hub", changes: 100, gapMs: 200 },
  { watched: "another hub, after a quiet time", changes: 20, gapMs: 3000 },
] as const;
/** How long the hubs are watched while nothing happens. */
const IDLE_MS = 20_000;

/** Measures with two hubs on one folder, each in a process of its own, and clients in this one. */
export async function benchEvents(rounds: number): Promise<BenchResult> {
  const figures = new Map<string, Figures[]>();
  for (let round = 0; round < rounds; round++) {
    await withFolder(async (folder) => {
      for (const [row, measured] of await measureRound(folder)) {
        figures.set(row, [...(figures.get(row) ?? []), measured]);
      }
    });
  }
  const medians = Object.fromEntries([...figures].map(([row, runs]) => [row, medianFigures(runs)]));
  const half = (row: string): number => must(medians[row]?.["p50Ms"], "every row has it");
  const compared =
    "two hubs on one folder, loopback; from the call that changes a tag to the event at a watcher";
  const ratios = {
    "median: another hub / the same hub": roundTo3(half("another hub") / half("the same hub")),
  };
  return { name: "events", rounds, compared, medians, ratios };
}

async function measureRound(folder: string): Promise<readonly (readonly [string, Figures])[]> {
  await mkdir(join(folder, "home"), { recursive: true });
  const hubs: Server[] = [];
  const clients: Client[] = [];
  try {
    for (let count = 0; count < 2; count++) {
      const hub = await startHub(folder);
      hubs.push(hub);
      clients.push(connect(new URL(hub.url).host, { threads: 1 }));
    }
    const [near, far] = clients as [Client, Client];
    const source = join(folder, "file");
    for (const text of ["one\n", "two\n"]) {
      await writeFile(source, text);
      await near.push({ source, tags: [TAG], publisher: SAYS.publisher });
    }
    const rows: [string, Figures][] = [];
    for (const { watched, changes, gapMs } of ROWS) {
      const watcher = watched === "the same hub" ? near : far;
      rows.push([watched, await measureRow(near, watcher, changes, gapMs)]);
    }
    rows.push(["a hub that is watched, idle", await measureIdle(must(hubs[1], "there are two"), far)]);
    return rows;
  } finally {
    await Promise.all(clients.map((client) => client.close()));
    for (const hub of hubs) await hub.stop();
  }
}

/** Goes back and forth between two versions. */
async function measureRow(near: Client, watcher: Client, changes: number, gapMs: number): Promise<Figures> {
  const begun = new Map<number, number>();
  const arrived = new Map<number, number>();
  const ended = new AbortController();
  const watching = (async () => {
    for await (const { number } of watcher.watch(TAG.name, { sequence: 1, signal: ended.signal })) {
      arrived.set(number, performance.now());
      if (begun.size === changes && arrived.has(Math.max(...begun.keys()))) return;
    }
  })();
  try {
    for (let change = 0; change < changes; change++) {
      await pause(gapMs * (0.5 + Math.random()));
      const begunMs = performance.now();
      const { record } = await near.rollback(TAG, {}, SAYS);
      begun.set(record.number, begunMs);
    }
    const last = Math.max(...begun.keys());
    while (!arrived.has(last)) await pause(10);
  } finally {
    ended.abort();
    await watching.catch(() => undefined);
  }
  const tookMs = [...begun].map(([number, ms]) => must(arrived.get(number), "all have come") - ms);
  return percentiles(tookMs.sort((a, b) => a - b));
}

function percentiles(sorted: readonly number[]): Figures {
  const at = (share: number): number =>
    Math.round(must(sorted[Math.ceil(share * sorted.length) - 1], "there are some") * 10) / 10;
  return { p50Ms: at(0.5), p95Ms: at(0.95), p99Ms: at(0.99), maxMs: at(1) };
}

async function measureIdle(hub: Server, client: Client): Promise<Figures> {
  const ended = new AbortController();
  const before = hub.usage().cpuSeconds;
  await pause(IDLE_MS);
  const alone = hub.usage().cpuSeconds;
  const watching = client.watch(TAG.name, { signal: ended.signal })[Symbol.asyncIterator]().next();
  await pause(IDLE_MS);
  const watched = hub.usage().cpuSeconds;
  ended.abort();
  await watching.catch(() => undefined);
  const perMinute = (seconds: number): number => Math.round(((seconds * 60_000) / IDLE_MS) * 1000);
  return {
    cpuMsPerMinute: perMinute(watched - alone),
    cpuMsPerMinuteUnwatched: perMinute(alone - before),
    memoryMiB: hub.usage().memoryMiB,
  };
}
