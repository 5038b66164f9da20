/** Delta frames from a producer that means harm: what they may cost the hub, and those who read what they made. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, describe, it, type TestContext } from "node:test";
import { concatBytes } from "../../base/bytes.ts";
import type { ErrorCode } from "../../base/errors.ts";
import { MiB } from "../../base/limits.ts";
import { digestBytes, digestOf } from "../../format/digest.ts";
import { encodeDelta } from "../../format/frame.ts";
import { pull } from "../pull/pull.ts";
import { noise } from "../testing/engine.ts";
import { deltaFrame, plainFrame } from "../testing/hub-frames.ts";
import { BED_TAG } from "../testing/push-bed.ts";
import { fails, onHub, publication, put } from "../testing/session-bed.ts";
import type { UnitFrame } from "../version/unit.ts";
import { verifyVersion } from "../verify.ts";
import { WorkerPool } from "../workers/pool.ts";
import type { ReceivedFrame } from "./sessions.ts";

const pool = new WorkerPool(2);
after(() => pool.close());

/** What one task may decode at most, bases included. */
const TASK_BYTES_MAX = 34 * MiB;

const base = noise(1, 6000);
const next = concatBytes([base.subarray(0, 3000), noise(2, 40), base.subarray(3000)]);
const good = deltaFrame(next, base);
const itsBase = { digests: digestBytes(digestOf(base)), offset: 0, bytes: base.byteLength };

/** Zeros, with their number in front. */
function zeros(number: number, lengthBytes: number): Uint8Array {
  const bytes = new Uint8Array(lengthBytes);
  new DataView(bytes.buffer).setUint32(0, number + 1);
  return bytes;
}

/** A run of chunks against the whole of another. */
function runFrame(chunks: readonly Uint8Array[], dictionary: Uint8Array): ReceivedFrame {
  const frame = deltaFrame(concatBytes(chunks), dictionary);
  const digests = concatBytes(chunks.map((chunk) => digestBytes(digestOf(chunk))));
  return { ...frame, digests, lengths: chunks.map((chunk) => chunk.byteLength) };
}

/** The most that a task was asked to decode, in bytes. */
function watchTasks(t: TestContext): () => number {
  const run = t.mock.method(pool, "run");
  return () => {
    const bytes = run.mock.calls.map(({ arguments: [, input] }) => decodedBytesOf(input));
    return Math.max(0, ...bytes);
  };
}

function decodedBytesOf(input: unknown): number {
  const task = input as { frames?: unknown; unit?: { frames: readonly UnitFrame[] } };
  const frames = task.unit?.frames ?? (Array.isArray(task.frames) ? (task.frames as UnitFrame[]) : []);
  return frames.reduce((sum, frame) => sum + (frame.decodedBytes ?? 0), 0);
}

describe("a hub that is given hostile deltas", () => {
  const bomb = encodeDelta(new Uint8Array(64 * MiB), base, 3).stored;
  const many = concatBytes(Array.from({ length: 515 }, () => itsBase.digests));
  const wrong: readonly (readonly [string, ErrorCode, ReceivedFrame])[] = [
    ["which decode to far more than they say", "OBJECT_CORRUPT", { ...good, stored: bomb }],
    ["which decode to more than they say", "OBJECT_CORRUPT", { ...good, lengths: [next.byteLength - 1] }],
    ["which decode to less than they say", "OBJECT_CORRUPT", { ...good, lengths: [next.byteLength + 1] }],
    ["with another digest", "OBJECT_CORRUPT", { ...good, digests: digestBytes(digestOf(noise(3, 9))) }],
    ["which do not decode", "OBJECT_CORRUPT", { ...good, stored: noise(4, 200) }],
    [
      "whose second chunk has another digest",
      "OBJECT_CORRUPT",
      {
        ...runFrame([next.subarray(0, 1000), next.subarray(1000)], base),
        digests: concatBytes([digestBytes(digestOf(next.subarray(0, 1000))), new Uint8Array(32)]),
      },
    ],
    ["of more than 1 MiB", "OBJECT_INVALID", { ...good, lengths: [MiB + 1] }],
    [
      "of more chunks than a frame holds",
      "OBJECT_INVALID",
      {
        ...good,
        lengths: Array.from({ length: 513 }, () => 1),
        digests: new Uint8Array(513 * 32),
      },
    ],
    ["on more bases than a frame names", "OBJECT_INVALID", { ...good, base: { ...itsBase, digests: many } }],
    ["on half a digest", "OBJECT_INVALID", { ...good, base: { ...itsBase, digests: new Uint8Array(48) } }],
    ["on a range that ends outside", "OBJECT_INVALID", { ...good, base: { ...itsBase, offset: 2 } }],
    [
      "on a range whose end is no number any more",
      "OBJECT_INVALID",
      { ...good, base: { ...itsBase, offset: Number.MAX_SAFE_INTEGER, bytes: MiB } },
    ],
    ["on a range of 2^60 bytes", "OBJECT_INVALID", { ...good, base: { ...itsBase, bytes: 2 ** 60 } }],
    ["on the chunk that they hold", "OBJECT_MISSING", deltaFrame(noise(5, 500), noise(5, 500))],
  ];

  it(
    "refuses them, stores nothing of them, and goes on with another session meanwhile",
    onHub(pool, async ({ bed, begin }) => {
      const other = await begin();
      await put(other, 0, plainFrame(base));
      await other.publish(publication([base]), {});
      const honest = await begin();
      const chunks: Uint8Array[] = [];
      for (const [index, [what, code, frame]] of wrong.entries()) {
        const session = await begin();
        const chunk = noise(100 + index, 2000);
        const [refused] = await Promise.allSettled([
          fails(put(session, 0, frame), code),
          put(honest, index, plainFrame(chunk)),
        ]);
        assert.equal(refused.status, "fulfilled", `${what}: ${JSON.stringify(refused)}`);
        await session.abort();
        chunks.push(chunk);
      }
      await put(honest, wrong.length, good);
      const { version } = await honest.publish(publication([...chunks, next]), {});
      await bed.read(version);
      assert.equal((await bed.frames()).length, 1 + chunks.length + 1);
    }),
  );

  it("refuses one on bases that come to gigabytes, and decodes none of them", async (t) => {
    await onHub(pool, async ({ begin }) => {
      const large = Array.from({ length: 8 }, (_, index) => zeros(index, 16 * MiB));
      const first = await begin();
      for (const [index, chunk] of large.entries()) await put(first, index, plainFrame(chunk));
      await put(first, large.length, plainFrame(base));
      await first.publish(publication([base]), {});
      const digests = concatBytes(large.map((chunk) => digestBytes(digestOf(chunk))));
      const mostBytes = watchTasks(t);
      for (const count of [1, 8]) {
        const session = await begin();
        const frame = { ...good, base: { ...itsBase, digests: digests.subarray(0, count * 32) } };
        await fails(put(session, 0, frame), "OBJECT_INVALID");
        await session.abort();
      }
      assert.ok(mostBytes() < 4 * MiB, `a task decoded ${mostBytes()} bytes`);
    })();
  });

  it("of few bytes on frames of many, decodes these a few at a time; so do readers of what they made", async (t) => {
    await onHub(pool, async ({ bed, begin }) => {
      const below = zeros(0, 1000);
      const small = Array.from({ length: 90 }, (_, index) => noise(10 + index, 8));
      const large = small.map((chunk, index) => runFrame([chunk, zeros(index, MiB - 8)], below));
      const first = await begin();
      await put(first, 0, plainFrame(below));
      await first.publish(publication([below]), {});
      const second = await begin();
      for (const [index, frame] of large.entries()) await put(second, index, frame);
      const { version } = await second.publish(publication(small), {});
      const mostBytes = watchTasks(t);
      const third = await begin();
      await put(third, 0, ...small.map((chunk, index) => deltaFrame(noise(500 + index, 4), chunk)));
      const all = concatBytes(small.map((chunk) => digestBytes(digestOf(chunk))));
      const onAll = { ...good, base: { digests: all, offset: 0, bytes: 90 * 8 } };
      await fails(put(third, 1, onAll), "OBJECT_INVALID");
      await third.abort();
      await bed.read(version);
      await verifyVersion(bed.engine, version);
      const target = path.join(bed.cacheDir, "target");
      await pull(bed.engine, { name: BED_TAG.name, version, target });
      assert.ok(fs.readFileSync(path.join(target, "file")).equals(concatBytes(small)));
      assert.ok(
        mostBytes() > 16 * MiB && mostBytes() < TASK_BYTES_MAX,
        `a task decoded ${mostBytes()} bytes`,
      );
    })();
  });
});

describe("deltas that lie on each other in a circle, once the plain frames below them are lost", () => {
  const other = concatBytes([noise(7, 500), base]);

  it(
    "count as missing, and are put again",
    onHub(pool, async ({ bed, begin }) => {
      const first = await begin();
      await put(first, 0, plainFrame(base), plainFrame(other));
      await first.publish(publication([base, other]), {});
      const plain = [...bed.files("blocks").keys()];
      const second = await begin();
      // Each on the other: both are there, and so each is right.
      await put(second, 0, deltaFrame(base, other), deltaFrame(other, base));
      await second.publish(publication([other, base]), {});
      const onItself = await begin();
      await fails(put(onItself, 0, deltaFrame(base, base)), "OBJECT_INVALID");
      await onItself.abort();
      for (const file of plain) fs.rmSync(file);
      const third = await begin();
      assert.deepEqual(await third.missing([digestOf(base), digestOf(other)], {}), [true, true]);
      assert.equal(await third.canBase([digestOf(base)], 100, {}), false);
      await fails(put(third, 0, deltaFrame(next, base)), "OBJECT_MISSING");
      await third.abort();
      const fourth = await begin();
      assert.deepEqual(await fourth.missing([digestOf(base), digestOf(other)], {}), [true, true]);
      await put(fourth, 0, plainFrame(base), plainFrame(other));
      const { version } = await fourth.publish(publication([base, other]), {});
      await bed.read(version);
    }),
  );
});
