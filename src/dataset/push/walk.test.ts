import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { codeOf, type AetherError } from "../../base/errors.ts";
import { createPathFilter } from "../path-filter.ts";
import { STAGING_NAME } from "../pull/staging.ts";
import { temporaryFolder } from "../testing/folder.ts";
import { openRoot, walk, type WalkedEntry } from "./walk.ts";

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => {
  folder.remove();
});

function walkAll(exclude: readonly string[] = []): {
  entries: WalkedEntry[];
  skipped: [string, AetherError][];
} {
  const skipped: [string, AetherError][] = [];
  const filter = createPathFilter({ exclude });
  const entries = [...walk(openRoot(folder.path), filter, (name, error) => skipped.push([name, error]))];
  return { entries, skipped };
}

function write(...names: readonly string[]): void {
  for (const name of names) {
    const file = path.join(folder.path, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, name.slice(0, 20));
  }
}

test("a walk leaves out what an interrupted pull left at the top, and only there", () => {
  write(`${STAGING_NAME}/t1`, "a", `b/${STAGING_NAME}`);
  assert.deepEqual(
    walkAll().entries.map((entry) => entry.path),
    ["a", "b", `b/${STAGING_NAME}`],
  );
});

test("a walk lists what find lists, in byte order of path", () => {
  write(
    "a/b/c",
    "a-b",
    "a.b",
    "a0",
    "ab",
    "a/b-",
    "a/b.c/d",
    "é",
    "e\u0301",
    "\uffee",
    "\u{1f600}",
    "new\nline",
  );
  write(
    'quo"te',
    "spa ce",
    "%41",
    "\\back",
    "-dash",
    "A",
    "z".repeat(255),
    "ü/".repeat(3) + "deep",
    "\ufffd",
  );
  fs.mkdirSync(path.join(folder.path, "empty/inner"), { recursive: true });
  fs.symlinkSync("a", path.join(folder.path, "link to a folder"));
  const found = execFileSync("find", [".", "-mindepth", "1", "-print0"], { cwd: folder.path });
  const names = found
    .toString("utf8")
    .split("\0")
    .slice(0, -1)
    .map((name) => Buffer.from(name.slice(2)));
  const { entries, skipped } = walkAll();
  assert.deepEqual(
    entries.map((entry) => entry.path),
    names.sort((a, b) => Buffer.compare(a, b)).map(String),
  );
  assert.deepEqual(skipped, []);
});

test("a walk gives kinds, sizes, modes and targets", () => {
  write("folder/file");
  fs.chmodSync(path.join(folder.path, "folder"), 0o1750);
  fs.symlinkSync("to nowhere", path.join(folder.path, "link"));
  const found = walkAll().entries.map(({ kind, size, mode, target }) => ({ kind, size, mode, target }));
  assert.deepEqual(
    found.map(({ kind }) => kind),
    ["directory", "file", "symlink"],
  );
  assert.deepEqual([found[0]?.mode, found[1]?.size, found[2]?.target], [0o1750, 11, "to nowhere"]);
});

test("a walk leaves out what is excluded, and all below it", () => {
  write("keep/a", "drop/a", "drop/b/c", "keep/drop/d", "keep/x.log");
  const { entries } = walkAll(["drop/", "*.log"]);
  assert.deepEqual(
    entries.map((entry) => entry.path),
    ["keep", "keep/a"],
  );
});

test("a walk to paths longer than a dataset may have skips these and no others", () => {
  const top = path.join(folder.path, "top");
  fs.mkdirSync(top);
  const segment = "x".repeat(200);
  const script = `set -e; for i in $(seq 25); do mkdir ${segment}; cd ${segment}; done`;
  execFileSync("bash", ["-c", script], { cwd: top });
  const { entries, skipped } = walkAll();
  assert.ok(entries.length >= 18 && entries.length < 25);
  assert.ok(skipped.length > 0);
  for (const [, error] of skipped) assert.ok(["PATH_INVALID", "SOURCE_UNREADABLE"].includes(codeOf(error)));
});

test("a walk during which a folder becomes a link does not follow it", () => {
  write("a/inner", "outside/secret", "z");
  const entries = walk(openRoot(folder.path), createPathFilter({}), () => undefined);
  assert.equal((entries.next() as IteratorYieldResult<WalkedEntry>).value.path, "a");
  fs.rmSync(path.join(folder.path, "a"), { recursive: true });
  fs.symlinkSync("outside", path.join(folder.path, "a"));
  assert.throws(
    () => [...entries],
    (error) => codeOf(error) === "SOURCE_CHANGED",
  );
});

test("a walk during which files and folders vanish leaves them out", () => {
  write("a/inner", "b", "c");
  const entries = walk(openRoot(folder.path), createPathFilter({}), () => undefined);
  assert.equal((entries.next() as IteratorYieldResult<WalkedEntry>).value.path, "a");
  fs.rmSync(path.join(folder.path, "a"), { recursive: true });
  fs.rmSync(path.join(folder.path, "b"));
  assert.deepEqual(
    [...entries].map((entry) => entry.path),
    ["c"],
  );
});

test("a walk of a source that vanished fails, whatever may be skipped", () => {
  const root = openRoot(folder.path);
  folder.remove();
  const entries = walk(root, createPathFilter({}), () => undefined);
  assert.throws(
    () => [...entries],
    (error) => codeOf(error) === "SOURCE_NOT_FOUND",
  );
});

test("a walk by a user who may not read a folder skips its content", (t) => {
  if (process.getuid?.() !== 0 || process.seteuid === undefined) {
    t.skip("only root can become another user");
    return;
  }
  write("closed/inner", "open");
  fs.chmodSync(path.join(folder.path, "closed"), 0);
  fs.chmodSync(folder.path, 0o755);
  const root = openRoot(folder.path);
  process.seteuid(65_534);
  try {
    const skipped: [string, string][] = [];
    const entries = walk(root, createPathFilter({}), (name, error) => skipped.push([name, error.code]));
    assert.deepEqual(
      [...entries].map((entry) => entry.path),
      ["closed", "open"],
    );
    assert.deepEqual(skipped, [["closed", "SOURCE_UNREADABLE"]]);
  } finally {
    process.seteuid(0);
  }
});
