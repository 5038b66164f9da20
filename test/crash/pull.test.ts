/** Pulls killed at any point. AETHERFS_CRASH_SEED repeats a run, as far as time allows; AETHERFS_CRASH_POINTS: how many. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, test } from "node:test";
import { must } from "../../src/base/assert.ts";
import { STAGING_NAME } from "../../src/dataset/pull/staging.ts";
import { comparable, readFolder, temporaryFolder } from "../../src/dataset/testing/folder.ts";
import { WorkerPool } from "../../src/dataset/workers/pool.ts";
import type { Digest } from "../../src/format/digest.ts";
import type { Entry } from "../../src/format/entry.ts";
import { complete, engineOptions, type CrashTask } from "./crash-task.ts";
import { assertFromTrees, possibleContents } from "./read-back.ts";
import { chooseSeed, crashPoints, fractionsOf, pick, type Fractions } from "./seeded.ts";
import { SourceTree } from "./source-tree.ts";
import { killPoint, Victims, type Calibration } from "./victims.ts";

const POINTS = Math.floor(crashPoints() / 2) + 1;
const VERSIONS = 4;
/** Pulls into one folder, before a new one is begun. */
const PULLS_PER_FOLDER = 12;
/** Of kills, those after which the next pull completes; else the next one is killed too. */
const HEAL_SHARE = 0.4;
/** A kill may come too late; this many times as many tries must do. */
const TRIES_MAX = 4;
/** In the staging folder: the lock, and a small file under each thread's hands at every kill. */
const SLACK_BYTES = 200_000;

const seed = chooseSeed();
const folder = temporaryFolder();
const victims = new Victims(path.join(folder.path, "compiled"));
const pool = new WorkerPool(2);
after(async () => {
  await victims.close();
  await pool.close();
  folder.remove();
});

interface PublishedVersion {
  readonly digest: Digest;
  readonly tree: readonly Entry[];
}

/** A folder that versions are pulled into, one over the other. */
class PullSeries {
  readonly #target: string;
  readonly #fractions: Fractions;
  readonly #versions: readonly PublishedVersion[];
  /** The version that the folder held last, and those whose pull was begun since. */
  #begun: PublishedVersion[] = [];
  kills = 0;

  constructor(target: string, fractions: Fractions, versions: readonly PublishedVersion[]) {
    this.#target = target;
    this.#fractions = fractions;
    this.#versions = versions;
    fs.mkdirSync(target);
  }

  /** What a pull of everything takes, and one of an update; the first, which compiles, does not count. */
  async calibrate(): Promise<readonly Calibration[]> {
    const calibrations: Calibration[] = [];
    for (const isFresh of [true, true, false]) {
      if (isFresh) fs.rmSync(this.#target, { recursive: true });
      fs.mkdirSync(this.#target, { recursive: true });
      const version = must(this.#versions[isFresh ? 0 : 1], "there are versions");
      calibrations.push(await victims.calibrate(this.#task(version), this.#target));
    }
    fs.rmSync(this.#target, { recursive: true });
    fs.mkdirSync(this.#target);
    return calibrations.slice(1);
  }

  /** Kills the pull of some version; whatever the folder has under a final name must be of one version, whole. */
  async kill(calibrations: readonly Calibration[]): Promise<void> {
    const calibration = must(calibrations[pick(this.#fractions, calibrations.length)], "there are some");
    const version = this.#any();
    this.#begun.push(version);
    const point = killPoint(this.#fractions, calibration);
    if (await victims.kill(this.#task(version), this.#target, point)) this.kills++;
    const found = readFolder(this.#target);
    const isStaged = ({ path: name }: Entry): boolean => name.split("/")[0] === STAGING_NAME;
    assertFromTrees(
      found.filter((entry) => !isStaged(entry)),
      possibleContents(this.#begun.map(({ tree }) => tree)),
    );
    const staged = sumBytes(found.filter(isStaged));
    // The next pull of a version uses what an interrupted one of it fetched: that may be there once, and no more.
    const begun = [...new Set(this.#begun)].reduce((sum, { tree }) => sum + sumBytes(tree), 0);
    assert.ok(staged <= begun + SLACK_BYTES, `${staged} bytes are left in the staging folder, of ${begun}`);
    if (this.#fractions() < HEAL_SHARE) await this.heal();
  }

  /** The next pull makes exactly the version's tree. */
  async heal(): Promise<void> {
    const version = this.#any();
    await complete(this.#task(version), pool);
    assert.deepEqual(comparable(readFolder(this.#target)), version.tree);
    this.#begun = [version];
  }

  #any(): PublishedVersion {
    return must(this.#versions[pick(this.#fractions, this.#versions.length)], "there are versions");
  }

  #task({ digest }: PublishedVersion): CrashTask {
    const engine = engineOptions(path.join(folder.path, "store"), `${this.#target}-cache`);
    return { kind: "pull", target: this.#target, version: digest, engine };
  }
}

function sumBytes(entries: readonly Entry[]): number {
  return entries.reduce((sum, entry) => sum + (entry.kind === "file" ? entry.size : 0), 0);
}

async function publishVersions(fractions: Fractions): Promise<PublishedVersion[]> {
  const source = new SourceTree(path.join(folder.path, "source"), fractions);
  const engine = engineOptions(path.join(folder.path, "store"), path.join(folder.path, "cache"));
  const versions: PublishedVersion[] = [];
  for (let count = 0; count < VERSIONS; count++) {
    source.edit();
    const tree = comparable(readFolder(source.folder));
    const digest = await complete({ kind: "push", source: source.folder, engine }, pool);
    versions.push({ digest, tree });
  }
  return versions;
}

test(`pull, killed at ${POINTS} points, never leaves a torn file, and the next one heals`, async (t) => {
  t.diagnostic(`AETHERFS_CRASH_SEED=${seed}`);
  const fractions = fractionsOf(seed);
  const versions = await publishVersions(fractions);
  let calibrations: readonly Calibration[] | undefined;
  let kills = 0;
  let tries = 0;
  for (let number = 0; kills < POINTS; number++) {
    const series = new PullSeries(path.join(folder.path, `target-${number}`), fractions, versions);
    try {
      calibrations ??= await series.calibrate();
      for (let count = 0; count < PULLS_PER_FOLDER && kills + series.kills < POINTS; count++) {
        tries++;
        assert.ok(tries <= TRIES_MAX * POINTS, "most kills come too late");
        await series.kill(calibrations);
      }
      await series.heal();
    } catch (error) {
      throw new Error(`with AETHERFS_CRASH_SEED=${seed}, after ${kills + series.kills} kills`, {
        cause: error,
      });
    }
    kills += series.kills;
  }
  t.diagnostic(`${kills} of ${tries} pulls were killed before they ended`);
});
