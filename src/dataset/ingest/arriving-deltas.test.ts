import assert from "node:assert/strict";
import fs from "node:fs";
import { after, describe, it } from "node:test";
import { digestBytes, digestOf } from "../../format/digest.ts";
import { CODECS } from "../../format/frame.ts";
import { push } from "../push/push.ts";
import { noise } from "../testing/engine.ts";
import { plainFrame } from "../testing/hub-frames.ts";
import { producerOf } from "../testing/hub-producer.ts";
import { BED_TAG } from "../testing/push-bed.ts";
import { OTHER_DOMAIN, fails, onHub, publication, put } from "../testing/session-bed.ts";
import { TEST_CHUNKING } from "../testing/version-builder.ts";
import { WorkerPool } from "../workers/pool.ts";
import type { ReceivedBase, ReceivedFrame } from "./sessions.ts";

const pool = new WorkerPool(2);
after(() => pool.close());

const old = [noise(1, 9000), noise(2, 7000)] as const;
const edited = old.map((chunk) => {
  const copy = new Uint8Array(chunk);
  copy.set(Buffer.from("edited"), 4000);
  return copy;
});
const BOTH = {
  digests: Buffer.concat(old.map((chunk) => digestBytes(digestOf(chunk)))),
  offset: 0,
  bytes: 16_000,
};

/** Plain frames of which the first says what they may be encoded against. */
function proposing(base: ReceivedBase, frames = edited.length): ReceivedFrame[] {
  return edited.map((chunk, index) => ({
    ...plainFrame(chunk),
    proposal: index === 0 ? { base, frames } : undefined,
  }));
}

describe("plain frames with a proposal that a hub is given", () => {
  it(
    "become one delta on what the proposal names, and the version is read",
    onHub(pool, async ({ bed, begin }) => {
      const first = await begin();
      await put(first, 0, ...old.map(plainFrame));
      const before = await first.publish(publication(old), {});
      const second = await begin();
      await put(second, 0, ...proposing(BOTH));
      const { version, totals } = await second.publish(publication(edited), {});
      await bed.read(version);
      const deltas = (await bed.frames()).filter(({ codec }) => codec === CODECS.delta);
      assert.equal(deltas.length, 1);
      assert.deepEqual(deltas[0]?.lengths, [9000, 7000]);
      assert.ok(totals.storedBytes < before.totals.storedBytes / 8, `${totals.storedBytes} bytes`);
    }),
  );

  it(
    "cut short by the end of a body, become a delta as far as they came",
    onHub(pool, async ({ bed, begin }) => {
      const first = await begin();
      await put(first, 0, ...old.map(plainFrame));
      await first.publish(publication(old), {});
      const second = await begin();
      const [one, other] = proposing(BOTH, 1000);
      assert.ok(one !== undefined && other !== undefined);
      await put(second, 0, one);
      await put(second, 1, other);
      await bed.read((await second.publish(publication(edited), {})).version);
      const deltas = (await bed.frames()).filter(({ codec }) => codec === CODECS.delta);
      assert.deepEqual(deltas[0]?.lengths, [9000]);
    }),
  );

  it(
    "on what is not there, of another domain, or not alike, stay plain",
    onHub(pool, async ({ bed, begin }) => {
      const foreign = await begin(OTHER_DOMAIN);
      await put(foreign, 0, ...old.map(plainFrame));
      await foreign.publish(publication(old, OTHER_DOMAIN), {});
      const unlike = noise(3, 16_000);
      const first = await begin();
      await put(first, 0, plainFrame(unlike));
      await first.publish(publication([unlike]), {});
      const bases = [BOTH, { ...BOTH, digests: digestBytes(digestOf(unlike)) }];
      for (const base of bases) {
        const session = await begin();
        await put(session, 0, ...proposing(base));
        await bed.read((await session.publish(publication(edited), {})).version);
      }
      assert.ok((await bed.frames()).every(({ codec }) => codec !== CODECS.delta));
    }),
  );

  it(
    "that no delta could have as its base, are refused",
    onHub(pool, async ({ begin }) => {
      const first = await begin();
      await put(first, 0, ...old.map(plainFrame));
      await first.publish(publication(old), {});
      for (const wrong of [
        { ...BOTH, offset: 1 },
        { ...BOTH, bytes: 0 },
        { ...BOTH, bytes: -1 },
        { ...BOTH, offset: 0.5 },
        { ...BOTH, digests: new Uint8Array(31) },
        { ...BOTH, digests: new Uint8Array(0) },
      ]) {
        const session = await begin();
        await fails(put(session, 0, ...proposing(wrong)), "OBJECT_INVALID");
        await session.abort();
      }
    }),
  );

  it(
    "whose base is damaged in the store, stay plain",
    onHub(pool, async ({ bed, begin }) => {
      const first = await begin();
      await put(first, 0, ...old.map(plainFrame));
      await first.publish(publication(old), {});
      for (const file of bed.files("blocks").keys()) {
        const bytes = fs.readFileSync(file);
        bytes[4000] = (bytes[4000] ?? 0) ^ 1;
        fs.chmodSync(file, 0o600);
        fs.writeFileSync(file, bytes);
      }
      const second = await begin();
      await put(second, 0, ...proposing(BOTH));
      await bed.read((await second.publish(publication(edited), {})).version);
    }),
  );
});

describe("an update that is pushed to a hub", () => {
  it(
    "by who has not the old bytes, travels as full chunks and is stored as deltas, for which the producer reads nothing",
    onHub(pool, async ({ bed, sessions }) => {
      const content = noise(7, 400_000);
      bed.write("table", content);
      // The producer's store has manifests, and no block.
      const blocks = { ...bed.store.blocks, read: () => Promise.reject(new Error("no block is read")) };
      const engine = { ...bed.engine, store: { ...bed.store, blocks }, ingest: producerOf(sessions) };
      const options = { source: bed.source, tags: [BED_TAG], publisher: "test", chunking: TEST_CHUNKING };
      await push(engine, options);
      for (const at of [30_000, 200_000, 390_000]) content.set(Buffer.from("edited"), at);
      bed.write("table", content);
      const result = await push(engine, options);
      await bed.read(result.digest);
      assert.ok(result.newChunks >= 3);
      assert.ok(result.plainBytes >= result.newBytes * 0.9, `${result.plainBytes} of noise`);
      assert.ok(result.storedBytes - result.manifestBytes < result.plainBytes / 8, `${result.storedBytes}`);
    }),
  );
});
