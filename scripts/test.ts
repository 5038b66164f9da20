/**
 * `npm test`: runs every *.test.ts of src/ and test/, or those that the arguments name (files, folders or parts of a
 * path: `npm test -- src/format`), and says at the end what was skipped and why. Exit code 1 when a test failed, or
 * when there was none.
 */
import { existsSync, globSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { fileURLToPath } from "node:url";

/** Test files at a time: many of them start processes and workers of their own. */
const CONCURRENCY = 2;
/** All of them, before the run counts as hung: the processes are killed then. */
const RUN_TIMEOUT_MS = 40 * 60_000;

const root = fileURLToPath(new URL("..", import.meta.url));

function selectFiles(wanted: readonly string[]): string[] {
  const all = globSync("{src,test}/**/*.test.ts", { cwd: root }).sort();
  if (wanted.length === 0) return all.map((file) => resolve(root, file));
  return wanted.flatMap((part) => {
    const named = all.filter((file) => file.includes(part)).map((file) => resolve(root, file));
    return named.length === 0 && part.endsWith(".test.ts") && existsSync(part) ? [resolve(part)] : named;
  });
}

function reportSkips(reasons: ReadonlyMap<string, number>): void {
  if (reasons.size === 0) return;
  console.log("\nSkipped:");
  for (const [reason, count] of [...reasons].sort()) {
    console.log(`  ${count} ${count === 1 ? "test" : "tests"}: ${reason}`);
  }
}

const files = [...new Set(selectFiles(process.argv.slice(2)))];
const skips = new Map<string, number>();
const outcome = { success: false, tests: 0 };

if (files.length > 0) {
  // What one file's processes compile, those of the others need not.
  const compiled = mkdtempSync(join(tmpdir(), "aetherfs-compiled-"));
  process.on("exit", () => {
    rmSync(compiled, { recursive: true, force: true });
  });
  process.env["NODE_COMPILE_CACHE"] = compiled;
  const execArgv = ["--import", new URL("test-watchdog.ts", import.meta.url).href];
  const signal = AbortSignal.timeout(RUN_TIMEOUT_MS);
  const stream = run({ files, cwd: root, concurrency: CONCURRENCY, execArgv, signal });
  stream.on("test:pass", ({ skip }) => {
    if (skip === undefined || skip === false) return;
    const reason = typeof skip === "string" && skip !== "" ? skip : "no reason given";
    skips.set(reason, (skips.get(reason) ?? 0) + 1);
  });
  stream.on("test:summary", ({ file, success, counts }) => {
    if (file !== undefined) return;
    outcome.success = success;
    outcome.tests = counts.tests;
  });
  for await (const text of stream.compose(new spec())) process.stdout.write(text as string);
}

reportSkips(skips);
if (outcome.tests === 0) console.error("There was no test to run.");
process.exitCode = outcome.success && outcome.tests > 0 ? 0 : 1;
