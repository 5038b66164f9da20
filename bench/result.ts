/** What a benchmark gives, how it is shown, and how it is kept. */
import { execFile } from "node:child_process";
import { appendFile, readFile } from "node:fs/promises";
import { cpus, totalmem } from "node:os";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** Column → number. A column's name says the unit. */
export type Figures = Readonly<Record<string, number>>;

/** The outcome of one benchmark. */
export interface BenchResult {
  readonly name: string;
  /** Interleaved rounds that the medians are of. */
  readonly rounds: number;
  /** On what, beside what, at which compression levels, with which durability. */
  readonly compared: string;
  /** Row (a program, a release, a step) → its figures. */
  readonly medians: Readonly<Record<string, Figures>>;
  /** What the bench is about, as one number each; the name says what is divided by what. */
  readonly ratios: Figures;
}

/** A line of results.ndjson. */
export interface BenchRecord extends BenchResult {
  readonly date: string;
  /** Abbreviated, with `+` when the tree had changes that were not committed. */
  readonly commit: string;
  readonly machine: { readonly cores: number; readonly model: string; readonly memoryMiB: number };
  /** Program → version, of those that are there. */
  readonly versions: Readonly<Record<string, string>>;
}

const RECORDS = fileURLToPath(new URL("results.ndjson", import.meta.url));
const REPOSITORY = fileURLToPath(new URL("..", import.meta.url));

/** Program → the arguments that make it say its version. */
const VERSION_ARGUMENTS: Readonly<Record<string, readonly string[]>> = {
  restic: ["version"],
  borg: ["--version"],
  casync: ["--version"],
  rsync: ["--version"],
  zstd: ["--version"],
  rclone: ["version"],
  aws: ["--version"],
  radosgw: ["--version"],
};

const run = promisify(execFile);

/** Appends one line to bench/results.ndjson. */
export async function record(result: BenchResult, now: Date): Promise<void> {
  const line: BenchRecord = {
    date: now.toISOString(),
    commit: await currentCommit(),
    machine: {
      cores: cpus().length,
      model: cpus()[0]?.model ?? "unknown",
      memoryMiB: Math.round(totalmem() / 2 ** 20),
    },
    versions: await versions(),
    ...result,
  };
  await appendFile(RECORDS, `${JSON.stringify(line)}\n`);
}

/** All recorded lines, oldest first. */
export async function readRecords(): Promise<BenchRecord[]> {
  const text = await readFile(RECORDS, "utf8");
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as BenchRecord);
}

/** The middle value; of an even number, the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError("there is no median of nothing");
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[sorted.length >> 1] ?? 0;
  const lower = sorted[(sorted.length - 1) >> 1] ?? 0;
  return (lower + upper) / 2;
}

/** The medians of each column over the rounds. */
export function medianFigures(rounds: readonly Figures[]): Figures {
  const columns = Object.keys(rounds[0] ?? {});
  return Object.fromEntries(
    columns.map((column) => [column, roundTo3(median(rounds.map((figures) => figures[column] ?? 0)))]),
  );
}

/** Each candidate measured once in each round, those of a round one after another; the medians, by their names. */
export async function inRounds<C extends { readonly name: string }>(
  rounds: number,
  candidates: readonly C[],
  measure: (candidate: C) => Promise<Figures>,
): Promise<Readonly<Record<string, Figures>>> {
  const figures = new Map<string, Figures[]>();
  for (let round = 0; round < rounds; round++) {
    for (const candidate of candidates) {
      const { name } = candidate;
      figures.set(name, [...(figures.get(name) ?? []), await measure(candidate)]);
    }
  }
  return Object.fromEntries([...figures].map(([name, runs]) => [name, medianFigures(runs)]));
}

/** To three digits after the point. */
export function roundTo3(value: number): number {
  return Math.round(value * 1000) / 1000;
}

/** The result as text: a table of the medians, the ratios below. */
export function formatResult(result: BenchResult): string {
  const { name, rounds, compared, medians, ratios } = result;
  const lines = [`${name} (${rounds} ${rounds === 1 ? "round" : "rounds"}): ${compared}`];
  lines.push(...formatTable(medians).map((line) => `  ${line}`));
  for (const [ratio, value] of Object.entries(ratios)) lines.push(`  ${ratio}: ${formatNumber(value)}`);
  return lines.join("\n");
}

/** Aligned lines: the rows' names, then every column that any row has. */
export function formatTable(rows: Readonly<Record<string, Figures>>): string[] {
  const columns = [...new Set(Object.values(rows).flatMap((figures) => Object.keys(figures)))];
  const cells = [["", ...columns]];
  for (const [row, figures] of Object.entries(rows)) {
    const numbers = columns.map((column) => figures[column]);
    cells.push([row, ...numbers.map((value) => (value === undefined ? "" : formatNumber(value)))]);
  }
  const widths = ["", ...columns].map((_, index) => Math.max(...cells.map((row) => row[index]?.length ?? 0)));
  return cells.map((row) =>
    row
      .map((cell, index) =>
        index === 0 ? cell.padEnd(widths[index] ?? 0) : cell.padStart(widths[index] ?? 0),
      )
      .join("  ")
      .trimEnd(),
  );
}

function formatNumber(value: number): string {
  if (Number.isInteger(value)) return value.toLocaleString("en");
  return value >= 100 ? Math.round(value).toLocaleString("en") : value.toFixed(2);
}

async function currentCommit(): Promise<string> {
  const options = { cwd: REPOSITORY };
  const { stdout } = await run("git", ["rev-parse", "--short", "HEAD"], options);
  const changes = await run("git", ["status", "--porcelain", "--", "src", "bin", "package.json"], options);
  return `${stdout.trim()}${changes.stdout === "" ? "" : "+"}`;
}

async function versions(): Promise<Record<string, string>> {
  const found: Record<string, string> = { node: process.version };
  for (const [program, args] of Object.entries(VERSION_ARGUMENTS)) {
    try {
      const { stdout } = await run(program, [...args]);
      found[program] = /\d+(\.\d+)*/.exec(stdout)?.[0] ?? "unknown";
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
    }
  }
  return found;
}
