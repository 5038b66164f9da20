/** What an update costs on real data: bytes sent, stored and fetched, beside a patch of the whole and other programs. */
import { mkdir, open, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { must } from "../src/base/assert.ts";
import { compareUtf8 } from "../src/base/bytes.ts";
import { KiB } from "../src/base/limits.ts";
import { withFolder } from "./folders.ts";
import { folderBytes, measureQuietly, runProgram } from "./measure.ts";
import { releaseFolder, SERIES, type SeriesName } from "./release-series.ts";
import { formatTable, medianFigures, roundTo3, type BenchResult, type Figures } from "./result.ts";
import type { Server } from "./servers.ts";
import {
  clientCommand,
  reportOf,
  snapshotTools,
  TOOLS_COMPARED,
  type SnapshotTool,
} from "./snapshot-tools.ts";
import { startHub } from "./web-servers.ts";

const COMPARED =
  "manifest and plan included, the consumer one release behind; patchBytes: zstd -3 --long=27 --patch-from, " +
  "wholeBytes: zstd -3, both on all files' bytes in path order, without names, modes and times; floorBytes: 1.3 x patch " +
  "or patch + 8 KiB, whichever is more; plainBytes: the new chunks alone at zstd -3, where a push reports them; hubSentBytes: by a push to " +
  "a hub, sentBytes and the rest on a local store; " +
  "aetherfsBytes and those of the others: by how much the folder of the repository grew; figures are the medians of " +
  `the series' updates, ratios to the patch those of the sums, ratios to the floor those of the medians; ${TOOLS_COMPARED}`;

/** Who needs this much for an update is at the floor. */
const FLOOR_FACTOR = 1.3;
const FLOOR_EXTRA_BYTES = 8 * KiB;
/** Columns that are compared with the floor. */
const COSTS = ["hubSent", "sent", "stored", "fetched", "plain", "aetherfs", "restic", "borg", "casync"];

/** The four public series. */
export async function benchUpdates(): Promise<BenchResult> {
  const medians: Record<string, Figures> = {};
  const ratios: Record<string, number> = {};
  for (const name of Object.keys(SERIES) as SeriesName[]) {
    const updates = await withFolder((folder) => measureSeries(name, folder));
    const middle = medianFigures([...updates.values()]);
    medians[name] = middle;
    const toFloor = dividedByFloor(middle);
    console.log(tablesOf(name, new Map([...updates, ["median", middle], ["median / floor", toFloor]])));
    const sum = (column: string): number =>
      [...updates.values()].reduce((total, update) => total + (update[column] ?? NaN), 0);
    ratios[`${name}: fetched / patch`] = roundTo3(sum("fetchedBytes") / sum("patchBytes"));
    ratios[`${name}: stored / patch`] = roundTo3(sum("storedBytes") / sum("patchBytes"));
    ratios[`${name}: whole / fetched`] = roundTo3(sum("wholeBytes") / sum("fetchedBytes"));
    for (const [column, ratio] of Object.entries(toFloor))
      ratios[`${name}: ${column.replace("Bytes", "")} / floor`] = ratio;
  }
  return { name: "updates", rounds: 1, compared: COMPARED, medians, ratios };
}

/** The byte columns that count as an update's cost, each divided by the floor. */
function dividedByFloor(middle: Figures): Figures {
  const floor = must(middle["floorBytes"], "every update has a floor");
  const columns = COSTS.map((cost) => `${cost}Bytes`).filter((column) => middle[column] !== undefined);
  return Object.fromEntries(columns.map((column) => [column, roundTo3((middle[column] ?? NaN) / floor)]));
}

/** Bytes in one table, seconds and memory in another: side by side they are wider than a screen. */
function tablesOf(name: string, rows: ReadonlyMap<string, Figures>): string {
  const pick = (isBytes: boolean): Record<string, Figures> => {
    const picked = [...rows].map(([row, figures]) => {
      const columns = Object.entries(figures).filter(([column]) => column.endsWith("Bytes") === isBytes);
      return [row, Object.fromEntries(columns)] as const;
    });
    return Object.fromEntries(picked.filter(([, figures]) => Object.keys(figures).length > 0));
  };
  return [name, ...formatTable(pick(true)), ...formatTable(pick(false))].join("\n");
}

/** Release → what it cost, for every release but the first. */
async function measureSeries(name: SeriesName, folder: string): Promise<Map<string, Figures>> {
  const updates = new Map<string, Figures>();
  const target = join(folder, "target");
  await mkdir(target);
  const tools = await snapshotTools(folder);
  for (const tool of tools) for (const command of tool.setUp) await runProgram(command);
  const remote = join(folder, "hub");
  await mkdir(join(remote, "home"), { recursive: true });
  const hub = await startHub(remote);
  try {
    let before: string | undefined;
    for (const [index, version] of SERIES[name].entries()) {
      const source = await releaseFolder(name, version);
      const whole = join(folder, version);
      await concatenate(source, whole);
      const patch = before === undefined ? undefined : await patchFigures(before, whole);
      const kept = await keepRelease(tools, source, index + 1, target);
      const sent = await sendRelease(hub, remote, source);
      if (patch !== undefined) updates.set(version, { ...patch, ...sent, ...kept });
      before = whole;
    }
  } finally {
    await hub.stop();
  }
  return updates;
}

/** Pushes a release to a hub, which re-bases on its own side: what is sent is not what is stored. */
async function sendRelease(hub: Server, folder: string, source: string): Promise<Figures> {
  const reference = `${new URL(hub.url).host}/series:latest`;
  const push = await measureQuietly(clientCommand(folder, "push", "-t", reference, source));
  const { sentBytes = NaN } = reportOf(push);
  return { hubSentBytes: sentBytes };
}

async function patchFigures(before: string, whole: string): Promise<Figures> {
  const patchBytes = await compressedBytes(["-3", "--long=27", `--patch-from=${before}`, whole]);
  return {
    rawBytes: (await stat(whole)).size,
    wholeBytes: await compressedBytes(["-3", whole]),
    patchBytes,
    floorBytes: Math.round(Math.max(FLOOR_FACTOR * patchBytes, patchBytes + FLOOR_EXTRA_BYTES)),
  };
}

/** Stores a release with every program; AetherFS's consumer then pulls it over the release before. */
async function keepRelease(
  tools: readonly SnapshotTool[],
  source: string,
  number: number,
  target: string,
): Promise<Figures> {
  const figures: Record<string, number> = {};
  const growth: Record<string, number> = {};
  for (const tool of tools) {
    const beforeBytes = number === 1 ? 0 : await folderBytes(tool.store);
    const isOwn = tool.name === "aetherfs";
    const push = await measureQuietly(tool.push(source, number));
    growth[`${tool.name}Bytes`] = (await folderBytes(tool.store)) - beforeBytes;
    if (!isOwn) continue;
    const pull = await measureQuietly(tool.pull(target));
    const { sentBytes = NaN, storedBytes = NaN, plainBytes } = reportOf(push);
    const { fetchedBytes = NaN } = reportOf(pull);
    Object.assign(figures, { sentBytes, storedBytes, fetchedBytes });
    if (plainBytes !== undefined) figures["plainBytes"] = plainBytes;
    Object.assign(figures, { pushSeconds: push.wallSeconds, pushMemoryMiB: push.memoryMiB });
    Object.assign(figures, { pullSeconds: pull.wallSeconds, pullMemoryMiB: pull.memoryMiB });
  }
  return { ...figures, ...growth };
}

async function compressedBytes(args: readonly string[]): Promise<number> {
  const output = `${args.at(-1) ?? ""}.zst`;
  await runProgram({ argv: ["zstd", "-q", "-f", "-o", output, ...args] });
  return (await stat(output)).size;
}

/** Writes all files of a tree one after another, in byte order of path. */
async function concatenate(source: string, target: string): Promise<void> {
  const items = await readdir(source, { withFileTypes: true, recursive: true });
  const files = items.filter((item) => item.isFile()).map((item) => join(item.parentPath, item.name));
  const out = await open(target, "w");
  try {
    for (const file of files.sort(compareUtf8)) await out.writeFile(await readFile(file));
  } finally {
    await out.close();
  }
}
