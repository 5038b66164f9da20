import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { must } from "../../base/assert.ts";
import { systemClock } from "../../base/clock.ts";
import { systemRandom } from "../../base/random.ts";
import { formatDigest, type Digest } from "../../format/digest.ts";
import type { Entry } from "../../format/entry.ts";
import { parseDatasetName } from "../../format/reference.ts";
import { openStore } from "../../store/drivers/all.ts";
import { noise, testEngine } from "../testing/engine.ts";
import { comparable, readFolder, temporaryFolder } from "../testing/folder.ts";
import { entriesOf, type Tree, type TreeNode } from "../testing/tree.ts";
import { VersionBuilder } from "../testing/version-builder.ts";
import { pull } from "./pull.ts";
import { STAGING_NAME } from "./staging.ts";

const CHILD = fileURLToPath(new URL("../testing/pull-child.ts", import.meta.url));
const KILLS = 12;
/** Kills are spread over this time from the moment the pull begins; it takes about as long. */
const SPREAD_MS = 240;

/** Files of all sizes; a third of them, and the big one, differ from seed to seed. */
function treeOf(seed: number): Tree {
  const tree: Record<string, TreeNode> = { "big.bin": { bytes: noise(seed, 9_000_000) } };
  for (let index = 0; index < 600; index++) {
    const own = index % 3 === 0 ? seed : 0;
    tree[`d${index % 9}/file ${index}`] = { bytes: noise(own * 1000 + index, (index * 37) % 9000) };
  }
  tree[seed % 2 === 0 ? "kind" : "kind/inner"] = { bytes: `kind ${seed}` };
  return tree;
}

async function killAfter(delayMs: number, parameters: readonly string[]): Promise<void> {
  const child = spawn(process.execPath, [CHILD, ...parameters], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "exit");
  await Promise.race([once(child.stdout, "data"), ended]);
  await sleep(delayMs);
  child.kill("SIGKILL");
  await ended;
}

describe("pull killed by SIGKILL", () => {
  it("at any moment, leaves whole files only, and the next pull heals", async () => {
    const folder = temporaryFolder();
    const clocks = { clock: systemClock, random: systemRandom };
    const address = path.join(folder.path, "store");
    const store = await openStore(address, { create: true, ...clocks });
    const cacheDir = path.join(folder.path, "cache");
    const engine = testEngine(store, cacheDir);
    try {
      const builder = new VersionBuilder(store);
      const versions: { digest: Digest; entries: Entry[] }[] = [];
      for (const seed of [1, 2, 3]) {
        const tree = treeOf(seed);
        versions.push({
          digest: (await builder.build(tree, { paged: true })).digest,
          entries: entriesOf(tree),
        });
      }
      await store.blocks.flush();
      await store.datasets.flush();
      const target = path.join(folder.path, "target");
      const contents = new Map<string, Set<string>>();
      for (const entry of versions.flatMap(({ entries }) => entries)) {
        if (entry.kind !== "file") continue;
        contents.set(entry.path, (contents.get(entry.path) ?? new Set()).add(entry.digest));
      }
      for (let round = 0; round < KILLS; round++) {
        const { digest } = must(versions[round % 3], "there are three");
        await killAfter((round * SPREAD_MS) / KILLS, [address, cacheDir, target, formatDigest(digest)]);
        if (!fs.existsSync(target)) continue;
        for (const entry of readFolder(target)) {
          if (entry.kind !== "file" || entry.path.startsWith(STAGING_NAME)) continue;
          assert.ok(contents.get(entry.path)?.has(entry.digest), `${entry.path} is torn in round ${round}`);
        }
      }
      for (const { digest, entries } of versions) {
        await pull(engine, {
          name: parseDatasetName("test"),
          version: digest,
          target,
          delete: true,
          verify: true,
        });
        assert.deepEqual(comparable(readFolder(target)), comparable(entries));
      }
    } finally {
      await engine.pool.close();
      await store.close();
      folder.remove();
    }
  });
});
