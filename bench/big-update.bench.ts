/** A large tree pushed to a hub and pulled, then a hundredth of it changed in many places, pushed and pulled again. */
import { mkdir, statfs } from "node:fs/promises";
import { join } from "node:path";
import { GiB, MiB } from "../src/base/limits.ts";
import { DATA, withFolder } from "./folders.ts";
import { costOf, measureQuietly, type Command } from "./measure.ts";
import { roundTo3, type BenchResult, type Figures } from "./result.ts";
import type { Server } from "./servers.ts";
import { clientCommand, reportOf } from "./snapshot-tools.ts";
import { changeTree, makeTree, type Changes } from "./synthetic-tree.ts";
import { startHub } from "./web-servers.ts";

const SIZES_DEFAULT: readonly number[] = [GiB, 10 * GiB];
const CHANGED_SHARE = 0.01;
const PLACES = 1000;
/** The tree, the hub's store and the pulled tree lie side by side; others use the disk too. */
const FREE_FACTOR = 3;
const FREE_EXTRA_BYTES = 5 * GiB;
const COMPARED =
  `generated trees, a quarter noise, half compressing 2:1, a quarter 3:1; through a hub on loopback with everything at its ` +
  `default; changed: ${CHANGED_SHARE * 100} % of the bytes written over in ${PLACES} places, pulled over the old folder; ` +
  "changedZstdBytes: the new bytes of each place by themselves at zstd -3; hubPeakMiB: of that step";

/** Byte counts that push and pull report. */
const REPORTED = ["sentBytes", "storedBytes", "fetchedBytes"] as const;

/** One run of each size, in bytes; those that the disk has no room for are left out, and said. */
export async function benchBigUpdate(
  _rounds: number,
  sizes: readonly number[] = SIZES_DEFAULT,
): Promise<BenchResult> {
  const medians: Record<string, Figures> = {};
  const ratios: Record<string, number> = {};
  const measured: number[] = [];
  const left: string[] = [];
  await mkdir(DATA, { recursive: true });
  for (const size of sizes) {
    const { bavail, bsize } = await statfs(DATA);
    if (bavail * bsize < FREE_FACTOR * size + FREE_EXTRA_BYTES) {
      left.push(`; ${sizeText(size)} left out: the disk has too little room`);
      continue;
    }
    measured.push(size);
    const steps = await withFolder((folder) => measureSize(folder, size, ratios));
    for (const [step, figures] of Object.entries(steps)) medians[`${step}, ${sizeText(size)}`] = figures;
  }
  Object.assign(ratios, growth(medians, measured));
  return { name: "big-update", rounds: 1, compared: `${COMPARED}${left.join("")}`, medians, ratios };
}

/** Step → what it cost. */
async function measureSize(
  folder: string,
  size: number,
  ratios: Record<string, number>,
): Promise<Record<string, Figures>> {
  const source = join(folder, "source");
  const [hub, pusher, puller] = [join(folder, "hub"), join(folder, "pusher"), join(folder, "puller")];
  for (const place of [hub, pusher, puller]) await mkdir(join(place, "home"), { recursive: true });
  const files = await makeTree(source, size);
  const server = await startHub(hub);
  try {
    const reference = `${new URL(server.url).host}/big:latest`;
    const push = clientCommand(pusher, "push", "-t", reference, source);
    const pull = clientCommand(puller, "pull", "--into", join(puller, "target"), reference);
    const steps: Record<string, Figures> = {
      push: await measureStep(push, server),
      pull: await measureStep(pull, server),
    };
    const changes = await changeTree(source, files, { bytes: size * CHANGED_SHARE, places: PLACES });
    steps["push changed"] = { ...(await measureStep(push, server)), ...changes };
    steps["pull changed"] = await measureStep(pull, server);
    Object.assign(ratios, ratiosToChange(steps, changes, size));
    return steps;
  } finally {
    await server.stop();
  }
}

/** A client's run, with what the hub took meanwhile. */
async function measureStep(command: Command, server: Server): Promise<Figures> {
  server.resetPeak();
  const before = server.usage();
  const run = await measureQuietly(command);
  const after = server.usage();
  const report = reportOf(run);
  const bytes = REPORTED.flatMap((column) => {
    const value = report[column];
    return value === undefined ? [] : [[column, value] as const];
  });
  return {
    ...costOf(run),
    hubCpuSeconds: roundTo3(after.cpuSeconds - before.cpuSeconds),
    hubPeakMiB: after.peakMiB,
    ...Object.fromEntries(bytes),
  };
}

/** What the update cost in bytes, by what the new bytes come to when they are compressed by themselves. */
function ratiosToChange(
  steps: Readonly<Record<string, Figures>>,
  { changedZstdBytes }: Changes,
  size: number,
): Figures {
  const ratios: Record<string, number> = {};
  for (const step of ["push changed", "pull changed"]) {
    for (const column of REPORTED) {
      const value = steps[step]?.[column];
      if (value === undefined) continue;
      ratios[`${step}, ${sizeText(size)}: ${column} / changedZstdBytes`] = roundTo3(value / changedZstdBytes);
    }
  }
  return ratios;
}

/** The figures of the largest tree by those of the smallest. */
function growth(medians: Readonly<Record<string, Figures>>, sizes: readonly number[]): Figures {
  const [small, large] = [Math.min(...sizes), Math.max(...sizes)];
  if (sizes.length < 2 || small === large) return {};
  const ratios: Record<string, number> = {};
  for (const step of ["push", "pull", "push changed", "pull changed"]) {
    const before = medians[`${step}, ${sizeText(small)}`] ?? {};
    const after = medians[`${step}, ${sizeText(large)}`] ?? {};
    for (const [column, value] of Object.entries(after)) {
      const base = before[column] ?? 0;
      if (base === 0 || column.startsWith("changed")) continue;
      ratios[`${step}: ${column} of ${sizeText(large)} / ${sizeText(small)}`] = roundTo3(value / base);
    }
  }
  return ratios;
}

function sizeText(bytes: number): string {
  return bytes % GiB === 0 ? `${bytes / GiB} GiB` : `${roundTo3(bytes / MiB)} MiB`;
}
