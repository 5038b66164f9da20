import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ByteRange } from "../../base/byte-range.ts";
import { AetherError } from "../../base/errors.ts";
import { MiB } from "../../base/limits.ts";
import { digestOf } from "../../format/digest.ts";
import type { ReadRangeOptions } from "../../store/block-store.ts";
import { noise } from "../testing/engine.ts";
import { CoalescedReads } from "./coalesced-reads.ts";

const CONTENT = Buffer.from(noise(3, 12 * MiB));
const BLOCK = digestOf(CONTENT);

/** A store whose answers wait until they are let go, and what it was asked for. */
class SlowStore {
  readonly asked: ByteRange[] = [];
  readonly aborted: ByteRange[] = [];
  readonly #answers: (() => void)[] = [];

  async read(
    _block: string,
    range: ByteRange = { start: 0, end: CONTENT.byteLength },
    { signal }: ReadRangeOptions = {},
  ): Promise<Uint8Array> {
    this.asked.push(range);
    await new Promise<void>((resolve, reject) => {
      this.#answers.push(resolve);
      signal?.addEventListener("abort", () => {
        this.aborted.push(range);
        reject(signal.reason as Error);
      });
    });
    if (range.end > CONTENT.byteLength) throw new AetherError("RANGE_INVALID", "past the end");
    return Uint8Array.from(CONTENT.subarray(range.start, range.end));
  }

  stat(): Promise<number | undefined> {
    return Promise.resolve(CONTENT.byteLength);
  }

  /** Lets what waits go until nothing does. */
  async settle(): Promise<void> {
    for (let answer = this.#answers.shift(); answer !== undefined; answer = this.#answers.shift()) {
      answer();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

async function readAll(ranges: readonly ByteRange[]): Promise<ByteRange[]> {
  const store = new SlowStore();
  const reads = new CoalescedReads(store);
  const all = ranges.map(async (range) => {
    const bytes = await reads.read(BLOCK, range, { into: new Uint8Array(range.end - range.start + 7) });
    assert.ok(CONTENT.subarray(range.start, range.end).equals(bytes), "each gets its own bytes");
  });
  await store.settle();
  await Promise.all(all);
  return store.asked;
}

function inOrder(count: number, bytes: number): ByteRange[] {
  return Array.from({ length: count }, (_, index) => ({ start: index * bytes, end: (index + 1) * bytes }));
}

describe("reads of a store that is far", () => {
  it("one after another in a block, are one request for the first and few for the rest", async () => {
    const asked = await readAll(inOrder(60, 200_000));
    assert.deepEqual(asked[0], { start: 0, end: 200_000 });
    assert.ok(asked.length <= 5, `${asked.length} requests`);
    assert.ok(asked.every(({ start, end }) => end - start <= 4 * MiB));
  });

  it("in any order, give each the same", async () => {
    const asked = await readAll(
      inOrder(40, 100_000).toSorted((a, b) => ((a.start * 7919) % 13) - ((b.start * 7919) % 13)),
    );
    assert.ok(asked.length < 40);
  });

  it("here and there, wait for nobody", async () => {
    const ranges = inOrder(10, MiB).map(({ start }) => ({ start, end: start + 1000 }));
    assert.deepEqual(await readAll(ranges), ranges);
  });

  it("of which one fails, fail with it, and the next ones go on", async () => {
    const store = new SlowStore();
    const reads = new CoalescedReads(store);
    const { byteLength } = CONTENT;
    const ranges = [
      { start: byteLength - 30, end: byteLength - 20 },
      { start: byteLength - 20, end: byteLength - 10 },
      { start: byteLength - 10, end: byteLength + 10 },
    ];
    const all = Promise.allSettled(
      ranges.map((range) => reads.read(BLOCK, range, { into: new Uint8Array(20) })),
    );
    await store.settle();
    assert.deepEqual(
      (await all).map(({ status }) => status),
      ["fulfilled", "rejected", "rejected"],
    );
    const again = reads.read(BLOCK, { start: 5, end: 9 }, { into: new Uint8Array(4) });
    await store.settle();
    assert.ok(CONTENT.subarray(5, 9).equals(await again));
  });

  it("that are left, before or while they are under way, harm no others; a request that all have left is aborted", async () => {
    const store = new SlowStore();
    const reads = new CoalescedReads(store);
    const ranges = inOrder(5, 1000);
    const leaving = ranges.map(() => new AbortController());
    const all = ranges.map((range, index) =>
      reads.read(BLOCK, range, {
        into: new Uint8Array(1000),
        signal: leaving[index]?.signal ?? assert.fail(),
      }),
    );
    const leave = async (index: number): Promise<void> => {
      leaving[index]?.abort();
      await assert.rejects(all[index] ?? assert.fail(), { name: "AbortError" });
    };
    // While it waits for the first: nobody asks for it.
    await leave(4);
    await leave(0);
    await new Promise(setImmediate);
    assert.deepEqual(store.aborted, [ranges[0]]);
    assert.deepEqual(store.asked, [ranges[0], { start: 1000, end: 4000 }]);
    // While others wait for the same request.
    await leave(1);
    await leave(3);
    assert.equal(store.aborted.length, 1);
    await store.settle();
    assert.ok(CONTENT.subarray(2000, 3000).equals((await all[2]) ?? assert.fail()));
    const again = reads.read(BLOCK, { start: 0, end: 10 }, { into: new Uint8Array(10) });
    await store.settle();
    assert.ok(CONTENT.subarray(0, 10).equals(await again));
  });

  it("that are left before they begin are asked for by nobody", async () => {
    const store = new SlowStore();
    const read = new CoalescedReads(store).read(
      BLOCK,
      { start: 0, end: 9 },
      {
        into: new Uint8Array(9),
        signal: AbortSignal.abort(),
      },
    );
    await assert.rejects(read, { name: "AbortError" });
    assert.deepEqual(store.asked, []);
  });
});
