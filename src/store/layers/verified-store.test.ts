import assert from "node:assert/strict";
import { test } from "node:test";
import { MiB } from "../../base/limits.ts";
import { blockOf, failsWith } from "../conformance/block-store-suite.ts";
import { faulty } from "../conformance/faulty-store.ts";
import { memoryFixture, onStore } from "../conformance/fixture.ts";
import { stack } from "./stack.ts";
import { verified } from "./verified-store.ts";

test("a block, put under another's name, is OBJECT_CORRUPT and not stored", () =>
  onStore(memoryFixture, async ({ store }) => {
    const { blocks } = stack(store, [verified()]);
    const [one, other] = [blockOf(1), blockOf(2)];
    await failsWith(blocks.put(one.digest, [other.content]), "OBJECT_CORRUPT");
    await failsWith(blocks.put(one.digest, [one.content, one.content]), "OBJECT_CORRUPT");
    await failsWith(blocks.put(one.digest, []), "OBJECT_CORRUPT");
    assert.equal(await blocks.stat(one.digest), undefined);
  }));

test("a whole block with one bit changed, read, is OBJECT_CORRUPT", () =>
  onStore(memoryFixture, async ({ store }) => {
    const { blocks } = stack(store, [faulty({ seed: 1, flips: 1 }), verified()]);
    const { digest, content } = blockOf(3);
    await blocks.put(digest, [content]);
    await failsWith(blocks.read(digest), "OBJECT_CORRUPT");
    assert.equal(
      (await blocks.read(digest, { start: 0, end: 10 })).byteLength,
      10,
      "ranges are checked above",
    );
  }));

test("a large block, aborted while it is checked, is not stored", () =>
  onStore(memoryFixture, async ({ store }) => {
    const { blocks } = stack(store, [verified()]);
    const { digest, content } = blockOf(4, 4 * MiB);
    const controller = new AbortController();
    const reason = new Error("stop");
    const put = blocks.put(digest, [content], { signal: controller.signal });
    controller.abort(reason);
    await assert.rejects(put, reason);
    assert.equal(await blocks.stat(digest), undefined);
  }));
