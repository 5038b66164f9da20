/** Many processes on one store, and a disk without room: the command line as users run it. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { describe, test, type TestContext } from "node:test";
import { comparable, readFolder } from "../../src/dataset/testing/folder.ts";
import { noise } from "../../src/dataset/testing/engine.ts";
import { makePlace, type Outcome, type Place } from "../cli/command.ts";

interface HistoryEntry {
  readonly number: number;
  readonly digest: string;
  readonly previous: string | null;
}

const KIB = 1024;

/** A folder of two files in the place: one that all seeds share, one of its own. */
function makeSource(place: Place, seed: number, bytes = 300 * KIB): string {
  const folder = path.join(place.folder, `source-${seed}`);
  fs.mkdirSync(folder);
  fs.writeFileSync(path.join(folder, "shared"), noise(1, 400 * KIB));
  fs.writeFileSync(path.join(folder, "own"), noise(seed + 100, bytes));
  return folder;
}

function assertOk(outcomes: readonly Outcome[]): void {
  for (const { exit, stderr } of outcomes) assert.equal(exit, 0, stderr);
}

/** Pulls a reference and compares the tree with the source's. */
async function assertPulls(place: Place, reference: string, source: string): Promise<void> {
  const target = path.join(place.folder, `check-${reference.replace(":", "-")}`);
  await place.json("pull", "--into", target, "--delete", reference);
  const files = (folder: string) => comparable(readFolder(folder)).filter((entry) => entry.kind === "file");
  assert.deepEqual(files(target), files(source));
}

async function readHistory(place: Place, reference: string): Promise<HistoryEntry[]> {
  const history = (await place.json("history", reference)) as HistoryEntry[];
  return history.toSorted((a, b) => a.number - b.number);
}

/** Each entry follows the one before, with none left out and none twice. */
function assertLinear(history: readonly HistoryEntry[]): void {
  for (const [index, { number, previous }] of history.entries()) {
    assert.equal(number, index + 1);
    assert.equal(previous, history[index - 1]?.digest ?? null);
  }
}

describe("processes on one store", () => {
  test("two pushes to one tag at once, several times, both succeed and the history is linear", async (t) => {
    const place = await makePlace(t);
    const digests: string[] = [];
    for (let round = 0; round < 4; round++) {
      const sources = [makeSource(place, 2 * round), makeSource(place, 2 * round + 1)];
      const pushes = sources.map((source) => place.json("push", "-t", "race:latest", source));
      const results = (await Promise.all(pushes)) as { readonly digest: string }[];
      digests.push(...results.map(({ digest }) => digest));
    }
    const history = await readHistory(place, "race:latest");
    assertLinear(history);
    assert.deepEqual(history.map(({ digest }) => digest).sort(), digests.sort());
    for (const digest of digests) await place.json("verify", `race@${digest}`);
  });

  test("two pushes of the same tree at once, with pages that stand twice in it, both succeed", async (t) => {
    const place = await makePlace(t);
    const source = makeSource(place, 40, 3000 * KIB);
    fs.copyFileSync(path.join(source, "own"), path.join(source, "own-again"));
    const push = ["push", "--chunk-size", "4KiB", "-t"];
    assertOk(
      await Promise.all([place.run([...push, "same:a", source]), place.run([...push, "same:b", source])]),
    );
    for (const tag of ["same:a", "same:b"]) await assertPulls(place, tag, source);
  });

  test("ten processes that push, pull and list at once all succeed, and nothing is mixed", async (t) => {
    const place = await makePlace(t);
    const stable = makeSource(place, 50);
    assertOk([await place.run(["push", "-t", "many:stable", stable])]);
    const sources = [51, 52, 53, 54].map((seed) => makeSource(place, seed));
    const targets = [1, 2, 3, 4].map((number) => path.join(place.folder, `target-${number}`));
    const outcomes = await Promise.all([
      ...sources.map((source, index) =>
        place.run(["push", "-t", "many:latest", "-t", `many:v${index}`, source]),
      ),
      ...targets.map((target) => place.run(["pull", "--into", target, "many:stable"])),
      place.run(["ls"]),
      place.run(["tags", "many"]),
    ]);
    assert.equal(outcomes.length, 10);
    assertOk(outcomes);
    for (const target of targets) {
      assert.deepEqual(comparable(readFolder(target)), comparable(readFolder(stable)));
    }
    for (const [index, source] of sources.entries()) await assertPulls(place, `many:v${index}`, source);
    const history = await readHistory(place, "many:latest");
    assertLinear(history);
    assert.equal(history.length, sources.length);
  });

  test("two pulls into one folder at once leave the version's tree, and one that gives way says so", async (t) => {
    const place = await makePlace(t);
    const source = makeSource(place, 60);
    assertOk([await place.run(["push", "-t", "one:latest", source])]);
    const target = path.join(place.folder, "target");
    const pull = ["pull", "--into", target, "one:latest"];
    const outcomes = await Promise.all([place.run(pull), place.run(pull)]);
    const refused = outcomes.filter(({ exit }) => exit !== 0);
    assert.ok(refused.length < outcomes.length, "both gave way");
    for (const { exit, stderr } of refused) {
      assert.equal(exit, 6, stderr);
      assert.match(stderr, /TARGET_UNWRITABLE: another pull is at work/);
    }
    assert.deepEqual(comparable(readFolder(target)), comparable(readFolder(source)));
  });
});

describe("a full disk", () => {
  test("push to it ends with SPACE_EXHAUSTED and the old tag, and works once there is room", async (t) => {
    const place = await makePlace(t);
    if (!mountSmallDisk(t, place.store, "12m")) return;
    await unmountAfter(place.store, async () => {
      const old = makeSource(place, 70);
      assertOk([await place.run(["push", "-t", "full:latest", old])]);
      fs.writeFileSync(path.join(place.store, "ballast"), Buffer.alloc(8 * KIB * KIB));
      const large = makeSource(place, 71, 5 * KIB * KIB);
      const { exit, stderr } = await place.run(["push", "-t", "full:latest", large]);
      assert.equal(exit, 7, stderr);
      assert.match(stderr, /^aetherfs: SPACE_EXHAUSTED: .+\n$/);
      await assertPulls(place, "full:latest", old);
      assert.equal((await readHistory(place, "full:latest")).length, 1);
      fs.rmSync(path.join(place.store, "ballast"));
      assertOk([await place.run(["push", "-t", "full:latest", large])]);
      await assertPulls(place, "full:latest", large);
    });
  });

  test("pull to it ends with SPACE_EXHAUSTED and no torn file, and works once there is room", async (t) => {
    const place = await makePlace(t);
    const source = makeSource(place, 80, 5 * KIB * KIB);
    assertOk([await place.run(["push", "-t", "full:latest", source])]);
    const disk = path.join(place.folder, "target");
    if (!mountSmallDisk(t, disk, "8m")) return;
    await unmountAfter(disk, async () => {
      fs.writeFileSync(path.join(disk, "ballast"), Buffer.alloc(4 * KIB * KIB));
      const pull = ["pull", "--into", disk, "full:latest"];
      const { exit, stderr } = await place.run(pull);
      assert.equal(exit, 7, stderr);
      assert.match(stderr, /^aetherfs: SPACE_EXHAUSTED: .+\n$/);
      for (const name of ["shared", "own"].filter((each) => fs.existsSync(path.join(disk, each)))) {
        assert.deepEqual(fs.readFileSync(path.join(disk, name)), fs.readFileSync(path.join(source, name)));
      }
      fs.rmSync(path.join(disk, "ballast"));
      assertOk([await place.run([...pull, "--delete"])]);
      assert.deepEqual(comparable(readFolder(disk)), comparable(readFolder(source)));
    });
  });
});

/** Mounts a disk of a few megabytes at `folder`; false, and the test skipped, for who may not. */
function mountSmallDisk(t: TestContext, folder: string, size: string): boolean {
  fs.mkdirSync(folder);
  const { status, error } = spawnSync("mount", [
    "-t",
    "tmpfs",
    "-o",
    `size=${size}`,
    "aetherfs-test",
    folder,
  ]);
  if (status === 0) return true;
  t.skip(`needs root and mount (${error?.message ?? `mount exited with ${status ?? "a signal"}`})`);
  return false;
}

async function unmountAfter(folder: string, use: () => Promise<void>): Promise<void> {
  try {
    await use();
  } finally {
    execFileSync("umount", [folder]);
  }
}
