/** A store copied to another one, again, and after an update, beside programs that copy repositories; and checked as a whole. */
import { appendFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { must } from "../src/base/assert.ts";
import { COMPILE_CACHE, withFolder } from "./folders.ts";
import { AETHERFS, costOf, folderBytes, measureQuietly, runProgram, type Command } from "./measure.ts";
import { mixedTree } from "./mixed-tree.ts";
import { medianFigures, roundTo3, type BenchResult, type Figures } from "./result.ts";
import { aetherfsCommand } from "./snapshot-tools.ts";

/** A program that copies a repository to a place of its own, and checks it. */
interface CopyTool {
  readonly name: string;
  readonly setUp: readonly Command[];
  /** Stores the tree's present state. */
  readonly push: Command;
  readonly copy: Command;
  readonly target: string;
  /** Reads every byte of the repository and checks it. */
  readonly check: Command | undefined;
}

/** Measures each in turn, each round with new repositories. */
export async function benchCopy(rounds: number): Promise<BenchResult> {
  const tree = await mixedTree();
  const figures = new Map<string, Figures[]>();
  for (let round = 0; round < rounds; round++) {
    await withFolder(async (folder) => {
      const source = join(folder, "source");
      await runProgram({ argv: ["cp", "-a", tree.path, source] });
      for (const tool of copyTools(folder, source)) await measureTool(tool, source, figures);
    });
  }
  const medians = Object.fromEntries([...figures].map(([row, runs]) => [row, medianFigures(runs)]));
  const figure = (row: string, name: string): number => must(medians[row]?.[name], "every row has it");
  const ratios = Object.fromEntries(
    ["restic", "rclone"].flatMap((peer) =>
      ["first", "update"].map((step) => [
        `${step}: cpu of ${peer} / aetherfs`,
        roundTo3(figure(`${step}, ${peer}`, "cpuSeconds") / figure(`${step}, aetherfs`, "cpuSeconds")),
      ]),
    ),
  );
  const compared =
    `${tree.files} files, ${Math.round(tree.bytes / 1e6)} MB, in a store of this machine's disk, to another; the update appends a line to one file; ` +
    "aetherfs verifies all that it copies and fsyncs it; restic copy decrypts and encrypts; rclone sync copies the store's files as they are";
  return { name: "copy", rounds, compared, medians, ratios };
}

async function measureTool(tool: CopyTool, source: string, figures: Map<string, Figures[]>): Promise<void> {
  const { name, setUp, push, copy, target, check } = tool;
  const keep = (row: string, measured: Figures): void => {
    figures.set(`${row}, ${name}`, [...(figures.get(`${row}, ${name}`) ?? []), measured]);
  };
  const step = async (row: string): Promise<void> => {
    const before = await bytesOf(target);
    const cost = costOf(await measureQuietly(copy));
    keep(row, { ...cost, targetBytes: (await bytesOf(target)) - before });
  };
  for (const command of setUp) await runProgram(command);
  await runProgram(push);
  await step("first");
  await step("again");
  await appendFile(join(source, "usr/include/stdio.h"), "/* one more line */\n");
  await runProgram(push);
  await step("update");
  if (check !== undefined) keep("check", costOf(await measureQuietly(check)));
  await rm(target, { recursive: true, force: true });
}

async function bytesOf(folder: string): Promise<number> {
  try {
    return await folderBytes(folder);
  } catch {
    return 0;
  }
}

function copyTools(folder: string, source: string): CopyTool[] {
  const own = join(folder, "aetherfs");
  const store = join(own, "store");
  const push = aetherfsCommand(own, "push", "-t", "tree:one", source);
  const env = { HOME: folder, NODE_COMPILE_CACHE: COMPILE_CACHE };
  const cache = ["--cache_dir", join(own, "cache")];
  const mirror = join(folder, "mirror");
  const aetherfs = {
    name: "aetherfs",
    setUp: [{ argv: ["mkdir", "-p", join(own, "home")] }],
    push,
    copy: { argv: [AETHERFS, ...cache, "copy", "--all", "--from", store, "--to", mirror], env },
    target: mirror,
    check: { argv: [AETHERFS, ...cache, "--store", store, "verify"], env },
  };
  const synced = join(folder, "synced");
  const rclone = {
    name: "rclone",
    setUp: [],
    push,
    copy: { argv: ["rclone", "sync", store, synced], env: { HOME: folder } },
    target: synced,
    check: undefined,
  };
  return [aetherfs, rclone, restic(folder, source)];
}

function restic(folder: string, source: string): CopyTool {
  const [from, to] = [join(folder, "restic"), join(folder, "restic-copy")];
  const env = { HOME: folder, RESTIC_PASSWORD: "bench", RESTIC_FROM_PASSWORD: "bench" };
  const argv = ["restic", "--quiet", "--no-cache", "--repo"];
  const params = ["--from-repo", from, "--copy-chunker-params"];
  return {
    name: "restic",
    setUp: [
      { argv: [...argv, from, "init"], env },
      { argv: [...argv, to, "init", ...params], env },
    ],
    push: { argv: [...argv, from, "backup", "."], env, cwd: source },
    copy: { argv: [...argv, to, "copy", "--from-repo", from], env },
    target: to,
    check: { argv: [...argv, from, "check", "--read-data"], env },
  };
}
