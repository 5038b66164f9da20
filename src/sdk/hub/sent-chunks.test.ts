import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { MiB } from "../../base/limits.ts";
import type { PushResult } from "../../dataset/contract.ts";
import { noise } from "../../dataset/testing/engine.ts";
import { comparable, readFolder } from "../../dataset/testing/folder.ts";
import { parseDatasetName, parseTag } from "../../format/reference.ts";
import type { Client } from "../client.ts";
import { withHubBed, type HubBed } from "../testing/hub-bed.ts";

const NAME = parseDatasetName("@acme/x");
const TAG = parseTag("latest");
const BYTES = 3 * MiB;

/** Writes the content with as many edits as its number says, and pushes it. */
function pushEdited(bed: HubBed, client: Client, edits: number): Promise<PushResult> {
  const content = noise(1, BYTES);
  for (let edit = 1; edit <= edits; edit++) content.fill(edit, edit * 200_000, edit * 200_000 + 50);
  const source = bed.write("source", { table: content });
  return client.push({ source, tags: [{ name: NAME, tag: TAG }], publisher: "tester" });
}

async function check(bed: HubBed, { digest }: PushResult): Promise<void> {
  const target = bed.path("target");
  await bed.client().pull({ name: NAME, version: digest, target, delete: true, verify: true });
  assert.deepEqual(comparable(readFolder(target)), comparable(readFolder(bed.path("source"))));
}

function filesOf(folder: string): string[] {
  return fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((item) => item.isFile())
    .map((item) => path.join(item.parentPath, item.name));
}

function blocksOf(cacheDir: string): string[] {
  return filesOf(path.join(cacheDir, "sent")).filter((file) => file.includes("/blocks/"));
}

describe("what was sent to a hub", () => {
  it("lets the next pushes send deltas alone, release after release; without it they send full chunks", () =>
    withHubBed(async (bed) => {
      const cacheDir = bed.path("cache");
      await pushEdited(bed, bed.clientWith({ cacheDir }), 0);
      for (let edits = 1; edits <= 6; edits++) {
        const result = await pushEdited(bed, bed.clientWith({ cacheDir }), edits);
        await check(bed, result);
        assert.ok(result.newBytes > 10_000 && result.sentBytes < 10_000, `${result.sentBytes} sent`);
      }
      fs.rmSync(cacheDir, { recursive: true });
      const result = await pushEdited(bed, bed.clientWith({ cacheDir }), 7);
      await check(bed, result);
      assert.ok(result.sentBytes > 10_000, `${result.sentBytes} sent`);
      assert.ok(result.storedBytes - result.manifestBytes < 10_000, `${result.storedBytes} stored`);
    }));

  it("takes no more room than it may, and the newest stays", () =>
    withHubBed(async (bed) => {
      const options = { cacheDir: bed.path("cache"), sentBytesMax: 5 * MiB };
      const pushOther = (seed: number): Promise<PushResult> => {
        const source = bed.write(`other-${seed}`, { table: noise(seed, 4 * MiB) });
        const tags = [{ name: NAME, tag: parseTag(`other-${seed}`) }];
        return bed.clientWith(options).push({ source, tags, publisher: "tester" });
      };
      for (const seed of [11, 12, 13]) await pushOther(seed);
      await pushEdited(bed, bed.clientWith(options), 0);
      const bytes = blocksOf(options.cacheDir).reduce((sum, file) => sum + fs.statSync(file).size, 0);
      assert.ok(bytes > 0 && bytes <= options.sentBytesMax, `${bytes} bytes`);
      const result = await pushEdited(bed, bed.clientWith(options), 1);
      assert.ok(result.sentBytes < 10_000, `${result.sentBytes} sent`);
    }));

  it("is not kept where nothing may be kept", () =>
    withHubBed(async (bed) => {
      const cacheDir = bed.path("cache");
      await pushEdited(bed, bed.clientWith({ cacheDir, sentBytesMax: 0 }), 0);
      assert.equal(fs.existsSync(path.join(cacheDir, "sent")), false);
    }));

  it("damaged, of another store, or in a folder that cannot be used, costs bytes and nothing else", () =>
    withHubBed(async (bed) => {
      const cacheDir = bed.path("cache");
      await pushEdited(bed, bed.clientWith({ cacheDir }), 0);
      const damages: readonly (() => void)[] = [
        () => {
          for (const file of blocksOf(cacheDir)) {
            fs.chmodSync(file, 0o600);
            fs.writeFileSync(file, Buffer.alloc(fs.statSync(file).size, 7));
          }
        },
        () => {
          for (const file of filesOf(path.join(cacheDir, "sent"))) {
            if (file.endsWith("index.db")) fs.writeFileSync(file, "no database");
          }
        },
        () => {
          for (const file of blocksOf(cacheDir)) fs.rmSync(file);
        },
        () => {
          fs.rmSync(path.join(cacheDir, "sent"), { recursive: true });
          fs.writeFileSync(path.join(cacheDir, "sent"), "a file");
        },
      ];
      for (const [index, damage] of damages.entries()) {
        damage();
        await check(bed, await pushEdited(bed, bed.clientWith({ cacheDir }), index + 1));
      }
      await bed.stop();
      fs.rmSync(bed.path("store"), { recursive: true });
      await bed.start();
      await check(bed, await pushEdited(bed, bed.clientWith({ cacheDir }), 5));
    }));

  it("serves several pushes at once", () =>
    withHubBed(async (bed) => {
      const cacheDir = bed.path("cache");
      await pushEdited(bed, bed.clientWith({ cacheDir }), 0);
      const results = await Promise.all(
        [1, 2, 3].map((seed) => {
          const content = noise(1, BYTES);
          content.fill(seed, seed * 300_000, seed * 300_000 + 50);
          const source = bed.write(`source-${seed}`, { table: content });
          const tags = [
            { name: NAME, tag: parseTag(`t-${seed}`) },
            { name: NAME, tag: TAG },
          ];
          return bed.clientWith({ cacheDir }).push({ source, tags, publisher: "tester" });
        }),
      );
      for (const { sentBytes } of results) assert.ok(sentBytes < 100_000, `${sentBytes} sent`);
    }));
});
