import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { codeOf } from "../base/errors.ts";
import { digestOf, type Digest } from "./digest.ts";
import type { ChunkItem } from "./page.ts";
import { completePlan, shortenPlan } from "./plan-base.ts";
import {
  ELSEWHERE,
  decodePlan,
  encodePlan,
  planBaseOf,
  type Plan,
  type PlanBase,
  type PlanFrame,
} from "./plan.ts";

const named = (name: string | number): Digest => digestOf(Buffer.from(String(name)));
const BASE: PlanBase = { kind: "version", key: named("the version before"), height: 1 };

/** A version, and where its chunks lie. */
interface PlacedVersion {
  readonly chunks: readonly ChunkItem[];
  readonly plan: Plan;
}

/** Chunks of 100 bytes by number, and the frames that hold them: one each, on the chunks that `bases` names. */
class Store {
  readonly #frames = new Map<number, { readonly bases: readonly number[]; readonly depth: number }>();

  put(chunk: number, bases: readonly number[] = []): void {
    const depth = Math.max(-1, ...bases.map((base) => this.#frames.get(base)?.depth ?? 0)) + 1;
    this.#frames.set(chunk, { bases, depth });
  }

  depthOf(chunk: number): number {
    return this.#frames.get(chunk)?.depth ?? 0;
  }

  /** The whole plan of these chunks. */
  plan(chunks: readonly number[]): Plan {
    const frames: PlanFrame[] = [];
    const taken = new Map<number, number>();
    const take = (chunk: number): number => {
      const known = taken.get(chunk);
      if (known !== undefined) return known;
      const { bases, depth } = this.#frames.get(chunk) ?? { bases: [], depth: 0 };
      const sources = bases.map((base) => ({
        digest: named(base),
        bytes: 100,
        frame: take(base),
        offset: 0,
      }));
      const baseBytes = 100 * bases.length;
      const delta = depth === 0 ? undefined : { decodedBytes: 100, depth, sources, baseOffset: 0, baseBytes };
      const codec = delta === undefined ? 1 : 2;
      const frame = {
        block: named(`block ${chunk % 3}`),
        offset: 32 + 100 * chunk,
        storedBytes: 50,
        codec,
        delta,
      } as const;
      taken.set(chunk, frames.push(frame) - 1);
      return frames.length - 1;
    };
    return { covers: "version", frames, places: chunks.map((chunk) => ({ frame: take(chunk), offset: 0 })) };
  }

  placed(chunks: readonly number[]): PlacedVersion {
    return { chunks: items(chunks), plan: this.plan(chunks) };
  }
}

function items(chunks: readonly number[]): ChunkItem[] {
  return chunks.map((chunk) => ({ digest: named(chunk), length: 100 }));
}

/** What a plan says of each place: the frame, and those of its bases, whatever their numbers. */
function meaning(plan: Plan): unknown {
  const tell = (number: number): unknown => {
    const frame = plan.frames[number];
    const sources = frame?.delta?.sources.map(({ digest, frame: base }) => [digest, tell(base)]);
    return [frame?.block, frame?.offset, frame?.storedBytes, sources];
  };
  return plan.places.map(({ frame, offset }) => [tell(frame), offset]);
}

describe("a plan in terms of another version's", () => {
  const store = new Store();
  for (let chunk = 0; chunk < 100; chunk++) store.put(chunk);
  store.put(100, [50, 51]);
  const before = Array.from({ length: 100 }, (_, index) => index);
  const after = [...before.slice(0, 50), 100, ...before.slice(52)];
  const base = store.placed(before);
  const whole = store.plan(after);

  it("names only what is new, and is completed to the same", () => {
    const short = shortenPlan(whole, BASE, base.plan);
    assert.equal(short.frames.length, 1);
    assert.deepEqual(
      short.frames[0]?.delta?.sources.map(({ frame, offset }) => [frame, offset]),
      [
        [ELSEWHERE, 50],
        [ELSEWHERE, 51],
      ],
    );
    const bytes = encodePlan(short);
    assert.ok(bytes.byteLength < 200, `${bytes.byteLength} bytes`);
    assert.deepEqual(planBaseOf(bytes), BASE);
    const read = decodePlan(bytes, base.chunks);
    assert.deepEqual(read, short);
    assert.deepEqual(meaning(completePlan(read, base.plan)), meaning(whole));
  });

  it("says itself where a chunk lies that the base's plan has elsewhere", () => {
    const moved = new Store();
    for (let chunk = 0; chunk < 100; chunk++) moved.put(chunk, chunk === 50 ? [3] : []);
    const other = moved.placed(before);
    const frames = other.plan.frames.map((frame) =>
      frame.delta === undefined ? frame : { ...frame, offset: frame.offset + 7 },
    );
    const elsewhere = { ...other, plan: { ...other.plan, frames } };
    const short = shortenPlan(whole, BASE, elsewhere.plan);
    assert.equal(short.frames.length, 3);
    assert.deepEqual(meaning(completePlan(short, elsewhere.plan)), meaning(whole));
  });

  it("of any versions, is completed to the same", () => {
    const chunk = fc.nat({ max: 30 });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(chunk, fc.array(chunk, { maxLength: 3 })), { maxLength: 20 }),
        fc.array(chunk, { minLength: 1, maxLength: 40 }),
        fc.array(chunk, { minLength: 1, maxLength: 40 }),
        (deltas, old, fresh) => {
          const any = new Store();
          for (let number = 0; number <= 30; number++) any.put(number);
          const ascending = [...new Map(deltas)].sort(([one], [other]) => one - other);
          for (const [number, bases] of ascending) {
            const isAbove = bases.every((one) => one < number && any.depthOf(one) < 3);
            if (bases.length > 0 && isAbove) any.put(number, bases);
          }
          const placed = any.placed(old);
          const plan = any.plan(fresh);
          const short = shortenPlan(plan, BASE, placed.plan);
          const read = decodePlan(encodePlan(short), placed.chunks);
          assert.deepEqual(meaning(completePlan(read, placed.plan)), meaning(plan));
        },
      ),
    );
  });

  it("whose base has fewer chunks, or deeper frames, than it says, is refused", () => {
    const short = shortenPlan(whole, BASE, base.plan);
    const fewer = store.placed(before.slice(0, 60));
    assert.throws(() => decodePlan(encodePlan(short), fewer.chunks), { code: "OBJECT_INVALID" });
    const refusal = (placed: PlacedVersion): unknown => {
      try {
        return completePlan(short, placed.plan);
      } catch (error) {
        return codeOf(error);
      }
    };
    assert.equal(refusal(fewer), "OBJECT_INVALID");
    const deep = new Store();
    for (let number = 0; number < 100; number++) deep.put(number, number === 50 ? [49] : []);
    assert.equal(refusal(deep.placed(before)), "OBJECT_INVALID");
  });
});

describe("a plan in terms of another page's", () => {
  const ON_PAGE: PlanBase = { kind: "page", key: named("the page before"), height: 1 };
  const store = new Store();
  for (let chunk = 0; chunk < 100; chunk++) store.put(chunk);
  store.put(100, [50, 51]);
  const before = Array.from({ length: 100 }, (_, index) => index);
  const pageOf = (chunks: readonly number[]): Plan => ({ ...store.plan(chunks), covers: "items" });
  const whole = pageOf([...before.slice(0, 50), 100, ...before.slice(52)]);
  const base = pageOf(before);

  it("names what is new and what it lies on, is read without the page, and is completed to the same", () => {
    const short = shortenPlan(whole, ON_PAGE, base);
    const bytes = encodePlan(short);
    assert.ok(bytes.byteLength < 270, `${bytes.byteLength} bytes`);
    assert.deepEqual(planBaseOf(bytes), ON_PAGE);
    const read = decodePlan(bytes);
    assert.deepEqual(read, short);
    assert.deepEqual(
      read.frames[0]?.delta?.sources.map(({ digest, bytes: length }) => [digest, length]),
      [50, 51].map((chunk) => [named(chunk), 100]),
    );
    assert.deepEqual(meaning(completePlan(read, base)), meaning(whole));
  });

  it("whose base has fewer items than it says, is refused", () => {
    const short = shortenPlan(whole, ON_PAGE, base);
    assert.throws(() => completePlan(short, pageOf(before.slice(0, 60))), { code: "OBJECT_INVALID" });
  });
});
