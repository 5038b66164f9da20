/** Vectors of plans. docs/format.md §7 */
import { zstdCompressSync } from "node:zlib";
import { FEATURES, encodeHeader } from "../../src/format/header.ts";
import type { ChunkItem } from "../../src/format/page.ts";
import { ELSEWHERE, encodePlan, type Plan } from "../../src/format/plan.ts";
import { hex, noise, plain, rawMessage, refused, seededBytes, seededDigest } from "./case.ts";
import type { Pinned, RawFields, VectorCase } from "./case.ts";

const digest = (index: number) => seededDigest("aetherfs plan", index);
const raw = (...indexes: readonly number[]): Buffer =>
  Buffer.concat(indexes.map((index) => seededBytes("aetherfs plan", index)));

const DELTAS: Plan = {
  covers: "version",
  frames: [
    { block: digest(1), offset: 32, storedBytes: 100, codec: 0, delta: undefined },
    { block: digest(1), offset: 132, storedBytes: 300, codec: 1, delta: undefined },
    {
      block: digest(2),
      offset: 5000,
      storedBytes: 70,
      codec: 2,
      delta: {
        decodedBytes: 900,
        depth: 1,
        sources: [
          { digest: digest(3), bytes: 100, frame: 0, offset: 0 },
          { digest: digest(4), bytes: 800, frame: 1, offset: 0 },
        ],
        baseOffset: 50,
        baseBytes: 850,
      },
    },
    { block: digest(1), offset: 40, storedBytes: 7, codec: 1, delta: undefined },
  ],
  places: [
    { frame: 0, offset: 0 },
    { frame: 1, offset: 0 },
    { frame: 2, offset: 0 },
    { frame: 2, offset: 400 },
    { frame: 0, offset: 0 },
    { frame: 3, offset: 0 },
  ],
};

/** DELTAS as the messages of the format have it: gaps and steps as they are before zigzag are 0 0 4968 -392 and 0 0 0 -1 -3 2. */
const DELTAS_BODY = rawMessage({
  1: 2,
  2: raw(1, 2),
  3: [0, 0, 1, 0],
  4: [0, 0, 9936, 783],
  5: [100, 300, 70, 7],
  6: [0, 1, 2, 1],
  7: rawMessage({ 1: 900, 2: 1, 3: raw(3, 4), 4: [100, 800], 5: [0, 1], 6: [0, 0], 7: 50, 8: 850 }),
  8: [0, 0, 0, 1, 5, 4],
  9: [0, 0, 0, 400, 0, 0],
});

/** The chunks of the version that ON_BASE is in terms of. */
const BASE_CHUNKS: readonly ChunkItem[] = [100, 200, 300, 400, 500].map((length, index) => ({
  digest: digest(10 + index),
  length,
}));

const ON_BASE: Plan = {
  covers: "version",
  frames: [
    { block: digest(1), offset: 32, storedBytes: 100, codec: 1, delta: undefined },
    {
      block: digest(1),
      offset: 132,
      storedBytes: 70,
      codec: 2,
      delta: {
        decodedBytes: 900,
        depth: 2,
        sources: [
          { digest: digest(11), bytes: 200, frame: ELSEWHERE, offset: 1 },
          { digest: digest(12), bytes: 300, frame: ELSEWHERE, offset: 2 },
        ],
        baseOffset: 50,
        baseBytes: 450,
      },
    },
  ],
  places: [
    { frame: ELSEWHERE, offset: 0 },
    { frame: 1, offset: 0 },
    { frame: 0, offset: 0 },
    { frame: ELSEWHERE, offset: 3 },
    { frame: ELSEWHERE, offset: 4 },
    { frame: ELSEWHERE, offset: 0 },
    { frame: 1, offset: 400 },
  ],
  base: { kind: "version", key: digest(9), height: 2 },
};

/** Runs: the first chunk; behind two others the last two (2 further on); right behind, the first (5 back). */
const ON_BASE_FIELDS: RawFields = {
  1: 2,
  2: raw(1),
  3: [0, 0],
  4: [0, 0],
  5: [100, 70],
  6: [1, 2],
  7: rawMessage({ 1: 900, 2: 2, 7: 50, 8: 450, 9: 1, 10: 2 }),
  8: [2, 3, 0],
  9: [0, 0, 400],
  10: [0, 0, 1, 2, 4, 2, 0, 9, 1],
};

/** The same in terms of a page's plan: the sources say what they are. */
const ON_PAGE: Plan = { ...ON_BASE, covers: "items", base: { kind: "page", key: digest(9), height: 2 } };
const ON_PAGE_DELTA: RawFields = { 1: 900, 2: 2, 3: raw(11, 12), 4: [200, 300], 7: 50, 8: 450, 9: 1, 10: 2 };
const ON_PAGE_FIELDS: RawFields = { ...ON_BASE_FIELDS, 1: 1, 7: rawMessage(ON_PAGE_DELTA) };

function objectOnBase(
  body: Uint8Array,
  changes: RawFields = {},
  features: number = FEATURES.planBase,
): Buffer {
  const fields = { 1: body.byteLength, 2: zstdCompressSync(body), 3: raw(9), 4: 2, ...changes };
  return Buffer.concat([encodeHeader("plan", features), rawMessage(fields)]);
}

function object(body: Uint8Array, bytes = body.byteLength): Buffer {
  return Buffer.concat([encodeHeader("plan"), rawMessage({ 1: bytes, 2: zstdCompressSync(body) })]);
}

type Maker = (name: string, description: string, changes: RawFields, error?: string) => VectorCase;

/** Plans: valid ones with the message inside, and one fault each. The stored bytes stay pinned. */
export function planCases(pinned: Pinned): VectorCase[] {
  const valid = (
    name: string,
    description: string,
    plan: Plan,
    body: Uint8Array,
    baseChunks?: readonly ChunkItem[],
  ): VectorCase => {
    const path = `plan/${name}.json`;
    const bytes = pinned(path) ?? encodePlan(plan);
    const more = baseChunks === undefined ? {} : { baseChunks: plain(baseChunks) };
    return {
      path,
      content: { description, ...more, bytes: hex(bytes), body: hex(body), expect: { value: plain(plan) } },
    };
  };
  const refusedObject = (
    name: string,
    description: string,
    make: () => Uint8Array,
    error = "OBJECT_INVALID",
  ): VectorCase => {
    const path = `plan/${name}.json`;
    return refused(path, description, pinned(path) ?? make(), error);
  };
  const of =
    (sound: RawFields): Maker =>
    (name, description, changes, error) => {
      const fields = { ...sound, ...changes };
      return refusedObject(name, description, () => object(rawMessage(fields)), error);
    };
  const one = of({ 1: 1, 2: raw(1), 3: [0], 4: [0], 5: [9], 6: [1], 8: [0], 9: [0] });
  const body = rawMessage({ 1: 1 });
  return [
    valid(
      "empty",
      "a page whose items lie nowhere: no item",
      { covers: "items", frames: [], places: [] },
      body,
    ),
    valid("deltas", "two blocks, a delta on two frames, and places out of order", DELTAS, DELTAS_BODY),
    one("covers-missing", "it does not say what it covers", { 1: undefined }),
    one("covers-unknown", "it covers something unknown", { 1: 3 }),
    one("block-cut-off", "a block's digest of 31 bytes", { 2: raw(1).subarray(1) }),
    one("block-missing", "a frame in a block that is not named", { 3: [1] }),
    one("column-short", "a column that is too short", { 5: undefined }),
    one("gap-before-start", "a frame inside of the header", { 4: [1] }),
    one("gap-far", "a frame beyond 1 GiB", { 4: [2 ** 31] }),
    one("frame-empty", "a frame of no bytes", { 5: [0] }),
    one("frame-huge", "a frame of more than 32 MiB", { 5: [2 ** 25 + 1] }),
    one("codec-unknown", "codec 3", { 6: [3] }),
    one("delta-missing", "a delta frame that nothing describes", { 6: [2] }),
    one("delta-extra", "a description without a delta frame", { 7: rawMessage({ 1: 1 }) }),
    one("place-beyond", "an item in a frame that is not there", { 8: [2] }),
    one("place-before", "an item in frame −1", { 8: [1] }),
    one("place-column-short", "an item without an offset", { 9: undefined }),
    one("place-offset-huge", "an offset of more than 16 MiB", { 9: [2 ** 24 + 1] }),
    one("field-unknown", "field 10", { 10: 1 }),
    ...deltaCases(of),
    valid("base", "in terms of another version's", ON_BASE, rawMessage(ON_BASE_FIELDS), BASE_CHUNKS),
    ...baseCases(pinned),
    valid("page", "in terms of another page's", ON_PAGE, rawMessage(ON_PAGE_FIELDS)),
    ...pageCases(pinned),
    refusedObject("plan-bytes-huge", "a plan of more than 16 MiB", () => object(body, 2 ** 24 + 1)),
    refusedObject(
      "plan-bytes-wrong",
      "a plan that decodes to less than it says",
      () => object(body, 3),
      "OBJECT_CORRUPT",
    ),
    refusedObject(
      "payload-damaged",
      "a payload that is no zstd frame",
      () => Buffer.concat([encodeHeader("plan"), rawMessage({ 1: 2, 2: noise("x", 64) })]),
      "OBJECT_CORRUPT",
    ),
    refusedObject(
      "payload-missing",
      "no payload",
      () => Buffer.concat([encodeHeader("plan"), rawMessage({ 1: 2 })]),
      "OBJECT_CORRUPT",
    ),
  ];
}

/** Plans in terms of another's, with one fault each. */
function baseCases(pinned: Pinned): VectorCase[] {
  const refusedOf = (name: string, description: string, make: () => Uint8Array): VectorCase => {
    const path = `plan/base-${name}.json`;
    const baseChunks = plain(BASE_CHUNKS);
    return refused(path, description, pinned(path) ?? make(), "OBJECT_INVALID", { baseChunks });
  };
  const body = (changes: RawFields): Buffer => rawMessage({ ...ON_BASE_FIELDS, ...changes });
  const of = (name: string, description: string, changes: RawFields): VectorCase =>
    refusedOf(name, description, () => objectOnBase(body(changes)));
  const delta = (changes: RawFields): RawFields => ({
    7: rawMessage({ 1: 900, 2: 2, 7: 50, 8: 450, 9: 1, 10: 2, ...changes }),
  });
  return [
    refusedOf("missing", "the feature without a base", () => objectOnBase(body({}), { 3: undefined })),
    refusedOf("short", "a base's digest of 31 bytes", () =>
      objectOnBase(body({}), { 3: raw(9).subarray(1) }),
    ),
    refusedOf("height-none", "a base without a height", () => objectOnBase(body({}), { 4: undefined })),
    refusedOf("height-over", "a height of 7", () => objectOnBase(body({}), { 4: 7 })),
    refusedOf("feature-missing", "a base without the feature", () => objectOnBase(body({}), {}, 0)),
    of("run-cut-off", "a run of two numbers", { 10: [0, 0] }),
    of("run-empty", "a run of nothing", { 10: [0, 0, 0] }),
    of("run-before", "a run before the base's first chunk", { 10: [0, 1, 1] }),
    of("run-past-end", "a run past the base's last chunk", { 10: [0, 0, 6] }),
    of("run-others", "a run behind more items than there are", { 10: [4, 0, 1] }),
    of("sources-past-end", "sources past the base's last chunk", delta({ 9: 4 })),
    of(
      "sources-of-two-kinds",
      "sources in the base and in frames",
      delta({ 3: raw(11), 4: [200], 5: [0], 6: [0] }),
    ),
    of("sources-first-alone", "a first source without a number of them", delta({ 10: undefined })),
    of("range-past-end", "a range past the end of the sources", delta({ 8: 451 })),
    of("depth-none", "a delta of depth 0", delta({ 2: undefined })),
    of("page", "a page's plan in terms of a version's", { 1: 1 }),
    of("sources-named", "sources in the base that say what they are", { 7: rawMessage(ON_PAGE_DELTA) }),
  ];
}

/** Plans in terms of another page's, with one fault each. */
function pageCases(pinned: Pinned): VectorCase[] {
  const of = (name: string, description: string, changes: RawFields, features?: number): VectorCase => {
    const path = `plan/page-${name}.json`;
    const body = rawMessage({ ...ON_PAGE_FIELDS, ...changes });
    const make = (): Buffer => objectOnBase(body, {}, features ?? FEATURES.planOnPage);
    return refused(path, description, pinned(path) ?? make(), "OBJECT_INVALID");
  };
  const delta = (changes: RawFields): RawFields => ({ 7: rawMessage({ ...ON_PAGE_DELTA, ...changes }) });
  return [
    of("version", "a version's plan in terms of a page's", { 1: 2 }),
    of("features-both", "both features", {}, FEATURES.planBase | FEATURES.planOnPage),
    of("run-past-end", "a run past the last item that a page may have", { 10: [0, 0, 8193] }),
    of("sources-unnamed", "sources that do not say what they are", delta({ 3: undefined, 4: undefined })),
    of("sources-short", "a source without a length", delta({ 4: [200] })),
    of("sources-empty", "a source of no bytes", delta({ 4: [200, 0] })),
    of("sources-more", "more sources than it says", delta({ 10: 1 })),
    of("sources-of-two-kinds", "sources in the base and in frames", delta({ 5: [0, 0], 6: [0, 0] })),
    of("range-past-end", "a range past the end of the sources", delta({ 8: 451 })),
  ];
}

function deltaCases(of: (sound: RawFields) => Maker): VectorCase[] {
  const sound: RawFields = { 1: 5, 2: 1, 3: raw(3), 4: [9], 5: [0], 6: [0], 8: 9 };
  const frames: RawFields = {
    1: 1,
    2: raw(1),
    3: [0, 0],
    4: [0, 0],
    5: [9, 9],
    6: [1, 2],
    8: [0, 0],
    9: [0, 0],
  };
  const delta = (name: string, description: string, changes: RawFields): VectorCase => {
    const fields = { ...sound, ...changes };
    return of(frames)(`delta-${name}`, description, { 7: rawMessage(fields) });
  };
  return [
    delta("on-itself", "a delta on itself", { 5: [1] }),
    delta("on-later", "a delta on a frame that is not there", { 5: [2] }),
    delta("depth-none", "a delta of depth 0", { 2: undefined }),
    delta("depth-over", "a delta of depth 4", { 2: 4 }),
    delta("decoded-none", "a delta that decodes to nothing", { 1: undefined }),
    delta("decoded-huge", "a delta of more than 1 MiB", { 1: 2 ** 20 + 1 }),
    delta("range-past-end", "a range past the end of the sources", { 7: 1 }),
    delta("range-empty", "an empty range", { 8: undefined }),
    delta("source-empty", "a source of no bytes", { 3: raw(3, 4), 4: [9, 0], 5: [0, 0], 6: [0, 0] }),
    delta("source-column-short", "a source without a length", { 4: undefined }),
  ];
}
