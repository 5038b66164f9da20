/** Pushes to a store that lost or damaged something. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, afterEach, beforeEach, describe, it } from "node:test";
import { must } from "../../base/assert.ts";
import { noise } from "../testing/engine.ts";
import { readFolder } from "../testing/folder.ts";
import { openPushBed, type PushBed } from "../testing/push-bed.ts";
import { WorkerPool } from "../workers/pool.ts";

const pool = new WorkerPool(2);
after(() => pool.close());

let bed: PushBed;
beforeEach(async () => {
  bed = await openPushBed(pool);
});
afterEach(() => bed.close());

function makeSource(seed: number): void {
  const bytes = Buffer.from(noise(1, 400_000));
  bytes.write(`edit ${seed}`, 200_000);
  bed.write("data", bytes);
  for (let index = 0; index < 20; index++) bed.write(`small/${index}`, `file ${index}`.repeat(30));
}

/** Files of a folder of the store, the newest last. */
function stored(folder: string): string[] {
  const files = [...bed.files(folder).keys()];
  return files.sort((a, b) => fs.statSync(a).mtimeMs - fs.statSync(b).mtimeMs);
}

const DAMAGE: Readonly<Record<string, (file: string) => void>> = {
  "is gone": (file) => {
    fs.rmSync(file);
  },
  "is cut short": (file) => {
    fs.truncateSync(file, Math.floor(fs.statSync(file).size / 2));
  },
};

/** Pushes three versions, of which the later ones lie partly in deltas on the earlier. */
async function pushThree(): Promise<void> {
  for (const seed of [1, 2, 3]) {
    makeSource(seed);
    await bed.push();
  }
}

async function assertHealed(): Promise<void> {
  const { digest } = await bed.push();
  assert.deepEqual(await bed.read(digest), readFolder(bed.source));
}

describe("push to a damaged store", () => {
  for (const [what, damage] of Object.entries(DAMAGE)) {
    for (const [folder, which] of [
      ["blocks", "oldest"],
      ["blocks", "newest"],
      ["manifests", "newest"],
      ["plans", "newest"],
    ] as const) {
      it(`whose ${which} file of ${folder} ${what} makes the same content whole again`, async () => {
        await pushThree();
        damage(must(stored(folder).at(which === "oldest" ? 0 : -1), "something was stored"));
        await assertHealed();
      });
    }
    it(`each of whose blocks ${what} makes the same content whole again`, async () => {
      await pushThree();
      for (const block of stored("blocks")) damage(block);
      await assertHealed();
    });
  }

  it("that lost the block below a delta stores new content whole", async () => {
    await pushThree();
    fs.rmSync(must(stored("blocks")[0], "a block was stored"));
    makeSource(4);
    await assertHealed();
  });

  it("without caches makes the same content whole again", async () => {
    await pushThree();
    for (const file of [...stored("blocks").slice(0, 1), ...stored("plans")]) fs.rmSync(file);
    fs.rmSync(bed.cacheDir, { recursive: true });
    await assertHealed();
  });
});

describe("push with damaged caches", () => {
  it("whose files are no caches any more succeeds", async () => {
    await pushThree();
    for (const item of fs.readdirSync(bed.cacheDir, { recursive: true, withFileTypes: true })) {
      if (item.isFile()) fs.writeFileSync(path.join(item.parentPath, item.name), noise(1, 20_000));
    }
    const before = bed.contentBytes();
    await assertHealed();
    assert.equal(bed.contentBytes(), before, "what is stored was found again");
  });

  it("where an index is damaged in the middle succeeds", async () => {
    await pushThree();
    const index = must(
      fs.readdirSync(bed.cacheDir, { recursive: true }).find((name) => String(name).endsWith(".db")),
      "there is an index",
    );
    const fd = fs.openSync(path.join(bed.cacheDir, String(index)), "r+");
    fs.writeSync(fd, noise(1, 8192), 0, 8192, 8192);
    fs.closeSync(fd);
    await assertHealed();
  });

  it("where the folder cannot be written succeeds without caches", async () => {
    fs.writeFileSync(bed.cacheDir, "a file, where a folder should be");
    makeSource(1);
    await assertHealed();
  });

  it("that speak of another version than the tag's reads what differs", async () => {
    makeSource(1);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const first = await bed.push();
    const caches = `${bed.cacheDir}-old`;
    fs.cpSync(bed.cacheDir, caches, { recursive: true });
    makeSource(2);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await bed.push();
    const second = await bed.push({}, { cacheDir: caches });
    assert.notEqual(second.digest, first.digest);
    assert.deepEqual(await bed.read(second.digest), readFolder(bed.source));
  });
});
