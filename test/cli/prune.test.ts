/** `aetherfs prune`, on a store itself and through a hub. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import type { PruneResult } from "../../src/dataset/prune/contract.ts";
import { noise } from "../../src/dataset/testing/engine.ts";
import { makePlace, type Kind, type Place } from "./command.ts";

type Pruned = Omit<PruneResult, "ripeInMs"> & { readonly dryRun: boolean; readonly ripeInMs: number | null };

const KINDS: readonly Kind[] = ["store", "hub"];
const VERSIONS = [1, 2, 3];

/** What version `number` holds: one file that is in every version, and one that is its own. */
function filesOf(number: number): Record<string, string> {
  const text = (seed: number): string => Buffer.from(noise(seed, 100_000)).toString("base64");
  return { "source/shared": text(0), "source/own": text(number) };
}

/** A place with three versions, v1 to v3, of which the first two are removed. */
async function makeStore(t: TestContext, kind: Kind): Promise<Place> {
  const place = await makePlace(t, kind);
  for (const number of VERSIONS) {
    await place.write(filesOf(number));
    await place.json("push", "-t", `data:v${number}`, "source");
  }
  for (const number of [1, 2]) await place.json("rm", `data:v${number}`);
  return place;
}

async function prune(place: Place, ...words: string[]): Promise<Pruned> {
  return (await place.json("prune", ...words)) as Pruned;
}

/** Pulls the version that is left into a new folder. */
async function checkPull({ folder, run }: Place, number: number): Promise<void> {
  const target = join(folder, "target");
  const { exit, stderr } = await run(["pull", "--into", target, "--verify", `data:v${number}`]);
  assert.equal(exit, 0, stderr);
  for (const [path, text] of Object.entries(filesOf(number)))
    assert.ok(readFileSync(join(target, path.replace("source/", "")), "utf8") === text, path);
  rmSync(target, { recursive: true });
}

function blocksOf({ store }: Place): number {
  const items = readdirSync(join(store, "aetherfs/v1/blocks"), { recursive: true, withFileTypes: true });
  return items.filter((item) => item.isFile()).length;
}

for (const kind of KINDS) {
  describe(`aetherfs prune on a ${kind}`, () => {
    it("looks, condemns, removes after the grace time, and leaves what is needed to readers", async (t) => {
      const place = await makeStore(t, kind);
      const blocks = blocksOf(place);
      const looked = await prune(place, "--dry-run");
      assert.deepEqual([looked.dryRun, looked.versions, looked.ripeInMs], [true, 1, null]);
      assert.ok(looked.condemned.blocks > 0, JSON.stringify(looked));
      assert.equal(blocksOf(place), blocks);

      const first = await prune(place, "--grace", "1h");
      assert.equal(first.removed.blocks, 0);
      assert.ok(first.condemned.blocks > 0);
      assert.ok((first.ripeInMs ?? 0) > 0);
      await checkPull(place, 3);

      const waiting = await place.run(["prune", "--grace", "1h"]);
      assert.match(waiting.stdout, /^removed {4}nothing$/m);
      assert.match(waiting.stdout, /^waiting {4}what an earlier prune condemned may be removed in /m);

      const last = await place.run(["prune", "--grace", "0s", "--progress", "json"]);
      assert.equal(last.exit, 0, last.stderr);
      assert.match(last.stdout, /^kept {7}1 version in \d+ blocks? of .*$/m);
      assert.match(last.stdout, /^removed {4}\d+ blocks? of .*, and \d+ other objects?$/m);
      assert.match(last.stderr, /^\{"progress":\{"phase":"mark","done":\d+\}\}$/m);
      await checkPull(place, 3);
      const again = await prune(place, "--grace", "0s");
      assert.deepEqual([again.removed.blocks, again.condemned.blocks], [0, 0]);
    });
  });
}

describe("aetherfs prune", () => {
  it("without a grace time, removes at once", async (t) => {
    const place = await makeStore(t, "store");
    const { stdout } = await place.run(["prune", "--dry-run"]);
    assert.match(stdout, /^not needed \d+ blocks? of .*: nothing is removed, this was a dry run/m);
    const { removed } = await prune(place, "--grace", "0s");
    assert.ok(removed.blocks > 0);
    await checkPull(place, 3);
  });

  it("of a store that a version of which is damaged, fails and removes nothing", async (t) => {
    const place = await makeStore(t, "store");
    const manifests = join(place.store, "aetherfs/v1/manifests");
    const plans = join(place.store, "aetherfs/v1/plans");
    rmSync(plans, { recursive: true });
    const blocks = blocksOf(place);
    const { exit, stderr } = await place.run(["prune", "--grace", "0s"]);
    assert.equal(exit, 5, stderr);
    assert.match(stderr, /OBJECT_MISSING: what sha256:[0-9a-f]{64} needs cannot be told/);
    assert.equal(blocksOf(place), blocks);
    assert.ok(readdirSync(manifests).length > 0);
  });

  it("with settings that mean nothing, says so", async (t) => {
    const place = await makePlace(t);
    for (const words of [
      ["--grace", "yesterday"],
      ["--repack-below", "150%"],
      ["--rate-limit", "0"],
    ]) {
      const { exit, stderr } = await place.run(["prune", ...words]);
      assert.equal(exit, 2);
      assert.match(stderr, new RegExp(`CONFIG_INVALID: ${words[0] ?? ""} is `));
    }
  });

  it("with every setting, prunes", async (t) => {
    const place = await makeStore(t, "store");
    const bounds = ["--max-repack-size", "1MB", "--rate-limit", "1GB", "--wait", "0s"];
    const { exit, stderr } = await place.run(["prune", "--grace", "1h", "--repack-below", "80%", ...bounds]);
    assert.equal(exit, 0, stderr);
  });

  it("takes no grace time from the environment", async (t) => {
    const place = await makeStore(t, "store");
    const { stdout } = await place.run(["prune", "--output", "json"], { GRACE: "0" });
    assert.equal((JSON.parse(stdout) as Pruned).removed.blocks, 0);
  });
});
