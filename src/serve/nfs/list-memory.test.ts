import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../base/clock.ts";
import { MiB } from "../../base/limits.ts";
import { ListMemory, type NamesToList } from "./list-memory.ts";
import type { NameList } from "./name-list.ts";

const MEMORY_BYTES = 64 * MiB;
/** Some 105 bytes each: two lists of them have room in the lists' share, and no third. */
const HALF = 9900;

/** Names that come when they are let; `begun` counts who asked for them. */
class Source implements NamesToList {
  readonly #count: number;
  readonly #let = Promise.withResolvers<undefined>();
  begun = 0;

  constructor(count: number, isLet = true) {
    this.#count = count;
    if (isLet) this.let();
  }

  readonly kindOf = (): "tag" => "tag";
  readonly names = (): AsyncIterable<string> => this.#names();

  let(): void {
    this.#let.resolve(undefined);
  }

  async *#names(): AsyncGenerator<string> {
    this.begun++;
    for (let index = 0; index < this.#count; index++) {
      if (index === this.#count - 1) await this.#let.promise;
      yield `t${index}`;
    }
  }
}

function open(): { memory: ListMemory; pass: (ms: number) => void } {
  let nowMs = 0;
  const memory = new ListMemory({ ...systemClock, elapsedMs: () => nowMs }, MEMORY_BYTES);
  return { memory, pass: (ms) => (nowMs += ms) };
}

test("a list that many begin at once, or within the age, is made once", async () => {
  const { memory, pass } = open();
  const source = new Source(100, false);
  const lists = Array.from({ length: 1000 }, () => memory.get("/", 1000, source));
  pass(5000);
  lists.push(memory.get("/", 1000, source));
  source.let();
  const [first, ...others] = await Promise.all(lists);
  for (const other of others) assert.equal(other, first);
  assert.equal(source.begun, 1);
  assert.equal([...(first?.after(2n) ?? [])].length, 100);
  assert.notEqual(await memory.get("/", 1000, source), first, "it is older now");
  assert.equal(source.begun, 2);
});

test("lists beyond the share of the memory, forget the oldest", async () => {
  const { memory } = open();
  const sources = [new Source(HALF), new Source(HALF), new Source(HALF)];
  const get = (index: number): Promise<NameList> =>
    memory.get(`${index}`, 1000, sources[index] ?? new Source(0));
  for (const index of [0, 1, 2, 2, 0]) await get(index);
  assert.deepEqual(
    sources.map(({ begun }) => begun),
    [2, 1, 1],
  );
});

test("a list that is longer than the share, fails with LIMIT_EXCEEDED, and takes nothing then", async () => {
  const { memory } = open();
  const long = new Source(3 * HALF);
  await assert.rejects(memory.get("long", 1000, long), { code: "LIMIT_EXCEEDED" });
  await assert.rejects(memory.get("long", 1000, long), { code: "LIMIT_EXCEEDED" });
  const short = new Source(HALF);
  await memory.get("short", 1000, short);
  await memory.get("short", 1000, short);
  assert.equal(short.begun, 1);
});

test("lists that are being made and together take too much, fail with HUB_BUSY but for those that fit", async () => {
  const { memory } = open();
  const sources = [new Source(HALF, false), new Source(HALF, false), new Source(HALF, false)];
  const lists = Promise.allSettled(sources.map((source, index) => memory.get(`${index}`, 1000, source)));
  await new Promise(setImmediate);
  for (const source of sources) source.let();
  const failed = (await lists).filter(({ status }) => status === "rejected");
  assert.deepEqual(
    failed.map((one) => (one.status === "rejected" ? (one.reason as { code: string }).code : "")),
    ["HUB_BUSY"],
  );
});
