/** Readers that leave while the store has not answered yet. */
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import fs from "node:fs";
import { after, describe, it } from "node:test";
import { systemClock } from "../../base/clock.ts";
import { KiB, MiB } from "../../base/limits.ts";
import type { ReadEngine } from "../engine.ts";
import { collect, noise } from "../testing/engine.ts";
import { withPushBed } from "../testing/push-bed.ts";
import { StalledBlocks } from "../testing/stalled-blocks.ts";
import { openVersion, type Version } from "../version/version.ts";
import { WorkerPool } from "../workers/pool.ts";
import { StreamReader } from "./stream-reader.ts";

const pool = new WorkerPool(2);
after(() => pool.close());

interface Bed {
  readonly blocks: StalledBlocks;
  readonly engine: ReadEngine;
  readonly version: Version;
  readonly stream: Buffer;
  readonly reader: StreamReader;
}

/** A version of raw, compressed and delta frames in a store that is far, whose pages have been read, and which answers no more. */
function withBed(work: (bed: Bed) => Promise<void>): Promise<void> {
  return withPushBed(pool, async (push) => {
    const text = Buffer.from(Array.from({ length: 40_000 }, (_, at) => `${at} ${at * 7919}\n`).join(""));
    push.write("a.bin", noise(1, 3 * MiB));
    push.write("b.txt", text);
    await push.push();
    text.write("changed", 200_000);
    push.write("b.txt", text);
    const { digest } = await push.push();
    const stream = Buffer.concat(["a.bin", "b.txt"].map((name) => fs.readFileSync(`${push.source}/${name}`)));
    const blocks = new StalledBlocks(push.store.blocks);
    const engine = { ...push.engine, store: { ...push.store, datasets: push.store.datasets, blocks } };
    const version = await openVersion(engine, digest);
    const options = { isLocal: false, pieceBytes: 128 * KiB, disk: undefined };
    await collect(new StreamReader(engine, options).read(version, { start: 0, end: stream.byteLength }));
    blocks.isStalled = true;
    await work({ blocks, engine, version, stream, reader: new StreamReader(engine, options) });
  });
}

describe("a reader that leaves", () => {
  it("while it waits, fails with its signal's reason, and what was fetched for it alone ends", () =>
    withBed(async ({ blocks, version, stream, reader }) => {
      const whole = { start: 0, end: stream.byteLength };
      const ways = [
        (options: AbortController) => collect(reader.read(version, whole, options)),
        (options: AbortController) => reader.hold(version, whole, options),
      ];
      for (const way of ways) {
        const leaving = new AbortController();
        const reading = way(leaving);
        await blocks.until((calls) => calls > 0);
        leaving.abort(new Error("left"));
        await assert.rejects(reading, /left/);
        await blocks.until((calls) => calls === 0);
        assert.deepEqual(getEventListeners(leaving.signal, "abort"), []);
        await assert.rejects(way(leaving), /left/);
      }
    }));

  it("leaves what others wait for to them, also when they came later", () =>
    withBed(async ({ blocks, version, stream, reader }) => {
      const leaving = new AbortController();
      const whole = { start: 0, end: stream.byteLength };
      const left = reader.hold(version, whole, leaving);
      const range = { start: 100_000, end: stream.byteLength - 1000 };
      const stays = reader.hold(version, range, new AbortController());
      await blocks.until((calls) => calls > 0);
      leaving.abort();
      await assert.rejects(left, { name: "AbortError" });
      assert.ok(blocks.underWay.size > 0);
      const late = reader.hold(version, whole);
      blocks.letGo();
      assert.ok(Buffer.concat((await stays).parts).equals(stream.subarray(range.start, range.end)));
      assert.ok(Buffer.concat((await late).parts).equals(stream));
    }));

  it("between two pieces, by its signal or not, ends what was fetched ahead for it", () =>
    withBed(async ({ blocks, version, stream, reader }) => {
      const first = { start: 0, end: 1000 };
      blocks.letGo();
      (await reader.hold(version, first)).release(true);
      for (const isAborted of [false, true]) {
        blocks.isStalled = true;
        const leaving = new AbortController();
        const pieces = reader.read(version, { start: 0, end: stream.byteLength }, leaving);
        assert.equal((await pieces.next()).done, false);
        await blocks.until((calls) => calls > 0);
        if (isAborted) leaving.abort();
        await pieces.return(undefined);
        await blocks.until((calls) => calls === 0);
      }
    }));

  it("is one of many with one signal: all leave at once, nothing is warned of, and nothing stays behind", () =>
    withBed(async ({ blocks, version, stream, reader }) => {
      const warnings: Error[] = [];
      const note = (warning: Error): void => void warnings.push(warning);
      process.on("warning", note);
      const leaving = new AbortController();
      const all = Array.from({ length: 100 }, (_, index) =>
        reader.hold(version, { start: index * 1000, end: stream.byteLength }, leaving),
      );
      await blocks.until((calls) => calls > 0);
      leaving.abort();
      for (const each of all) await assert.rejects(each, { name: "AbortError" });
      await blocks.until((calls) => calls === 0);
      await new Promise(setImmediate);
      process.off("warning", note);
      assert.deepEqual(warnings, []);
      assert.deepEqual(getEventListeners(leaving.signal, "abort"), []);
    }));
});

it("reading ahead for nobody gives up after a while, and for somebody who came meanwhile it goes on", () =>
  withBed(async ({ blocks, version, engine }) => {
    const late = Promise.withResolvers<undefined>();
    const clock = { ...systemClock, sleep: () => late.promise };
    const options = { isLocal: false, pieceBytes: 128 * KiB, disk: undefined };
    const reader = new StreamReader({ ...engine, clock }, options);
    const range = { start: 0, end: 256 * KiB };
    const ahead = reader.prefetch(version, range);
    await blocks.until((calls) => calls > 0);
    const wanted = { start: 0, end: 1000 };
    const reading = reader.hold(version, wanted, new AbortController());
    late.resolve(undefined);
    await ahead;
    await blocks.until((calls) => calls <= 1);
    assert.equal(blocks.underWay.size, 1);
    blocks.letGo();
    assert.equal((await reading).parts[0]?.byteLength, 1000);
  }));

it("a reader that has left has nothing read anew, and leaves nothing on its signal: what lies raw here is gone meanwhile", () =>
  withPushBed(pool, async (push) => {
    const bytes = 8 * MiB;
    push.write("a.bin", noise(1, bytes));
    const { digest } = await push.push();
    const blocks = new StalledBlocks(push.store.blocks);
    const store = { ...push.store, datasets: push.store.datasets, blocks };
    const engine = { ...push.engine, store, memoryBytes: 32 * MiB };
    const version = await openVersion(engine, digest);
    const reader = new StreamReader(engine, { isLocal: true, pieceBytes: 128 * KiB, disk: undefined });
    // More than is kept of what was verified: the beginning is read where it lies from now on.
    await collect(reader.read(version, { start: 0, end: bytes }));
    const leaving = new AbortController();
    const pieces = reader.read(version, { start: 0, end: bytes }, leaving);
    assert.equal((await pieces.next()).done, false);
    await blocks.until((calls) => calls === 0);
    blocks.isStalled = true;
    while (blocks.underWay.size === 0) assert.equal((await pieces.next()).done, false);
    const left = pieces.return(undefined);
    for await (const block of push.store.blocks.list()) await push.store.blocks.remove(block.digest);
    blocks.letGo();
    await left;
    assert.deepEqual(getEventListeners(leaving.signal, "abort"), []);
  }));
