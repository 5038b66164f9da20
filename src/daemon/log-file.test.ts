import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { isOpenOn, logFileWriter } from "./log-file.ts";

test("a log to which two write begins anew when it is full, and keeps what it had beside it once", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "aetherfs-test-"));
  const file = join(folder, "log");
  const fds = [openSync(file, "a"), openSync(file, "a")];
  t.after(() => {
    for (const fd of fds) closeSync(fd);
    rmSync(folder, { recursive: true });
  });
  const writers = fds.map((fd) => logFileWriter(fd, file, 100));
  for (let index = 0; index < 205; index++) {
    writers[index % 2]?.(`${String(index).padStart(9, "0")}\n`);
    assert.ok(statSync(file).size <= 100);
  }
  const linesFrom = (first: number, last: number): string =>
    Array.from({ length: last - first }, (_, index) => `${String(first + index).padStart(9, "0")}\n`).join(
      "",
    );
  assert.equal(readFileSync(file, "utf8"), linesFrom(200, 205));
  assert.equal(readFileSync(`${file}.1`, "utf8"), linesFrom(190, 200));
});

test("isOpenOn tells a descriptor of a file from those of others, and of what is no file", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "aetherfs-test-"));
  const [file, other] = [join(folder, "log"), join(folder, "other")];
  const fds = [openSync(file, "a"), openSync(other, "a"), openSync(folder, "r")];
  t.after(() => {
    for (const fd of fds) closeSync(fd);
    rmSync(folder, { recursive: true });
  });
  assert.deepEqual(
    fds.map((fd) => isOpenOn(fd, file)),
    [true, false, false],
  );
  assert.equal(isOpenOn(fds[2] ?? -1, folder), false);
  assert.equal(isOpenOn(fds[0] ?? -1, join(folder, "missing")), false);
});
