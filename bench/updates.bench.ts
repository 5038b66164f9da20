/** What an update costs on real data: bytes sent, stored and fetched, beside a patch of the whole. */
import { mkdir, open, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { compareUtf8 } from "../src/base/bytes.ts";
import { withFolder } from "./folders.ts";
import { runProgram } from "./measure.ts";
import { releaseFolder, SERIES, type SeriesName } from "./release-series.ts";
import { formatTable, median, roundTo3, type BenchResult, type Figures } from "./result.ts";
import { aetherfsCommand } from "./snapshot-tools.ts";

const COMPARED =
  "aetherfs with its defaults (zstd 3), manifest and plan included, the consumer one release behind; " +
  "patchBytes: zstd -3 --long=27 --patch-from, wholeBytes: zstd -3, both on all files' bytes in path order, without " +
  "names, modes and times; bytes are the medians of the series' updates, the ratios those of its sums";

/** One update of a series. */
interface Update extends Figures {
  readonly rawBytes: number;
  readonly wholeBytes: number;
  readonly patchBytes: number;
  readonly sentBytes: number;
  readonly storedBytes: number;
  readonly fetchedBytes: number;
}

/** The four public series. */
export async function benchUpdates(): Promise<BenchResult> {
  const medians: Record<string, Figures> = {};
  const ratios: Record<string, number> = {};
  for (const name of Object.keys(SERIES) as SeriesName[]) {
    const updates = await withFolder((folder) => measureSeries(name, folder));
    const rows = Object.fromEntries(updates);
    console.log(`${name}\n${formatTable(rows).join("\n")}`);
    const figures = [...updates.values()];
    const columns = Object.keys(figures[0] ?? {});
    const all = columns.map((column) => [column, figures.map((update) => update[column] ?? 0)] as const);
    medians[name] = Object.fromEntries(all.map(([column, values]) => [column, Math.round(median(values))]));
    const sums = Object.fromEntries(
      all.map(([column, values]) => [column, values.reduce((a, b) => a + b, 0)]),
    );
    const ratio = (column: string, base: string): number =>
      roundTo3((sums[column] ?? 0) / Math.max(sums[base] ?? 0, 1));
    ratios[`${name}: fetched / patch`] = ratio("fetchedBytes", "patchBytes");
    ratios[`${name}: stored / patch`] = ratio("storedBytes", "patchBytes");
    ratios[`${name}: whole / fetched`] = ratio("wholeBytes", "fetchedBytes");
  }
  return { name: "updates", rounds: 1, compared: COMPARED, medians, ratios };
}

async function measureSeries(name: SeriesName, folder: string): Promise<Map<string, Update>> {
  const updates = new Map<string, Update>();
  const target = join(folder, "target");
  await mkdir(join(folder, "home"));
  let before: string | undefined;
  for (const version of SERIES[name]) {
    const source = await releaseFolder(name, version);
    const push = await report(folder, "push", "-t", "series:latest", source);
    const pull = await report(folder, "pull", "--into", target, "series:latest");
    const whole = join(folder, version);
    await concatenate(source, whole);
    if (before !== undefined) {
      updates.set(version, {
        rawBytes: (await stat(whole)).size,
        wholeBytes: await compressedBytes(["-3", whole]),
        patchBytes: await compressedBytes(["-3", "--long=27", `--patch-from=${before}`, whole]),
        sentBytes: push["sentBytes"] ?? NaN,
        storedBytes: push["storedBytes"] ?? NaN,
        fetchedBytes: pull["fetchedBytes"] ?? NaN,
      });
    }
    before = whole;
  }
  return updates;
}

async function report(folder: string, ...args: string[]): Promise<Partial<Record<string, number>>> {
  return JSON.parse(await runProgram(aetherfsCommand(folder, ...args))) as Partial<Record<string, number>>;
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
