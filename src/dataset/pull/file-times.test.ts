import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { hasTime, setLinkTime, setOpenTime, setTime } from "./file-times.ts";

const TIMES = [
  { seconds: 1_763_849_091, nanos: 384_426_298 },
  { seconds: 0, nanos: 1 },
  { seconds: -2, nanos: 999_999_999 },
];

for (const time of TIMES) {
  test(`times of a file, a folder and a symlink, ${time.seconds} s and ${time.nanos} ns, are set exactly`, (t) => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "aetherfs-times-"));
    t.after(() => {
      fs.rmSync(folder, { recursive: true });
    });
    const file = path.join(folder, "file");
    const link = path.join(folder, "link");
    const fd = fs.openSync(file, "w");
    setOpenTime(fd, time);
    fs.closeSync(fd);
    fs.symlinkSync("nowhere", link);
    setLinkTime(link, time);
    setTime(folder, time);
    for (const place of [file, link, folder]) {
      const { mtimeNs } = fs.lstatSync(place, { bigint: true });
      assert.equal(mtimeNs, BigInt(time.seconds) * 1_000_000_000n + BigInt(time.nanos), place);
      assert.ok(hasTime(mtimeNs, time));
      assert.ok(!hasTime(mtimeNs + 1n, time));
    }
  });
}

test("a time of a path that is not there fails as Node's functions do", () => {
  assert.throws(
    () => {
      setTime(path.join(os.tmpdir(), "aetherfs-no-such-file"), { seconds: 1, nanos: 1 });
    },
    { code: "ENOENT" },
  );
});
