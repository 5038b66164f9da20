/** A server without conditional writes: refused, or taken on the user's word that nobody else writes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../src/base/clock.ts";
import { systemRandom } from "../../src/base/random.ts";
import { blockOf, failsWith } from "../../src/store/conformance/block-store-suite.ts";
import { datasetStoreSuite } from "../../src/store/conformance/dataset-store-suite.ts";
import { onStore } from "../../src/store/conformance/fixture.ts";
import { openStore } from "../../src/store/drivers/all.ts";
import { newBucket } from "../servers/buckets.ts";
import { swift } from "../servers/shared.ts";
import { s3Fixtures, settingsFor } from "./s3-fixture.ts";

const SINGLE = s3Fixtures(swift, { singleWriter: true });

if (swift.isThere) datasetStoreSuite("S3 with a single writer (Swift)", SINGLE);

test("a server without conditional writes, opened to write, is FEATURE_UNSUPPORTED with advice", async (t) => {
  if (!swift.require(t)) return;
  const server = await swift.get();
  const address = `s3://${await newBucket(server)}`;
  const options = { create: true, clock: systemClock, random: systemRandom, s3: settingsFor(server) };
  await assert.rejects(openStore(address, options), {
    code: "FEATURE_UNSUPPORTED",
    message: /has no conditional writes.*--storage_s3_single_writer/,
  });
});

test("blocks on a server without conditional writes, put, read, listed and removed, are as on any", async (t) => {
  if (!swift.require(t)) return;
  await onStore(SINGLE, async ({ store: { blocks }, prunable }) => {
    const made = [1, 2, 3].map((seed) => blockOf(seed, seed * 1000));
    for (const { digest, content } of made) {
      await blocks.put(digest, [content]);
      await blocks.put(digest, [content.subarray(0, 10), content.subarray(10)]);
      const range = { start: 5, end: 500 };
      assert.deepEqual(Buffer.from(await blocks.read(digest)), Buffer.from(content));
      assert.deepEqual(
        Buffer.from(await blocks.read(digest, range)),
        Buffer.from(content.subarray(range.start, range.end)),
      );
      await failsWith(blocks.read(digest, { start: 0, end: 5000 }), "RANGE_INVALID");
    }
    const listed = async (): Promise<string[]> => {
      const found: string[] = [];
      for await (const { digest, bytes } of blocks.list()) found.push(`${digest} ${bytes}`);
      return found;
    };
    const expected = made.map(({ digest, content }) => `${digest} ${content.byteLength}`).sort();
    assert.deepEqual(await listed(), expected);
    const [first] = made;
    assert.ok(first !== undefined && prunable !== undefined);
    await prunable.remove(first.digest);
    await failsWith(blocks.read(first.digest), "OBJECT_MISSING");
    assert.equal((await listed()).length, 2);
  });
});
