import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { temporaryFolder } from "../testing/folder.ts";
import { openStaging, STAGING_NAME } from "./staging.ts";

let folder: ReturnType<typeof temporaryFolder>;
let target: string;
beforeEach(() => {
  folder = temporaryFolder();
  target = path.join(folder.path, "target");
});
afterEach(() => {
  folder.remove();
});

describe("staging", () => {
  it("of a new folder, is fresh; left with nothing staged, leaves no trace", () => {
    const staging = openStaging(target);
    assert.equal(staging.isFresh, true);
    staging.leave();
    assert.equal(fs.existsSync(target), false);
  });

  it("left with something staged, is not fresh the next time", () => {
    const staging = openStaging(target);
    fs.writeFileSync(path.join(target, STAGING_NAME, "part"), "");
    staging.leave();
    const next = openStaging(target);
    assert.equal(next.isFresh, false);
    next.finish();
    assert.deepEqual(fs.readdirSync(target), []);
  });

  it("asked for again by the same process, is refused, and the lock stays with who has it", () => {
    const staging = openStaging(target);
    const { ino } = fs.lstatSync(path.join(target, STAGING_NAME, "lock"));
    const held = (): boolean =>
      fs
        .readFileSync("/proc/locks", "utf8")
        .split("\n")
        .some((line) => line.includes(`:${ino} `));
    const canSee = process.platform === "linux" && held();
    for (let tries = 0; tries < 2; tries++) {
      assert.throws(() => openStaging(target), { code: "TARGET_UNWRITABLE", message: /another pull/ });
    }
    if (canSee) assert.equal(held(), true);
    staging.leave();
  });

  for (const [what, make] of [
    [
      "a file of something else",
      (file: string) => {
        fs.writeFileSync(file, "no database at all".repeat(99));
      },
    ],
    [
      "a folder",
      (file: string) => {
        fs.mkdirSync(file);
      },
    ],
    [
      "a symlink",
      (file: string) => {
        fs.symlinkSync("../../outside", file);
      },
    ],
  ] as const) {
    it(`with ${what} as its lock, replaces it`, () => {
      fs.mkdirSync(path.join(target, STAGING_NAME), { recursive: true });
      make(path.join(target, STAGING_NAME, "lock"));
      openStaging(target).finish();
      assert.deepEqual(fs.readdirSync(folder.path), ["target"]);
      assert.deepEqual(fs.readdirSync(target), []);
    });
  }

  it("whose folder was removed meanwhile, ends without an error", () => {
    for (const end of ["finish", "leave"] as const) {
      const staging = openStaging(target);
      fs.rmSync(target, { recursive: true });
      staging[end]();
    }
  });

  it("below or at a file, fails with TARGET_UNWRITABLE and names the target", () => {
    fs.writeFileSync(target, "");
    for (const place of [target, path.join(target, "below")]) {
      assert.throws(
        () => openStaging(place),
        (error: Error) => error.message.includes(place) && error.message.includes("no folder"),
      );
    }
  });
});
