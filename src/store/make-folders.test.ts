import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { makeFolders } from "./make-folders.ts";

function temporary(t: TestContext): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "aetherfs-folders-"));
  t.after(() => {
    fs.rmSync(folder, { recursive: true });
  });
  return folder;
}

test("folders that are missing are made, with their mode, and the topmost is given", (t) => {
  const top = temporary(t);
  const deep = path.join(top, "a", "b", "c");
  assert.equal(makeFolders(deep, 0o700), path.join(top, "a"));
  assert.equal(fs.statSync(path.join(top, "a", "b")).mode & 0o777, 0o700);
  assert.equal(makeFolders(deep), undefined);
});

test("a folder below a file, or in a file's place, is refused", (t) => {
  const file = path.join(temporary(t), "file");
  fs.writeFileSync(file, "");
  assert.throws(() => makeFolders(path.join(file, "below")), { code: "ENOTDIR" });
  assert.throws(() => makeFolders(file), { code: "EEXIST" });
});

test("a folder where none can be made is refused, and not waited for", { skip: noProc() }, () => {
  assert.throws(() => makeFolders("/proc/aetherfs-no-such/below"), { code: "ENOENT" });
});

function noProc(): string | false {
  return fs.existsSync("/proc/self") ? false : "this system has no /proc";
}
