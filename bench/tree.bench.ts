/** First push, push of the unchanged tree, and pull into an empty folder, beside other programs on the same tree. */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { must } from "../src/base/assert.ts";
import { withFolder } from "./folders.ts";
import { costOf, folderBytes, measureQuietly, runProgram } from "./measure.ts";
import { mixedTree, type MixedTree } from "./mixed-tree.ts";
import { medianFigures, roundTo3, type BenchResult, type Figures } from "./result.ts";
import { snapshotTools, TOOLS_COMPARED, type SnapshotTool } from "./snapshot-tools.ts";

/** What is measured of each tool, in this order. */
export const TREE_BENCHES = ["first-push", "unchanged-push", "pull"] as const;
export type TreeBench = (typeof TREE_BENCHES)[number];

/** Benchmark → program → the figures of each round. */
type Rounds = Map<TreeBench, Map<string, Figures[]>>;

/** Measures those of TREE_BENCHES that are wanted, each round with new stores. */
export async function benchTree(wanted: ReadonlySet<TreeBench>, rounds: number): Promise<BenchResult[]> {
  const tree = await mixedTree();
  const figures: Rounds = new Map();
  for (let round = 0; round < rounds; round++) {
    await withFolder((folder) => measureRound(tree, folder, wanted, figures));
  }
  return [...figures].map(([bench, byProgram]) => resultOf(bench, byProgram, tree, rounds));
}

async function measureRound(
  tree: MixedTree,
  folder: string,
  wanted: ReadonlySet<TreeBench>,
  figures: Rounds,
): Promise<void> {
  const keep = (bench: TreeBench, program: string, measured: Figures): void => {
    const byProgram = figures.get(bench) ?? new Map<string, Figures[]>();
    figures.set(bench, byProgram);
    byProgram.set(program, [...(byProgram.get(program) ?? []), measured]);
  };
  const tools = await snapshotTools(folder);
  await warm(tree.path);
  for (const tool of tools) {
    for (const command of tool.setUp) await runProgram(command);
    const cost = costOf(await measureQuietly(tool.push(tree.path, 1)));
    const stored = { storedMB: roundTo3((await folderBytes(tool.store)) / 1e6) };
    if (wanted.has("first-push")) keep("first-push", tool.name, { ...cost, ...stored });
  }
  if (wanted.has("unchanged-push")) {
    for (const tool of tools) {
      keep("unchanged-push", tool.name, costOf(await measureQuietly(tool.push(tree.path, 2))));
    }
  }
  if (!wanted.has("pull")) return;
  for (const { name, pull } of [...tools, ...copiers(tree.path)]) {
    const target = join(folder, `pulled-${name.replaceAll(" ", "")}`);
    await mkdir(target);
    keep("pull", name, costOf(await measureQuietly(pull(target))));
    await rm(target, { recursive: true });
  }
}

/** The plain copy, as it is and with each file made durable. */
function copiers(source: string): Pick<SnapshotTool, "name" | "pull">[] {
  return [[], ["--fsync"]].map((durable) => ({
    name: ["rsync -a", ...durable].join(" "),
    pull: (target) => ({ argv: ["rsync", "-a", ...durable, `${source}/`, `${target}/`] }),
  }));
}

async function warm(path: string): Promise<void> {
  await runProgram({ argv: ["sh", "-c", 'find "$1" -type f -exec cat {} + >/dev/null', "sh", path] });
}

function resultOf(
  bench: TreeBench,
  byProgram: ReadonlyMap<string, Figures[]>,
  tree: MixedTree,
  rounds: number,
): BenchResult {
  const medians = Object.fromEntries([...byProgram].map(([program, runs]) => [program, medianFigures(runs)]));
  const compared = `${tree.files} files, ${Math.round(tree.bytes / 1e6)} MB; ${TOOLS_COMPARED}`;
  return { name: bench, rounds, compared, medians, ratios: ratiosOf(bench, medians) };
}

/** The targets of each bench as ratios. */
function ratiosOf(bench: TreeBench, medians: Readonly<Record<string, Figures>>): Figures {
  const value = (program: string, column: string): number =>
    must(medians[program]?.[column], "every program has every column");
  const best = (column: string): number =>
    Math.min(...["restic", "borg", "casync"].map((program) => value(program, column)));
  const wall = value("aetherfs", "wallSeconds");
  const cpu = value("aetherfs", "cpuSeconds");
  if (bench === "first-push") {
    return {
      "wall of the fastest other / aetherfs": roundTo3(best("wallSeconds") / wall),
      "CPU of the thriftiest other / aetherfs": roundTo3(best("cpuSeconds") / cpu),
      "stored by aetherfs / smallest other": roundTo3(value("aetherfs", "storedMB") / best("storedMB")),
    };
  }
  if (bench === "unchanged-push") {
    return { "wall of restic / aetherfs": roundTo3(value("restic", "wallSeconds") / wall) };
  }
  return {
    "wall of the fastest other / aetherfs": roundTo3(best("wallSeconds") / wall),
    "wall of aetherfs / rsync -a": roundTo3(wall / value("rsync -a", "wallSeconds")),
    "wall of aetherfs / rsync -a --fsync": roundTo3(wall / value("rsync -a --fsync", "wallSeconds")),
  };
}
