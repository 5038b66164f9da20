import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { codeOf } from "../../base/errors.ts";
import { concatBytes } from "../../base/bytes.ts";
import { digestOf, type Digest } from "../../format/digest.ts";
import type { BlockStore, CallOptions } from "../block-store.ts";
import { onStore, type StoreFactory } from "./fixture.ts";

/** A deterministic block and its name. */
export function blockOf(seed: number, bytes = 1000): { digest: Digest; content: Uint8Array } {
  const content = new Uint8Array(bytes);
  let state = seed * 2654435761 + 12345;
  for (let index = 0; index < bytes; index++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    content[index] = state >>> 24;
  }
  return { digest: digestOf(content), content };
}

async function digestsOf(blocks: BlockStore, options?: CallOptions): Promise<Digest[]> {
  const found: Digest[] = [];
  for await (const { digest } of blocks.list(options)) found.push(digest);
  return found;
}

/** Asserts that the call fails with the code. */
export async function failsWith(call: Promise<unknown>, code: string): Promise<void> {
  await assert.rejects(call, (error) => {
    assert.equal(codeOf(error), code, String(error));
    return true;
  });
}

/** Registers what every BlockStore must hold to, as tests of node:test. */
export function blockStoreSuite(title: string, factory: StoreFactory): void {
  describe(`block store, ${title}`, () => {
    contentTests(factory);
    rangeTests(factory);
    listTests(factory);
    concurrencyTests(factory);
    abortTests(factory);
    removalTests(factory);
  });
}

function contentTests(factory: StoreFactory): void {
  test("a block, put in parts and read, is their concatenation", () =>
    onStore(factory, async ({ store: { blocks } }) => {
      const part = fc.uint8Array({ maxLength: 200 });
      await fc.assert(
        fc.asyncProperty(fc.array(part, { maxLength: 8 }), async (parts) => {
          const content = concatBytes(parts);
          const digest = digestOf(content);
          await blocks.put(digest, parts);
          assert.deepEqual(Buffer.from(await blocks.read(digest)), Buffer.from(content));
          assert.equal(await blocks.stat(digest), content.byteLength);
        }),
        { numRuns: 25 },
      );
      await blocks.flush();
    }));

  test("a block of more parts than one writev takes, put and read, is whole", () =>
    onStore(factory, async ({ store: { blocks } }) => {
      const { digest, content } = blockOf(1, 100_000);
      const parts = Array.from({ length: 5000 }, (_, index) => content.subarray(index * 20, index * 20 + 20));
      await blocks.put(digest, parts);
      assert.equal(digestOf(await blocks.read(digest)), digest);
    }));

  test("a block that is there, put again, stays as it is", () =>
    onStore(factory, async ({ store: { blocks } }) => {
      const { digest, content } = blockOf(2);
      await blocks.put(digest, [content]);
      await blocks.flush();
      await blocks.put(digest, [content]);
      assert.deepEqual(await digestsOf(blocks), [digest]);
      assert.equal(digestOf(await blocks.read(digest)), digest);
    }));

  test("a block that is not there, read and asked for, is OBJECT_MISSING and undefined", () =>
    onStore(factory, async ({ store: { blocks } }) => {
      const { digest, content } = blockOf(3);
      await failsWith(blocks.read(digest), "OBJECT_MISSING");
      await failsWith(blocks.read(digest, { start: 0, end: 0 }), "OBJECT_MISSING");
      assert.equal(await blocks.stat(digest), undefined);
      await blocks.put(digest, [content]);
      assert.equal(await blocks.stat(digest), content.byteLength, "absence is not remembered");
    }));

  test("a result, overwritten by its reader, changes no other reader's", () =>
    onStore(factory, async ({ store: { blocks } }) => {
      const { digest, content } = blockOf(4);
      await blocks.put(digest, [content]);
      for (const range of [undefined, { start: 0, end: 100 }]) {
        (await blocks.read(digest, range)).fill(0);
        assert.deepEqual(
          Buffer.from(await blocks.read(digest, range)),
          Buffer.from(content.subarray(0, range?.end)),
        );
      }
      const mine = Uint8Array.from(blockOf(5).content);
      await blocks.put(digestOf(mine), [mine]);
      const name = digestOf(mine);
      mine.fill(0);
      assert.equal(digestOf(await blocks.read(name)), name, "the store does not keep the writer's memory");
    }));
}

function rangeTests(factory: StoreFactory): void {
  test("a range of a block, read, equals the slice", () =>
    onStore(factory, async ({ store: { blocks } }) => {
      const { digest, content } = blockOf(6, 4096);
      await blocks.put(digest, [content]);
      const offset = fc.nat({ max: content.byteLength });
      await fc.assert(
        fc.asyncProperty(offset, offset, async (a, b) => {
          const range = { start: Math.min(a, b), end: Math.max(a, b) };
          const slice = Buffer.from(content.subarray(range.start, range.end));
          assert.deepEqual(Buffer.from(await blocks.read(digest, range)), slice);
        }),
        { numRuns: 100 },
      );
    }));

  test("a range, read into memory of the caller's, equals the slice, and leaves the rest as it is", () =>
    onStore(factory, async ({ store: { blocks } }) => {
      const { digest, content } = blockOf(6);
      await blocks.put(digest, [content]);
      const into = new Uint8Array(200).fill(7);
      const read = await blocks.read(digest, { start: 10, end: 110 }, { into });
      assert.deepEqual(Buffer.from(read), Buffer.from(content.subarray(10, 110)));
      assert.deepEqual(into.subarray(100), new Uint8Array(100).fill(7));
    }));

  test("a range past the end, read, is RANGE_INVALID", () =>
    onStore(factory, async ({ store: { blocks } }) => {
      const { digest, content } = blockOf(7);
      await blocks.put(digest, [content]);
      for (const range of [
        { start: 0, end: 1001 },
        { start: 1001, end: 1001 },
        { start: 5, end: 4 },
        { start: -1, end: 4 },
        { start: 0.5, end: 4 },
      ]) {
        await failsWith(blocks.read(digest, range), "RANGE_INVALID");
      }
      assert.equal((await blocks.read(digest, { start: 1000, end: 1000 })).byteLength, 0);
    }));
}

function listTests(factory: StoreFactory): void {
  test("an empty store, listed, gives nothing", () =>
    onStore(factory, async ({ store: { blocks } }) => {
      assert.deepEqual(await digestsOf(blocks), []);
      await blocks.flush();
    }));

  test("a list gives every block once, in order, with its size", () =>
    onStore(factory, async ({ store: { blocks } }) => {
      const made = Array.from({ length: 100 }, (_, seed) => blockOf(seed, seed));
      await Promise.all(made.map(({ digest, content }) => blocks.put(digest, [content])));
      const sizes = new Map(made.map(({ digest, content }) => [digest as string, content.byteLength]));
      const found: string[] = [];
      for await (const { digest, bytes } of blocks.list()) {
        assert.equal(bytes, sizes.get(digest));
        found.push(digest);
      }
      assert.deepEqual(found, [...sizes.keys()].sort());
    }));

  test("a list, while others put, misses none that was there before", () =>
    onStore(factory, async ({ store: { blocks } }) => {
      const early = Array.from({ length: 40 }, (_, seed) => blockOf(seed));
      const late = Array.from({ length: 40 }, (_, seed) => blockOf(1000 + seed));
      await Promise.all(early.map(({ digest, content }) => blocks.put(digest, [content])));
      const putting = Promise.all(late.map(({ digest, content }) => blocks.put(digest, [content])));
      const found = await digestsOf(blocks);
      await putting;
      assert.deepEqual(found, [...found].sort());
      assert.equal(new Set(found).size, found.length);
      const listed = new Set(found);
      for (const { digest } of early) assert.ok(listed.has(digest));
      assert.equal((await digestsOf(blocks)).length, 80);
    }));

  test("a list that its reader leaves early keeps nothing open", () =>
    onStore(factory, async ({ store: { blocks } }) => {
      for (let seed = 0; seed < 5; seed++) {
        const { digest, content } = blockOf(seed);
        await blocks.put(digest, [content]);
      }
      const reading = blocks.list()[Symbol.asyncIterator]();
      await reading.next();
      await reading.return?.();
      assert.equal((await digestsOf(blocks)).length, 5);
    }));
}

function concurrencyTests(factory: StoreFactory): void {
  test("one block, put by many at once, is whole for every reader", () =>
    onStore(factory, async ({ store: { blocks } }) => {
      const { digest, content } = blockOf(8, 3_000_000);
      const readWhole = async (): Promise<void> => {
        if ((await blocks.stat(digest)) === undefined) return;
        assert.equal(digestOf(await blocks.read(digest)), digest);
      };
      const work = Array.from({ length: 8 }, async () => {
        await readWhole();
        await blocks.put(digest, [content]);
        await readWhole();
      });
      await Promise.all([...work, blocks.flush()]);
      assert.deepEqual(await digestsOf(blocks), [digest]);
    }));

  test("many blocks, written and read by ranges at once, keep their bytes", () =>
    onStore(factory, async ({ store: { blocks } }) => {
      const made = Array.from({ length: 150 }, (_, seed) => blockOf(seed, 500));
      await Promise.all(
        made.map(async ({ digest, content }) => {
          await blocks.put(digest, [content]);
          const range = { start: 100, end: 200 };
          assert.deepEqual(
            Buffer.from(await blocks.read(digest, range)),
            Buffer.from(content.subarray(100, 200)),
          );
        }),
      );
      await blocks.flush();
    }));
}

function abortTests(factory: StoreFactory): void {
  test("every call, with a signal that is aborted already, rejects with its reason and does nothing", () =>
    onStore(factory, async ({ store: { blocks } }) => {
      const reason = new Error("stop");
      const options = { signal: AbortSignal.abort(reason) };
      const { digest, content } = blockOf(9);
      await assert.rejects(blocks.put(digest, [content], options), reason);
      assert.equal(await blocks.stat(digest), undefined);
      await blocks.put(digest, [content]);
      await assert.rejects(blocks.read(digest, undefined, options), reason);
      await assert.rejects(blocks.read(digest, { start: 0, end: 1 }, options), reason);
      await assert.rejects(blocks.stat(digest, options), reason);
      await assert.rejects(blocks.flush(options), reason);
      await assert.rejects(digestsOf(blocks, options), reason);
    }));

  test("a put, aborted under way, leaves a whole block or none", () =>
    onStore(factory, async ({ store: { blocks } }) => {
      for (let turn = 0; turn < 20; turn++) {
        const { digest, content } = blockOf(100 + turn, 200_000);
        const controller = new AbortController();
        const reason = new Error("stop");
        const put = blocks.put(digest, [content], { signal: controller.signal });
        for (let step = 0; step < turn; step++) await new Promise(setImmediate);
        controller.abort(reason);
        const failed = await put.then(
          () => undefined,
          (error: unknown) => error,
        );
        assert.ok(failed === undefined || failed === reason, String(failed));
        const bytes = await blocks.stat(digest);
        assert.ok(bytes === undefined ? failed !== undefined : bytes === content.byteLength);
        await blocks.put(digest, [content]);
        assert.equal(digestOf(await blocks.read(digest)), digest);
      }
    }));
}

function removalTests(factory: StoreFactory): void {
  test("a block, removed, is gone from reads, ranges and lists; removed again, it is no error", () =>
    onStore(factory, async ({ store: { blocks }, prunable }) => {
      if (prunable === undefined) return;
      const [gone, kept] = [blockOf(10), blockOf(11)];
      for (const { digest, content } of [gone, kept]) await blocks.put(digest, [content]);
      await prunable.read(gone.digest, { start: 0, end: 10 });
      await prunable.remove(gone.digest);
      await prunable.remove(gone.digest);
      await failsWith(prunable.read(gone.digest), "OBJECT_MISSING");
      await failsWith(prunable.read(gone.digest, { start: 0, end: 10 }), "OBJECT_MISSING");
      assert.deepEqual(await digestsOf(blocks), [kept.digest]);
      await blocks.put(gone.digest, [gone.content]);
      assert.equal(digestOf(await blocks.read(gone.digest)), gone.digest);
      await blocks.flush();
    }));
}
