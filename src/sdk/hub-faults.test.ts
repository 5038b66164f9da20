/** A client whose hub, or the wire to it, fails in the middle. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { noise } from "../dataset/testing/engine.ts";
import { comparable, readFolder } from "../dataset/testing/folder.ts";
import { parseDatasetName, parseReference, parseTag } from "../format/reference.ts";
import type { Client } from "./client.ts";
import { openWire } from "./testing/broken-wire.ts";
import { withHubBed, type HubBed } from "./testing/hub-bed.ts";

const TAG = { name: parseDatasetName("x"), tag: parseTag("latest") };
const REFERENCE = parseReference("x:latest");
/** Larger than some bodies, in files of all kinds. */
const FILES = {
  ...Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`small/${index}.txt`, `file ${index}\n`])),
  "large.bin": noise(11, 24_000_000),
  "text.txt": "words and words and words\n".repeat(50_000),
};

async function pullAndCompare(bed: HubBed, client: Client, source: string, folder: string): Promise<void> {
  const { name, version } = await client.resolve(REFERENCE);
  await client.pull({ name, version, target: bed.path(folder), verify: true });
  assert.deepEqual(comparable(readFolder(bed.path(folder))), comparable(readFolder(source)));
}

/** The next item, of which there must be one. */
async function nextOf<T>(items: AsyncIterator<T>): Promise<T> {
  const next = await items.next();
  assert.ok(next.done !== true);
  return next.value;
}

describe("a client whose wire breaks", () => {
  it("every few megabytes, pushes and pulls all the same", async () => {
    await withHubBed(async (bed) => {
      const source = bed.write("source", FILES);
      const port = (): number => Number(bed.address.split(":")[1]);
      let connections = 0;
      const wire = await openWire({ port, bytesMax: () => 1_000_000 + 2_000_000 * (++connections % 4) });
      try {
        const client = bed.client(wire.address);
        const { moved } = await client.push({ source, tags: [TAG], publisher: "" });
        assert.deepEqual(moved, [true]);
        const brokenByPush = wire.broken();
        assert.ok(brokenByPush >= 2, `${brokenByPush} connections broke`);
        await pullAndCompare(bed, client, source, "target");
        assert.ok(wire.broken() > brokenByPush + 2, `${wire.broken()} connections broke`);
      } finally {
        await wire.close();
      }
    });
  });

  it("early and often, still gets its answers, and moves a tag once", async () => {
    await withHubBed(async (bed) => {
      const source = bed.write("source", { "a.txt": "one\n" });
      const plain = bed.client();
      await plain.push({ source, tags: [TAG], publisher: "" });
      const port = (): number => Number(bed.address.split(":")[1]);
      let connections = 0;
      // The first connections break in the request, in its answer, and so on.
      const wire = await openWire({ port, bytesMax: () => 150 * ++connections });
      try {
        const client = bed.client(wire.address, 60_000);
        // Who never reached the hub does not wait for it.
        await assert.rejects(client.resolve(REFERENCE), { code: "HUB_UNAVAILABLE" });
        for (;;) {
          const found = await client.resolve(REFERENCE).catch(() => undefined);
          if (found !== undefined) break;
        }
        connections = 0;
        const says = { publisher: "p", message: "", labels: {} };
        const target = { name: TAG.name, tag: parseTag("stable") };
        const commit = await client.tag(target, REFERENCE, says);
        assert.deepEqual([commit.moved, commit.record.number], [true, 1]);
      } finally {
        await wire.close();
      }
    });
  });
});

describe("a client whose hub", () => {
  it("is started anew in the middle of a push, publishes all the same", async () => {
    await withHubBed(async (bed) => {
      const source = bed.write("source", FILES);
      const client = bed.client();
      let restart: Promise<void> | undefined;
      const onProgress = ({ bytes }: { bytes: number }): void => {
        if (bytes > 8_000_000) restart ??= bed.stop().then(() => bed.start());
      };
      const result = await client.push({ source, tags: [TAG], publisher: "", onProgress });
      assert.ok(restart !== undefined);
      await restart;
      assert.deepEqual(result.moved, [true]);
      await pullAndCompare(bed, client, source, "target");
    });
  });

  it("is started anew in the middle of a pull, goes on where it was", async () => {
    await withHubBed(async (bed) => {
      const source = bed.write("source", FILES);
      const client = bed.client();
      await client.push({ source, tags: [TAG], publisher: "" });
      let restart: Promise<void> | undefined;
      const { name, version } = await client.resolve(REFERENCE);
      const target = bed.path("target");
      const onProgress = ({ phase }: { phase: string }): void => {
        if (phase === "fetch") restart ??= bed.stop().then(() => bed.start());
      };
      await client.pull({ name, version, target, onProgress });
      assert.ok(restart !== undefined);
      await restart;
      assert.deepEqual(comparable(readFolder(target)), comparable(readFolder(source)));
    });
  });

  it("is started anew while a dataset is followed, tells every event once", async () => {
    await withHubBed(async (bed) => {
      const source = bed.write("source", { "a.txt": "1\n" });
      const client = bed.client();
      await client.push({ source, tags: [TAG], publisher: "" });
      const events = client.watch(TAG.name, { sequence: 1 })[Symbol.asyncIterator]();
      assert.equal((await nextOf(events)).sequence, 1);
      const next = nextOf(events);
      await bed.stop();
      await bed.start();
      bed.write("source", { "a.txt": "2\n" });
      await client.push({ source, tags: [TAG], publisher: "" });
      assert.equal((await next).sequence, 2);
      await events.return?.();
    });
  });

  it("goes away for good, says so after a while, and what to do", async () => {
    await withHubBed(async (bed) => {
      const source = bed.write("source", FILES);
      const client = bed.client(bed.address, 300);
      let stopped: Promise<void> | undefined;
      const onProgress = ({ bytes }: { bytes: number }): void => {
        if (bytes > 4_000_000) stopped ??= bed.stop();
      };
      await assert.rejects(client.push({ source, tags: [TAG], publisher: "", onProgress }), {
        code: "HUB_UNAVAILABLE",
        message: /start one with `aetherfs run`/,
      });
      await stopped;
    });
  });

  it("is away, and the caller gives up, ends at once with the caller's reason", async () => {
    await withHubBed(async (bed) => {
      const client = bed.client(bed.address, 600_000);
      await assert.rejects(client.resolve(REFERENCE), { code: "DATASET_NOT_FOUND" });
      await bed.stop();
      const controller = new AbortController();
      const asked = client.resolve(REFERENCE, { signal: controller.signal });
      setImmediate(() => {
        controller.abort(new Error("enough"));
      });
      await assert.rejects(asked, /enough/);
    });
  });
});

describe("a hub with many clients at once", () => {
  it("takes every push, and gives every pull what was pushed", async () => {
    await withHubBed(async (bed) => {
      const shared = noise(5, 2_000_000);
      const names = Array.from({ length: 8 }, (_, index) => parseDatasetName(`x${index % 4}`));
      const pushes = names.map(async (name, index) => {
        const source = bed.write(`source-${index}`, {
          "shared.bin": shared,
          "own.bin": noise(100 + index, 700_000),
        });
        const client = bed.client();
        const tag = parseTag(`t${index}`);
        const { digest } = await client.push({ source, tags: [{ name, tag }], publisher: "" });
        const target = bed.path(`target-${index}`);
        await client.pull({ name, version: digest, target, verify: true });
        assert.deepEqual(comparable(readFolder(target)), comparable(readFolder(source)));
      });
      await Promise.all(pushes);
    });
  });
});
