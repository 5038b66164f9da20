/**
 * `npm run bench:compare -- OLD NEW`: the last recorded line of each benchmark at two commits, side by side; the last column
 * is new divided by old. Exit code 2 when a commit has no line.
 */
import { formatTable, readRecords, roundTo3, type BenchRecord, type Figures } from "./result.ts";

const [oldCommit, newCommit] = process.argv.slice(2);
const records = await readRecords();
const before = lastOf(oldCommit);
const after = lastOf(newCommit);
if (before.size === 0 || after.size === 0) {
  const known = [...new Set(records.map(({ commit }) => commit))];
  console.error(`usage: node bench/compare.ts OLD NEW, recorded commits: ${known.join(", ")}`);
  process.exitCode = 2;
}
for (const [name, old] of before) {
  const fresh = after.get(name);
  if (fresh !== undefined) console.log(`${name}\n${compare(old, fresh).join("\n")}\n`);
}

/** Benchmark → its newest line at a commit. */
function lastOf(commit: string | undefined): Map<string, BenchRecord> {
  return new Map(records.filter((one) => one.commit === commit).map((one) => [one.name, one]));
}

function compare(old: BenchRecord, fresh: BenchRecord): string[] {
  const rows: Record<string, Figures> = {};
  const add = (row: string, before: Figures, after: Figures | undefined): void => {
    for (const [column, oldValue] of Object.entries(before)) {
      const newValue = after?.[column];
      if (newValue === undefined) continue;
      const quotient = oldValue === 0 ? {} : { "new / old": roundTo3(newValue / oldValue) };
      rows[`${row}${column}`] = { old: oldValue, new: newValue, ...quotient };
    }
  };
  for (const [row, figures] of Object.entries(old.medians)) add(`${row} `, figures, fresh.medians[row]);
  add("", old.ratios, fresh.ratios);
  return formatTable(rows);
}
