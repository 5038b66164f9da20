/** What it takes to be rid of most releases of a series, beside other programs that keep and prune them. */
import { join } from "node:path";
import { mkdir } from "node:fs/promises";
import { must } from "../src/base/assert.ts";
import { withFolder } from "./folders.ts";
import { costOf, folderBytes, measureQuietly, runProgram, type Command, type Run } from "./measure.ts";
import { releaseFolder, SERIES, type SeriesName } from "./release-series.ts";
import { medianFigures, roundTo3, type BenchResult, type Figures } from "./result.ts";
import { aetherfsCommand, snapshotTools, TOOLS_COMPARED, type SnapshotTool } from "./snapshot-tools.ts";

/** Releases of each series that stay: the newest. */
const KEPT = 2;

const COMPARED =
  `all releases of ${Object.keys(SERIES).length} data packages in one store, of which the newest ${KEPT} of each stay; aetherfs prune --grace 0s ` +
  "(which looks through the store twice, and repacks below 50 %), rm of each tag before (forgetSeconds, a process for each); restic " +
  `forget --prune; borg delete and compact; freedBytes: of the store's folder; ${TOOLS_COMPARED}`;

interface Release {
  readonly series: SeriesName;
  readonly version: string;
  /** From 1, over all series. */
  readonly number: number;
  readonly isKept: boolean;
}

/** How a program stores a release, and drops most of them. */
interface Dropper {
  readonly name: string;
  readonly store: string;
  readonly setUp: readonly Command[];
  readonly push: (source: string, release: Release) => Command;
  /** What says which go, where that is apart, and what frees their bytes. */
  readonly drop: (dropped: readonly Release[]) => {
    readonly forget: readonly Command[];
    readonly prune: readonly Command[];
  };
}

/** The programs take turns in every round; all stores are made anew. */
export async function benchPrune(rounds: number): Promise<BenchResult> {
  const figures = new Map<string, Figures[]>();
  for (let round = 0; round < rounds; round++) {
    await withFolder(async (folder) => {
      for (const dropper of await droppers(folder)) {
        const measured = await measureOne(dropper);
        figures.set(dropper.name, [...(figures.get(dropper.name) ?? []), measured]);
      }
    });
  }
  const medians = Object.fromEntries([...figures].map(([name, all]) => [name, medianFigures(all)]));
  const of = (name: string, column: string): number => must(medians[name]?.[column], `${name} has ${column}`);
  const ratios: Record<string, number> = {};
  for (const other of ["restic", "borg"]) {
    for (const column of ["wallSeconds", "cpuSeconds", "memoryMiB"])
      ratios[`${other} / aetherfs: ${column}`] = roundTo3(of(other, column) / of("aetherfs", column));
    ratios[`aetherfs / ${other}: bytes left`] = roundTo3(
      of("aetherfs", "leftBytes") / of(other, "leftBytes"),
    );
  }
  return { name: "prune", rounds, compared: COMPARED, medians, ratios };
}

async function measureOne({ store, setUp, push, drop }: Dropper): Promise<Figures> {
  for (const command of setUp) await runProgram(command);
  const releases = allReleases();
  for (const release of releases)
    await runProgram(push(await releaseFolder(release.series, release.version), release));
  const beforeBytes = await folderBytes(store);
  const { forget, prune } = drop(releases.filter(({ isKept }) => !isKept));
  const forgotten = await measureAll(forget);
  const pruned = await measureAll(prune);
  const leftBytes = await folderBytes(store);
  const forgetSeconds = forgotten.wallSeconds;
  return { ...costOf(pruned), forgetSeconds, beforeBytes, freedBytes: beforeBytes - leftBytes, leftBytes };
}

/** One after another, as if they were one program. */
async function measureAll(commands: readonly Command[]): Promise<Omit<Run, "stdout">> {
  const sum = { wallSeconds: 0, cpuSeconds: 0, memoryMiB: 0 };
  for (const command of commands) {
    const run = await measureQuietly(command);
    sum.wallSeconds = roundTo3(sum.wallSeconds + run.wallSeconds);
    sum.cpuSeconds = roundTo3(sum.cpuSeconds + run.cpuSeconds);
    sum.memoryMiB = Math.max(sum.memoryMiB, run.memoryMiB);
  }
  return sum;
}

function allReleases(): Release[] {
  const names = Object.keys(SERIES) as SeriesName[];
  const all = names.flatMap((series) =>
    SERIES[series].map((version, index, { length }) => ({ series, version, isKept: index >= length - KEPT })),
  );
  return all.map((release, index) => ({ ...release, number: index + 1 }));
}

async function droppers(folder: string): Promise<Dropper[]> {
  const tools = new Map((await snapshotTools(folder)).map((tool) => [tool.name, tool]));
  const tool = (name: string): SnapshotTool => must(tools.get(name), "the program is known");
  await mkdir(join(folder, "aetherfs", "home"), { recursive: true });
  return [aetherfs(tool("aetherfs"), join(folder, "aetherfs")), restic(tool("restic")), borg(tool("borg"))];
}

function aetherfs({ name, store, setUp }: SnapshotTool, folder: string): Dropper {
  const tagOf = ({ series, version }: Release): string => `${series}:${version}`;
  return {
    ...{ name, store, setUp },
    push: (source, release) => aetherfsCommand(folder, "push", "-t", tagOf(release), source),
    drop: (dropped) => ({
      forget: dropped.map((release) => aetherfsCommand(folder, "rm", tagOf(release))),
      prune: [aetherfsCommand(folder, "prune", "--grace", "0s")],
    }),
  };
}

function restic({ name, store, setUp, push }: SnapshotTool): Dropper {
  const tagged = (command: Command, ...words: string[]): Command => ({
    ...command,
    argv: [...command.argv, ...words],
  });
  return {
    ...{ name, store, setUp },
    push: (source, release) =>
      tagged(push(source, release.number), "--tag", release.isKept ? "kept" : "dropped"),
    drop: () => {
      const { argv, env } = must(setUp[0], "restic makes its repository");
      const forget = ["forget", "--keep-tag", "kept", "--group-by", "", "--prune"];
      const command = { argv: [...argv.slice(0, -1), ...forget], ...(env === undefined ? {} : { env }) };
      return { forget: [], prune: [command] };
    },
  };
}

function borg({ name, store, setUp, push }: SnapshotTool): Dropper {
  const { env } = must(setUp[0], "borg makes its repository");
  const withEnv = (argv: readonly string[]): Command => ({ argv, ...(env === undefined ? {} : { env }) });
  return {
    ...{ name, store, setUp },
    push: (source, { number }) => push(source, number),
    drop: (dropped) => ({
      forget: [],
      prune: [
        withEnv(["borg", "delete", store, ...dropped.map(({ number }) => `version-${number}`)]),
        withEnv(["borg", "compact", store]),
      ],
    }),
  };
}
