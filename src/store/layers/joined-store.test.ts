import assert from "node:assert/strict";
import { test } from "node:test";
import type { ByteRange } from "../../base/byte-range.ts";
import { blockOf, failsWith } from "../conformance/block-store-suite.ts";
import { memoryFixture } from "../conformance/fixture.ts";
import type { BlockStore } from "../block-store.ts";
import { joined } from "./joined-store.ts";
import { stack } from "./stack.ts";

const MADE = blockOf(1, 1_000_000);

/** A joined store of one block, over one that notes the ranges that are read of it. */
async function withJoined(use: (blocks: BlockStore, reads: string[]) => Promise<void>): Promise<void> {
  const fixture = await memoryFixture();
  const reads: string[] = [];
  const { blocks } = fixture.store;
  const noting: BlockStore = {
    features: blocks.features,
    read: (block, range, options) => {
      reads.push(`${range?.start ?? ""}-${range?.end ?? ""}`);
      return blocks.read(block, range, options);
    },
    stat: (block, options) => blocks.stat(block, options),
    list: (options) => blocks.list(options),
    put: (block, parts, options) => blocks.put(block, parts, options),
    flush: (options) => blocks.flush(options),
    remove: (block, options) => blocks.remove(block, options),
  };
  try {
    const store = stack({ ...fixture.store, blocks: noting }, [joined()]);
    await store.blocks.put(MADE.digest, [MADE.content]);
    await use(store.blocks, reads);
  } finally {
    await fixture.close();
  }
}

function slice({ start, end }: ByteRange): Buffer {
  return Buffer.from(MADE.content.subarray(start, end));
}

test("ranges asked for at once, close together, are read by one call, in any order; a far one by its own", () =>
  withJoined(async (blocks, reads) => {
    const ranges = [
      { start: 50_000, end: 60_000 },
      { start: 0, end: 100 },
      { start: 55_000, end: 58_000 },
      { start: 900_000, end: 1_000_000 },
    ];
    const found = await Promise.all(ranges.map((range) => blocks.read(MADE.digest, range)));
    for (const [index, range] of ranges.entries()) {
      assert.deepEqual(Buffer.from(found[index] ?? []), slice(range));
    }
    assert.deepEqual(reads, ["0-60000", "900000-1000000"]);
  }));

test("a range past the end, asked for beside a good one, fails alone", () =>
  withJoined(async (blocks) => {
    const good = { start: 990_000, end: 1_000_000 };
    const bad = blocks.read(MADE.digest, { start: 999_000, end: 1_000_001 });
    const found = blocks.read(MADE.digest, good);
    await failsWith(bad, "RANGE_INVALID");
    assert.deepEqual(Buffer.from(await found), slice(good));
  }));

test("a reader that gives up rejects with its reason, and the others get their bytes", () =>
  withJoined(async (blocks, reads) => {
    const controller = new AbortController();
    const reason = new Error("stop");
    const range = { start: 10, end: 20 };
    const given = blocks.read(MADE.digest, { start: 0, end: 10 }, { signal: controller.signal });
    const kept = blocks.read(MADE.digest, range);
    controller.abort(reason);
    await assert.rejects(given, reason);
    assert.deepEqual(Buffer.from(await kept), slice(range));
    assert.deepEqual(reads, ["0-20"]);
  }));
