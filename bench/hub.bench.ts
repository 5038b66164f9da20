/** Push and pull through a hub on loopback, beside the same on a store itself and beside restic on a server. */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { must } from "../src/base/assert.ts";
import { withFolder } from "./folders.ts";
import { costOf, measure, runProgram, type Command } from "./measure.ts";
import { mixedTree, type MixedTree } from "./mixed-tree.ts";
import { medianFigures, roundTo3, type BenchResult, type Figures } from "./result.ts";
import { freePort, startServer, type Server, type Usage } from "./servers.ts";
import { aetherfsCommand, clientCommand } from "./snapshot-tools.ts";
import { startHub } from "./web-servers.ts";

type Rounds = Map<string, Figures[]>;

/** Measures both ways, each round with new stores. */
export async function benchHub(rounds: number): Promise<BenchResult> {
  const tree = await mixedTree();
  const figures: Rounds = new Map();
  for (let round = 0; round < rounds; round++) {
    await withFolder(async (folder) => {
      await measureStore(tree, join(folder, "local"), figures);
      await measureHub(tree, join(folder, "hub"), figures);
      await measureRestic(tree, join(folder, "restic"), figures);
    });
  }
  const medians = Object.fromEntries([...figures].map(([row, runs]) => [row, medianFigures(runs)]));
  const wall = (row: string): number => must(medians[row]?.["wallSeconds"], "every row has it");
  const compared = `${tree.files} files, ${Math.round(tree.bytes / 1e6)} MB, loopback; restic on rclone serve restic; the server's CPU and peak apart`;
  const ratios = {
    "push: wall on the store / through the hub": roundTo3(wall("push, store") / wall("push, hub")),
    "pull: wall on the store / through the hub": roundTo3(wall("pull, store") / wall("pull, hub")),
    "push: wall of restic / aetherfs": roundTo3(wall("push, restic") / wall("push, hub")),
    "pull: wall of restic / aetherfs": roundTo3(wall("pull, restic") / wall("pull, hub")),
  };
  return { name: "hub", rounds, compared, medians, ratios };
}

async function measureStore(tree: MixedTree, folder: string, figures: Rounds): Promise<void> {
  await mkdir(join(folder, "home"), { recursive: true });
  await step("push, store", aetherfsCommand(folder, "push", "-t", "tree:one", tree.path), undefined, figures);
  const target = join(folder, "target");
  await step(
    "pull, store",
    aetherfsCommand(folder, "pull", "--into", target, "tree:one"),
    undefined,
    figures,
  );
  await rm(folder, { recursive: true });
}

async function measureHub(tree: MixedTree, folder: string, figures: Rounds): Promise<void> {
  await mkdir(join(folder, "home"), { recursive: true });
  const server = await startHub(folder);
  try {
    keep(figures, "hub at rest", { startMs: server.startMs, memoryMiB: server.usage().memoryMiB });
    const reference = `${new URL(server.url).host}/tree:one`;
    await step("push, hub", clientCommand(folder, "push", "-t", reference, tree.path), server, figures);
    const target = join(folder, "target");
    await step("pull, hub", clientCommand(folder, "pull", "--into", target, reference), server, figures);
  } finally {
    await server.stop();
  }
  await rm(folder, { recursive: true });
}

async function measureRestic(tree: MixedTree, folder: string, figures: Rounds): Promise<void> {
  const home = join(folder, "home");
  await mkdir(home, { recursive: true });
  const port = await freePort();
  const serve = ["rclone", "serve", "restic", "--addr", `127.0.0.1:${port}`, join(folder, "store")];
  const server = await startServer({ argv: serve, env: { HOME: home } }, port, "/config");
  try {
    const env = { HOME: home, RESTIC_PASSWORD: "bench" };
    const argv = ["restic", "--quiet", "--no-cache", "--repo", `rest:${server.url}/`];
    await runProgram({ argv: [...argv, "init"], env });
    await step("push, restic", { argv: [...argv, "backup", "."], env, cwd: tree.path }, server, figures);
    const restore = [...argv, "restore", "latest", "--target", join(folder, "target")];
    await step("pull, restic", { argv: restore, env }, server, figures);
  } finally {
    await server.stop();
  }
  await rm(folder, { recursive: true });
}

async function step(
  row: string,
  command: Command,
  server: Server | undefined,
  figures: Rounds,
): Promise<void> {
  await runProgram({ argv: ["sync"] });
  const before = server?.usage();
  const cost = costOf(await measure(command));
  keep(figures, row, { ...cost, ...serverCost(before, server?.usage()) });
}

function serverCost(before: Usage | undefined, after: Usage | undefined): Figures {
  if (before === undefined || after === undefined) return {};
  return { serverCpuSeconds: roundTo3(after.cpuSeconds - before.cpuSeconds), serverPeakMiB: after.peakMiB };
}

function keep(figures: Rounds, row: string, measured: Figures): void {
  figures.set(row, [...(figures.get(row) ?? []), measured]);
}
