/** Plans and blocks that no writer of ours makes: what they say of deltas is wrong, or asks for too much. */
import assert from "node:assert/strict";
import fs from "node:fs";
import { after, describe, it } from "node:test";
import { constants, zstdCompressSync } from "node:zlib";
import { must } from "../../base/assert.ts";
import { concatBytes } from "../../base/bytes.ts";
import type { ErrorCode } from "../../base/errors.ts";
import { MiB } from "../../base/limits.ts";
import { digestOf, digestOfParts } from "../../format/digest.ts";
import { CODECS } from "../../format/frame.ts";
import { decodePlan, encodePlan, type Plan, type PlanDelta, type PlanFrame } from "../../format/plan.ts";
import { parseDatasetName } from "../../format/reference.ts";
import { pull } from "../pull/pull.ts";
import { noise, testEngine } from "../testing/engine.ts";
import { temporaryFolder } from "../testing/folder.ts";
import { VersionBuilder, openMemoryStore } from "../testing/version-builder.ts";
import { verifyVersion } from "../verify.ts";

const store = await openMemoryStore();
const engine = testEngine(store);
after(() => engine.pool.close());

const BOMB = zstdCompressSync(new Uint8Array(64 * MiB), {
  params: { [constants.ZSTD_c_compressionLevel]: 1 },
});

/** A file of many chunks, and a successor that lies in deltas on them. */
const content = noise(1, 60_000);
const changed = concatBytes([content.subarray(0, 1000), noise(2, 50), content.subarray(1000)]);
const builder = new VersionBuilder(store);
const base = await builder.build({ file: { bytes: content } });
const next = await builder.build({ file: { bytes: changed } }, { base });
const honest = await store.datasets.getPlan(next.digest);
const honestPlan = decodePlan(must(honest, "the plan was written").value);

/** The plan with one of its frames of deltas otherwise. */
function withFrame(change: (frame: PlanFrame, delta: PlanDelta) => Partial<PlanFrame>): Plan {
  const number = honestPlan.frames.findIndex(({ delta }) => delta !== undefined);
  const frames = honestPlan.frames.map((frame, index) => {
    if (index !== number || frame.delta === undefined) return frame;
    return { ...frame, ...change(frame, frame.delta) };
  });
  return { ...honestPlan, frames };
}

function withDelta(change: (delta: PlanDelta) => Partial<PlanDelta>): Plan {
  return withFrame((_, delta) => ({ delta: { ...delta, ...change(delta) } }));
}

/** Frames of zeros of 1 MiB each, one on the other as `on` says, put before the plan's; its first delta lies on the last. */
function onLargeFrames(count: number, on: (number: number) => readonly number[]): Plan {
  const { block, offset, storedBytes } = must(honestPlan.frames[0], "a frame");
  const source = (frame: number) => ({ digest: digestOf(content), bytes: MiB, frame, offset: 0 });
  const large = Array.from({ length: count }, (_, number): PlanFrame => {
    const sources = number === 0 ? [{ ...source(0), bytes: 4 }] : on(number).map(source);
    const depth = Math.min(number, 3);
    const delta = { decodedBytes: MiB, depth, sources, baseOffset: 0, baseBytes: 4 };
    // Each in a place of its own.
    return {
      ...{ block, offset: offset + number, storedBytes },
      ...(number === 0 ? { codec: CODECS.raw, delta: undefined } : { codec: CODECS.delta, delta }),
    };
  });
  const moved = honestPlan.frames.map((frame) => ({
    ...frame,
    delta: frame.delta && {
      ...frame.delta,
      sources: frame.delta.sources.map((each) => ({ ...each, frame: each.frame + count })),
    },
  }));
  const number = moved.findIndex(({ delta }) => delta !== undefined);
  const first = must(moved[number], "a delta");
  const sources = Array.from({ length: count }, (_, each) => source(each));
  const delta = { decodedBytes: MiB, depth: 3, sources, baseOffset: 0, baseBytes: MiB };
  moved[number] = { ...first, delta: { ...delta, baseOffset: (count - 1) * MiB - 4, baseBytes: 8 } };
  const places = honestPlan.places.map((place) => ({ ...place, frame: place.frame + count }));
  return { ...honestPlan, frames: [...large, ...moved], places };
}

/** A block of these bytes in the store. */
async function putBlock(bytes: Uint8Array): Promise<PlanFrame["block"]> {
  const parts = [new Uint8Array(32), bytes];
  const block = digestOfParts(parts);
  await store.blocks.put(block, parts);
  return block;
}

async function assertRefused(plan: Plan, code: ErrorCode): Promise<void> {
  const present = await store.datasets.getPlan(next.digest);
  await store.datasets.putPlan(next.digest, encodePlan(plan), present?.revision);
  const folder = temporaryFolder();
  const target = `${folder.path}/target`;
  try {
    await assert.rejects(verifyVersion(engine, next.digest), { name: "AetherError", code });
    const options = { name: parseDatasetName("x"), version: next.digest, target };
    await assert.rejects(pull(engine, options), { name: "AetherError", code });
    assert.equal(fs.existsSync(`${target}/file`), false);
  } finally {
    folder.remove();
  }
}

const bombBlock = await putBlock(BOMB);
const LIES: readonly (readonly [string, ErrorCode, () => Plan])[] = [
  [
    "decodes to a byte more",
    "OBJECT_CORRUPT",
    () => withDelta((d) => ({ decodedBytes: d.decodedBytes + 1 })),
  ],
  [
    "decodes to a byte less",
    "OBJECT_INVALID",
    () => withDelta((d) => ({ decodedBytes: d.decodedBytes - 1 })),
  ],
  ["decodes to more than 1 MiB", "OBJECT_INVALID", () => withDelta(() => ({ decodedBytes: MiB + 1 }))],
  [
    "begins elsewhere in its bases",
    "OBJECT_CORRUPT",
    () => withDelta((d) => ({ baseOffset: d.baseOffset + 1 })),
  ],
  ["has a shorter dictionary", "OBJECT_CORRUPT", () => withDelta((d) => ({ baseBytes: d.baseBytes - 50 }))],
  [
    "has a dictionary that ends outside",
    "OBJECT_INVALID",
    () => withDelta((d) => ({ baseOffset: d.baseOffset + 9 })),
  ],
  [
    "has a dictionary at 2^53 − 1",
    "OBJECT_INVALID",
    () => withDelta(() => ({ baseOffset: Number.MAX_SAFE_INTEGER })),
  ],
  ["has no bases", "OBJECT_INVALID", () => withDelta(() => ({ sources: [] }))],
  [
    "lies on itself",
    "OBJECT_INVALID",
    () => {
      const number = honestPlan.frames.findIndex(({ delta }) => delta !== undefined);
      return withDelta((d) => ({ sources: d.sources.map((source) => ({ ...source, frame: number })) }));
    },
  ],
  [
    "lies on a later frame",
    "OBJECT_INVALID",
    () =>
      withDelta((d) => ({ sources: d.sources.map((s) => ({ ...s, frame: honestPlan.frames.length - 1 })) })),
  ],
  [
    "lies on another frame than it was made with",
    "OBJECT_CORRUPT",
    () => withDelta((d) => ({ sources: [...d.sources].reverse() })),
  ],
  [
    "has a base in the middle of a plain frame",
    "OBJECT_INVALID",
    () => withDelta((d) => ({ sources: d.sources.map((source) => ({ ...source, offset: 1 })) })),
  ],
  [
    "has a base of 16 MiB",
    "OBJECT_INVALID",
    () => withDelta((d) => ({ sources: d.sources.map((source) => ({ ...source, bytes: 16 * MiB })) })),
  ],
  [
    "has more bases than it may",
    "OBJECT_INVALID",
    () => withDelta((d) => ({ sources: Array.from({ length: 515 }, () => must(d.sources[0], "a base")) })),
  ],
  [
    "lies in a block that is not there",
    "OBJECT_MISSING",
    () => withFrame(() => ({ block: digestOf(content) })),
  ],
  ["lies past its block's end", "OBJECT_CORRUPT", () => withFrame(() => ({ offset: 900 * MiB }))],
  ["lies past the end of any block", "OBJECT_INVALID", () => withFrame(() => ({ offset: 2 ** 40 }))],
  ["has 2^40 stored bytes", "OBJECT_INVALID", () => withFrame(() => ({ storedBytes: 2 ** 40 }))],
  [
    "is a bomb",
    "OBJECT_CORRUPT",
    () => withFrame(() => ({ block: bombBlock, offset: 32, storedBytes: BOMB.byteLength })),
  ],
  ["lies on four frames of 1 MiB", "OBJECT_INVALID", () => onLargeFrames(5, () => [0])],
  [
    "lies on frames that lie on each other four deep",
    "OBJECT_INVALID",
    () => onLargeFrames(5, (n) => [n - 1]),
  ],
];

describe("a version whose plan says of a delta that it", () => {
  for (const [lie, code, plan] of LIES) {
    it(`${lie}, is refused with ${code}, and nothing of its file is written`, () =>
      assertRefused(plan(), code));
  }

  it("is what it is, is read", async () => {
    const present = await store.datasets.getPlan(next.digest);
    await store.datasets.putPlan(next.digest, encodePlan(honestPlan), present?.revision);
    assert.equal((await verifyVersion(engine, next.digest)).bytes, changed.byteLength);
  });
});
