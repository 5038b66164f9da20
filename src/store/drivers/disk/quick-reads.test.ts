import assert from "node:assert/strict";
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { systemClock, type Clock } from "../../../base/clock.ts";
import { MiB } from "../../../base/limits.ts";
import { systemRandom } from "../../../base/random.ts";
import { datasetOf, historyOf, NAME, TAG } from "../../conformance/dataset-store-suite.ts";
import type { Store } from "../../dataset-store.ts";
import { openStore } from "../all.ts";
import { QuickReads } from "./quick-reads.ts";

const EXT4 = 0xef53;
const NFS = 0x6969;
const skip = process.platform === "linux" ? false : "only on Linux";

/** A clock that the test sets; each look at it lets it go on by `stepMs`. */
class SetClock implements Clock {
  ms = 1000;
  stepMs = 0;
  readonly nowMs = (): number => this.ms;
  readonly elapsedMs = (): number => (this.ms += this.stepMs);
  readonly sleep = systemClock.sleep;
}

async function inFolder(task: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "aetherfs-quick-"));
  try {
    await task(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function textOf(found: ReturnType<QuickReads["read"]>): string | undefined {
  return found?.toString();
}

describe("reads without a thread", { skip }, () => {
  it("of what was noted give what is there now: replaced, gone, and back", () =>
    inFolder(async (folder) => {
      const quick = new QuickReads(systemClock, EXT4);
      const file = join(folder, "a");
      const read = (): string | undefined => textOf(quick.read(file, MiB));
      await writeFile(file, "one");
      assert.equal(read(), undefined, "nothing was noted");
      quick.note(file, 3);
      assert.equal(read(), "one");
      await writeFile(`${file}.new`, "another");
      await rename(`${file}.new`, file);
      assert.equal(read(), "another");
      await rm(file);
      assert.equal(read(), "absent");
      await writeFile(file, "");
      assert.equal(read(), "");
    }));

  it("of what is no file, or too long, are left to others", () =>
    inFolder(async (folder) => {
      const quick = new QuickReads(systemClock, EXT4);
      await writeFile(join(folder, "file"), "x".repeat(20));
      await mkdir(join(folder, "folder"));
      await symlink("file", join(folder, "link"));
      for (const name of ["file", "folder", "link"]) {
        quick.note(join(folder, name), 20);
        assert.equal(quick.read(join(folder, name), 19), undefined, name);
      }
      await writeFile(join(folder, "large"), Buffer.alloc(MiB));
      quick.note(join(folder, "large"), MiB);
      assert.equal(quick.read(join(folder, "large"), 2 * MiB), undefined);
    }));

  it("come soon after another read or not at all, and pause when one took long", () =>
    inFolder(async (folder) => {
      const clock = new SetClock();
      const quick = new QuickReads(clock, EXT4);
      const file = join(folder, "a");
      await writeFile(file, "one");
      quick.note(file, 3);
      clock.ms += 9000;
      assert.equal(textOf(quick.read(file, MiB)), "one");
      clock.ms += 9000;
      assert.equal(textOf(quick.read(file, MiB)), "one", "reading it counts");
      clock.ms += 11_000;
      assert.equal(quick.read(file, MiB), undefined);
      quick.note(file, 3);
      clock.stepMs = 500;
      assert.equal(textOf(quick.read(file, MiB)), "one");
      clock.stepMs = 0;
      quick.note(file, 3);
      assert.equal(quick.read(file, MiB), undefined, "it pauses");
      for (let pauseMs = 2000; pauseMs < 128_000; pauseMs *= 2) {
        clock.ms += Math.min(pauseMs / 2, 60_000) + 1;
        quick.note(file, 3);
        clock.stepMs = 500;
        assert.equal(textOf(quick.read(file, MiB)), "one", "the pause is over");
        clock.stepMs = 0;
        clock.ms += Math.min(pauseMs, 60_000) - 1100;
        quick.note(file, 3);
        assert.equal(quick.read(file, MiB), undefined, "the next is twice as long, and at most a minute");
        clock.ms += 1100 - Math.min(pauseMs, 60_000);
      }
    }));

  it("are not made on a network's file system", () =>
    inFolder(async (folder) => {
      const quick = new QuickReads(systemClock, NFS);
      await writeFile(join(folder, "a"), "one");
      quick.note(join(folder, "a"), 3);
      assert.equal(quick.read(join(folder, "a"), MiB), undefined);
    }));

  it("remember so many paths and no more", () => {
    const quick = new QuickReads(systemClock, EXT4);
    for (let index = 0; index < 5000; index++) quick.note(`/nowhere/at/all/${index}`, undefined);
    assert.equal(quick.read("/nowhere/at/all/0", MiB), undefined);
    assert.equal(quick.read("/nowhere/at/all/4999", MiB), "absent");
  });
});

describe("a store on a disk, asked for the same again and again", () => {
  it("sees at once what another has written, and that the store is away", () =>
    inFolder(async (folder) => {
      const open = (): Promise<Store> =>
        openStore(join(folder, "store"), { create: true, clock: systemClock, random: systemRandom });
      const [one, other] = [await open(), await open()];
      try {
        await one.datasets.putDataset(datasetOf(), undefined);
        for (let number = 1; number <= 20; number++) {
          for (let again = 0; again < 3; again++)
            assert.equal(await one.datasets.getHistory(NAME, TAG, number), undefined);
          await other.datasets.createHistory(NAME, TAG, historyOf(number));
          assert.equal((await one.datasets.getHistory(NAME, TAG, number))?.number, number);
          const before = await one.datasets.getDataset(NAME);
          const incarnation = String(number).padStart(32, "0");
          await other.datasets.putDataset(datasetOf(NAME, incarnation), before?.revision);
          assert.equal((await one.datasets.getDataset(NAME))?.value.incarnation, incarnation);
        }
        await rename(join(folder, "store"), join(folder, "away"));
        for (const look of [
          () => one.datasets.getDataset(NAME),
          () => one.datasets.getHistory(NAME, TAG, 21),
        ]) {
          await assert.rejects(look, { code: "STORE_UNAVAILABLE" });
        }
        await rename(join(folder, "away"), join(folder, "store"));
      } finally {
        await one.close();
        await other.close();
      }
    }));
});
