import assert from "node:assert/strict";
import { test } from "node:test";
import type { ByteRange } from "../../base/byte-range.ts";
import { AetherError } from "../../base/errors.ts";
import type { Digest } from "../../format/digest.ts";
import type { BlockStore, CallOptions } from "../block-store.ts";
import { blockOf, failsWith } from "../conformance/block-store-suite.ts";
import { memoryFixture, onStore } from "../conformance/fixture.ts";
import { CachedStore } from "./cached-store.ts";

interface Watched {
  readonly blocks: BlockStore;
  reads: number;
  aborted: number;
  /** Reads wait for this. */
  opened: Promise<unknown>;
}

/** The blocks, counting the reads that reach them. */
function watched(inner: BlockStore): Watched {
  const state: Watched = { blocks: inner, reads: 0, aborted: 0, opened: Promise.resolve() };
  const read = async (block: Digest, range?: ByteRange, options?: CallOptions): Promise<Uint8Array> => {
    state.reads++;
    options?.signal?.addEventListener("abort", () => state.aborted++);
    await state.opened;
    return inner.read(block, range, options);
  };
  const blocks = new Proxy(inner, {
    get: (target, name) => {
      if (name === "read") return read;
      const member: unknown = Reflect.get(target, name);
      return typeof member === "function" ? (member.bind(target) as unknown) : member;
    },
  });
  return Object.assign(state, { blocks });
}

function onBlock(
  task: (cache: CachedStore, inner: Watched, digest: Digest, content: Uint8Array) => Promise<void>,
): Promise<void> {
  return onStore(memoryFixture, async ({ store }) => {
    const { digest, content } = blockOf(1, 10_000);
    await store.blocks.put(digest, [content]);
    const inner = watched(store.blocks);
    await task(new CachedStore(inner.blocks, 100_000), inner, digest, content);
  });
}

test("a range that was read before is not read again", () =>
  onBlock(async (cache, inner, digest) => {
    for (let turn = 0; turn < 3; turn++) await cache.read(digest, { start: 5, end: 50 });
    assert.equal(inner.reads, 1);
    await cache.read(digest, { start: 5, end: 51 });
    assert.equal(inner.reads, 2);
  }));

test("a range of a whole block that was read before is not read again", () =>
  onBlock(async (cache, inner, digest, content) => {
    await cache.read(digest);
    const range = await cache.read(digest, { start: 5, end: 50 });
    assert.deepEqual(Buffer.from(range), Buffer.from(content.subarray(5, 50)));
    await failsWith(cache.read(digest, { start: 5, end: 10_001 }), "RANGE_INVALID");
    assert.equal(inner.reads, 1);
  }));

test("a block larger than its share of the budget is read each time", () =>
  onStore(memoryFixture, async ({ store }) => {
    const { digest, content } = blockOf(2, 50_000);
    await store.blocks.put(digest, [content]);
    const inner = watched(store.blocks);
    const cache = new CachedStore(inner.blocks, 100_000);
    await cache.read(digest);
    await cache.read(digest);
    assert.equal(inner.reads, 2);
  }));

test("many readers of one range at the same time cause one read, and share no memory", () =>
  onBlock(async (cache, inner, digest, content) => {
    const found = await Promise.all(
      Array.from({ length: 20 }, () => cache.read(digest, { start: 0, end: 100 })),
    );
    assert.equal(inner.reads, 1);
    for (const bytes of found) {
      assert.deepEqual(Buffer.from(bytes), Buffer.from(content.subarray(0, 100)));
      bytes.fill(0);
    }
  }));

test("a reader that gives up does not disturb the others; when all give up the read is aborted", () =>
  onBlock(async (cache, inner, digest) => {
    const open = Promise.withResolvers<undefined>();
    inner.opened = open.promise;
    const range = { start: 0, end: 10 };
    const controllers = [new AbortController(), new AbortController()];
    const [first, second] = controllers.map(({ signal }) => cache.read(digest, range, { signal }));
    const reason = new Error("stop");
    controllers[0]?.abort(reason);
    await assert.rejects(first ?? assert.fail(), reason);
    assert.equal(inner.aborted, 0);
    controllers[1]?.abort(reason);
    await assert.rejects(second ?? assert.fail(), reason);
    assert.equal(inner.aborted, 1);
    const again = cache.read(digest, range);
    open.resolve(undefined);
    assert.equal((await again).byteLength, 10);
    assert.equal(inner.reads, 2);
  }));

test("a read that failed is made again by the next reader", () =>
  onBlock(async (cache, inner, digest) => {
    inner.opened = Promise.reject(new AetherError("STORE_UNAVAILABLE", "down"));
    await failsWith(cache.read(digest), "STORE_UNAVAILABLE");
    inner.opened = Promise.resolve();
    assert.equal((await cache.read(digest)).byteLength, 10_000);
  }));
