/** Pushes killed at any point. AETHERFS_CRASH_SEED repeats a run, as far as time allows; AETHERFS_CRASH_POINTS: how many. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, test } from "node:test";
import { comparable, readFolder, temporaryFolder } from "../../src/dataset/testing/folder.ts";
import { WorkerPool } from "../../src/dataset/workers/pool.ts";
import type { Digest } from "../../src/format/digest.ts";
import type { Entry } from "../../src/format/entry.ts";
import { complete, engineOptions, withEngine, type CrashTask } from "./crash-task.ts";
import { readTag, readVersion } from "./read-back.ts";
import { chooseSeed, crashPoints, fractionsOf, type Fractions } from "./seeded.ts";
import { SourceTree } from "./source-tree.ts";
import { killPoint, Victims, type Calibration } from "./victims.ts";

/** Kills of a push; pulls get the other half. */
const POINTS = Math.ceil(crashPoints() / 2);
/** Versions that one store gets, before a new one is begun. */
const VERSIONS_PER_STORE = 12;
/** Of kills, those after which the next push completes; else the next one is killed too. */
const HEAL_SHARE = 0.5;
/** Where a store keeps its objects. */
const STORE_ROOT = "aetherfs/v1";
/** A kill may come too late; this many times as many tries must do. */
const TRIES_MAX = 4;
/** What one push may add to the store, killed or not: more than an edit's new bytes, much less than a version's. */
const ADDED_BYTES_MAX = 400_000;

const seed = chooseSeed();
const shared = temporaryFolder();
const victims = new Victims(shared.path);
const pool = new WorkerPool(2);
after(async () => {
  await victims.close();
  await pool.close();
  shared.remove();
});

/** A store that pushes are killed on. */
class PushSeries {
  readonly folder = temporaryFolder();
  readonly #fractions: Fractions;
  readonly #source: SourceTree;
  /** Version → its tree, of every one that was ever begun. */
  readonly #trees = new Map<Digest, readonly Entry[]>();
  #head: Digest | undefined;
  #pushes = 0;
  #firstBytes = 0;
  kills = 0;

  constructor(fractions: Fractions) {
    this.#fractions = fractions;
    this.#source = new SourceTree(path.join(this.folder.path, "source"), fractions);
  }

  /** Publishes the first version, and measures what a push of the next takes. */
  async begin(): Promise<Calibration> {
    await this.#heal();
    this.#firstBytes = blockBytes(this.#store);
    this.#source.edit();
    const calibration = await victims.calibrate(this.#task(), this.#store);
    await this.#heal();
    return calibration;
  }

  /** Edits the source and kills the push of it; the tag must be the old version or the new one, whole. */
  async kill(calibration: Calibration): Promise<void> {
    this.#source.edit();
    const tree = comparable(readFolder(this.#source.folder));
    const point = killPoint(this.#fractions, calibration);
    this.#pushes++;
    if (await victims.kill(this.#task(), this.#store, point)) this.kills++;
    await this.#check(tree);
    if (this.#fractions() < HEAL_SHARE) await this.#heal();
  }

  /** The next push completes and leaves nothing behind that grows from kill to kill. */
  async end(): Promise<void> {
    await this.#heal();
    const left = fs.readdirSync(path.join(this.#store, STORE_ROOT, "tmp"));
    // The file of the lock that replacing an object takes, which stays.
    assert.deepEqual(
      left.filter((name) => name !== "replace.lock"),
      [],
    );
    const addedBytes = blockBytes(this.#store) - this.#firstBytes;
    assert.ok(
      addedBytes <= this.#pushes * ADDED_BYTES_MAX,
      `${this.#pushes} pushes added ${addedBytes} bytes`,
    );
  }

  async #check(tree: readonly Entry[]): Promise<void> {
    await withEngine(this.#task().engine, pool, async (engine) => {
      const digest = await readTag(engine);
      const old = digest === this.#head ? this.#trees.get(digest) : undefined;
      assert.deepEqual(comparable(await readVersion(engine, digest)), old ?? tree);
      this.#trees.set(digest, old ?? tree);
      this.#head = digest;
    });
  }

  async #heal(): Promise<void> {
    const tree = comparable(readFolder(this.#source.folder));
    this.#pushes++;
    const digest = await complete(this.#task(), pool);
    this.#trees.set(digest, tree);
    this.#head = digest;
    await this.#check(tree);
  }

  get #store(): string {
    return path.join(this.folder.path, "store");
  }

  #task(): CrashTask {
    const engine = engineOptions(this.#store, path.join(this.folder.path, "cache"));
    return { kind: "push", source: this.#source.folder, engine };
  }
}

function blockBytes(store: string): number {
  const items = fs.readdirSync(store, { recursive: true, withFileTypes: true });
  const files = items.filter((item) => item.isFile() && item.parentPath.includes("/blocks/"));
  return files.reduce((sum, item) => sum + fs.statSync(path.join(item.parentPath, item.name)).size, 0);
}

test(`push, killed at ${POINTS} points, leaves the old or the new version whole, and the next one heals`, async (t) => {
  t.diagnostic(`AETHERFS_CRASH_SEED=${seed}`);
  const fractions = fractionsOf(seed);
  let kills = 0;
  let tries = 0;
  while (kills < POINTS) {
    const series = new PushSeries(fractions);
    try {
      const calibration = await series.begin();
      for (let count = 0; count < VERSIONS_PER_STORE && kills + series.kills < POINTS; count++) {
        tries++;
        assert.ok(tries <= TRIES_MAX * POINTS, "most kills come too late");
        await series.kill(calibration);
      }
      await series.end();
    } catch (error) {
      throw new Error(`with AETHERFS_CRASH_SEED=${seed}, after ${kills + series.kills} kills`, {
        cause: error,
      });
    } finally {
      series.folder.remove();
    }
    kills += series.kills;
  }
  t.diagnostic(`${kills} of ${tries} pushes were killed before they ended`);
});
