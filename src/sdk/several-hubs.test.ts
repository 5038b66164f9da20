/** A client that knows several hubs on one store, and hubs that know nothing of each other. */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, renameSync, rmdirSync } from "node:fs";
import { describe, it } from "node:test";
import { MiB } from "../base/limits.ts";
import { gather, noise } from "../dataset/testing/engine.ts";
import { comparable, readFolder } from "../dataset/testing/folder.ts";
import { parseDatasetName, parseReference, parseTag } from "../format/reference.ts";
import type { Client } from "./client.ts";
import { withHubBed, type HubBed } from "./testing/hub-bed.ts";

const TAG = { name: parseDatasetName("x"), tag: parseTag("latest") };
const REFERENCE = parseReference("x:latest");

async function historyOf(client: Client): Promise<number[]> {
  const lists = (async function* () {
    for await (const { number } of client.history(TAG.name, TAG.tag)) yield [number];
  })();
  return await gather(lists);
}

async function pushText(bed: HubBed, client: Client, text: string): Promise<string> {
  const source = bed.write("small", { "a.txt": text });
  return (await client.push({ source, tags: [TAG], publisher: "" })).digest;
}

describe("a client of two hubs", () => {
  it("of which the first was never there, works with the second at once", async () => {
    await withHubBed(async (bed) => {
      const client = bed.client(`127.0.0.1:1,${bed.address}`, 0);
      await assert.rejects(client.resolve(REFERENCE), { code: "DATASET_NOT_FOUND" });
      await pushText(bed, client, "1\n");
      assert.deepEqual(await historyOf(client), [1]);
    });
  });

  it("of which none was ever there, says so at once, and names them", async () => {
    await withHubBed(async (bed) => {
      const client = bed.client("127.0.0.1:1,127.0.0.1:2");
      await assert.rejects(client.resolve(REFERENCE), { code: "HUB_UNAVAILABLE", message: /:1,127.0.0.1:2/ });
    });
  });

  it("of which the one that it works with ends, works with the other, and stays there", async () => {
    await withHubBed(async (bed) => {
      const other = await bed.startAnother();
      const client = bed.client(`${bed.address},${other}`, 0);
      const version = await pushText(bed, client, "1\n");
      await bed.stop();
      assert.equal((await client.resolve(REFERENCE)).version, version);
      await bed.start();
      const alone = bed.client();
      const newer = await pushText(bed, alone, "2\n");
      assert.equal((await client.resolve(REFERENCE)).version, newer);
      assert.deepEqual(await historyOf(client), [2, 1]);
    });
  });

  it("of which one ends in the middle of a push, publishes once, and sends little again", async () => {
    await withHubBed(async (bed) => {
      const files = Array.from({ length: 24 }, (_, index) => [`${index}.bin`, noise(index, 2_000_000)]);
      const source = bed.write("source", Object.fromEntries(files) as Record<string, Uint8Array>);
      const other = await bed.startAnother();
      // With little memory: what is read is soon sent.
      const client = bed.clientWith({ address: `${bed.address},${other}`, waitMs: 0, memoryBytes: 16 * MiB });
      let stopped: Promise<void> | undefined;
      const onProgress = ({ bytes }: { bytes: number }): void => {
        if (bytes > 40_000_000) stopped ??= bed.stop();
      };
      // Small blocks: what of the last one is not stored when a hub dies is sent again.
      const blockBytes = MiB;
      const result = await client.push({ source, tags: [TAG], publisher: "", onProgress, blockBytes });
      assert.ok(stopped !== undefined);
      await stopped;
      assert.deepEqual(result.moved, [true]);
      assert.ok(result.sentBytes < 36_000_000, `${result.sentBytes} of 48,000,000 bytes were sent again`);
      assert.deepEqual(await historyOf(client), [1]);
      const target = bed.path("target");
      await client.pull({ name: TAG.name, version: result.digest, target, verify: true });
      assert.deepEqual(comparable(readFolder(target)), comparable(readFolder(source)));
    });
  });

  it("of which one ends while a dataset is followed, tells every event once", async () => {
    await withHubBed(async (bed) => {
      const other = await bed.startAnother();
      const publisher = bed.client(other);
      const follower = bed.client(`${bed.address},${other}`);
      await pushText(bed, publisher, "1\n");
      const seen: number[] = [];
      for await (const { sequence } of follower.watch(TAG.name, { sequence: 1 })) {
        if (seen.push(sequence) === 6) break;
        if (sequence === 3) await bed.stop();
        await pushText(bed, publisher, `${sequence}, and on\n`);
      }
      assert.deepEqual(seen, [1, 2, 3, 4, 5, 6]);
    });
  });
});

describe("what was published through one hub", () => {
  it("is what the other hub answers from then on, however often it was asked before", async () => {
    await withHubBed(async (bed) => {
      const other = await bed.startAnother();
      const clients = [bed.client(), bed.client(other)];
      for (let round = 0; round < 20; round++) {
        const [writer, reader] = round % 2 === 0 ? clients : clients.toReversed();
        assert.ok(writer !== undefined && reader !== undefined);
        const version = await pushText(bed, writer, `round ${round}\n`);
        assert.equal((await reader.resolve(REFERENCE)).version, version);
        const address = round % 2 === 0 ? other : bed.address;
        const response = await fetch(`http://${address}/fs/x/latest/a.txt`);
        assert.equal(await response.text(), `round ${round}\n`);
        const tags = await gather(
          (async function* () {
            for await (const { record } of reader.listTags(TAG.name)) yield [record.digest];
          })(),
        );
        assert.deepEqual(tags, [version]);
      }
    });
  });
});

describe("a hub whose store is away", () => {
  it("is not ready, answers that asking again helps, and is as before when the store is back", async () => {
    await withHubBed(async (bed) => {
      const client = bed.client();
      const version = await pushText(bed, client, "1\n");
      const status = async (path: string): Promise<number> => {
        const response = await fetch(`http://${bed.address}${path}`);
        await response.body?.cancel();
        return response.status;
      };
      assert.equal(await status("/readyz"), 200);
      const store = bed.path("store");
      renameSync(store, `${store}.away`);
      // A disk that is not mounted leaves an empty folder.
      mkdirSync(store);
      assert.equal(await status("/readyz"), 503);
      assert.equal(await status("/healthz"), 200);
      assert.equal(await status("/fs/none/latest/a.txt"), 503);
      await assert.rejects(client.resolve(parseReference("none")), { code: "STORE_UNAVAILABLE" });
      await assert.rejects(pushText(bed, client, "2\n"), { code: "STORE_UNAVAILABLE" });
      assert.deepEqual(readdirSync(store), []);
      rmdirSync(store);
      renameSync(`${store}.away`, store);
      assert.equal(await status("/readyz"), 200);
      assert.equal((await client.resolve(REFERENCE)).version, version);
      await pushText(bed, client, "3\n");
      assert.deepEqual(await historyOf(client), [2, 1]);
    });
  });
});
