import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AetherError, type ErrorCode } from "../base/errors.ts";
import { systemClock } from "../base/clock.ts";
import { systemRandom } from "../base/random.ts";
import { digestBytes, digestOf, formatDigest } from "../format/digest.ts";
import { encodeManifest, encodeRoot } from "../format/manifest.ts";
import { parseDatasetName, parseReference, parseTag } from "../format/reference.ts";
import type { DatasetStore } from "../store/dataset-store.ts";
import { openStore } from "../store/drivers/all.ts";
import { ensureDataset, history, listDatasets, listTags } from "./datasets.ts";
import type { Engine } from "./engine.ts";
import { resolve } from "./resolve.ts";
import { removeTag, rollback, tagOf, tagVersion } from "./tag-changes.ts";
import { guessHead, NO_HEAD, type SeenTag } from "./tag-head.ts";
import { checkAnnotations, commitTag, type TagChange, type TagCommit } from "./tags.ts";
import { WorkerPool } from "./workers/pool.ts";

const NAME = parseDatasetName("@acme/prices");
const TAG = parseTag("stable");
const POINTER = { name: NAME, tag: TAG };
const SAID = { publisher: "ann", message: "", labels: {} };

async function openEngine(): Promise<Engine> {
  const store = await openStore("memory:", { create: true, clock: systemClock, random: systemRandom });
  const pool = new WorkerPool(1);
  return { store, clock: systemClock, random: systemRandom, pool, memoryBytes: 2 ** 20, cacheDir: undefined };
}

/** The root of a version without entries: of another one for each label. */
function rootOf(label: string): Uint8Array {
  const averageBytes = 4096 + (digestBytes(digestOf(Buffer.from(label)))[0] ?? 0) + 256 * label.length;
  const nothing = { files: 0, directories: 0, symlinks: 0, bytes: 0 };
  const trees = { entries: undefined, times: undefined, chunks: undefined };
  return encodeRoot({ chunking: { kind: "fixed", averageBytes }, ...nothing, ...trees });
}

function versionOf(label: string): ReturnType<typeof digestOf> {
  return digestOf(rootOf(label));
}

/** Commits a version that the store has a manifest object for. */
async function commit(engine: Engine, label: string, change: Partial<TagChange> = {}): Promise<TagCommit> {
  const digest = versionOf(label);
  const manifest = encodeManifest({ root: rootOf(label), pages: [] });
  await engine.store.datasets.putManifest(digest, manifest);
  const says = { ...SAID, files: 1, bytes: label.length, writeId: engine.random.id() };
  return await commitTag(engine, NAME, TAG, { state: "announced", digest, ...says, ...change });
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** Checks that the call fails with the code and that the message matches. */
async function fails(call: Promise<unknown>, code: ErrorCode, message: RegExp): Promise<void> {
  await assert.rejects(call, (error: unknown) => {
    assert.ok(error instanceof AetherError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  });
}

/** The store, with other methods in place of some. */
function replacing(others: Partial<DatasetStore>, datasets: DatasetStore): DatasetStore {
  return new Proxy(datasets, {
    get: (target, key) => {
      if (Object.hasOwn(others, key)) return Reflect.get(others, key) as unknown;
      const member: unknown = Reflect.get(target, key);
      return typeof member === "function" ? (member.bind(target) as unknown) : member;
    },
  });
}

async function immutable(engine: Engine, ...immutableTags: string[]): Promise<void> {
  const { datasets } = engine.store;
  await ensureDataset(engine, NAME);
  const found = (await datasets.getDataset(NAME)) ?? assert.fail("the dataset is there");
  await datasets.putDataset({ ...found.value, immutableTags }, found.revision);
}

describe("commitTag", () => {
  it("on a dataset that is not there, makes it, deduplicated within its scope", async () => {
    const engine = await openEngine();
    const { record, moved } = await commit(engine, "one");
    assert.deepEqual([record.number, record.previous, moved], [1, null, true]);
    const dataset = await engine.store.datasets.getDataset(NAME);
    assert.equal(dataset?.value.domain, "@acme");
    assert.match(dataset.value.incarnation, /^[0-9a-f]{32}$/);
  });

  it("of the version the tag points at already, for longer or for good, is a change", async () => {
    const engine = await openEngine();
    const expires = (date: string): Partial<TagChange> => ({ labels: { expires: date } });
    await commit(engine, "one", expires("2026-12-31"));
    assert.equal((await commit(engine, "one", expires("2026-12-31"))).moved, false);
    const longer = await commit(engine, "one", expires("2027-12-31"));
    assert.deepEqual([longer.moved, longer.record.number], [true, 2]);
    const forGood = await commit(engine, "one");
    assert.deepEqual([forGood.moved, forGood.record.number, forGood.record.labels], [true, 3, {}]);
  });

  it("where the newest entry is not the expected one, although of the same version, is TAG_CONFLICT", async () => {
    const engine = await openEngine();
    await commit(engine, "one");
    await commit(engine, "two");
    await commit(engine, "one");
    const change = { state: "deleted", expectedNumber: 1 } as const;
    await fails(commit(engine, "one", change), "TAG_CONFLICT", /was changed meanwhile/);
    assert.equal((await commit(engine, "one", { ...change, expectedNumber: 3 })).moved, true);
  });

  it("of a tag that was seen a while ago, is as one that looks, whatever happened since", async () => {
    const engine = await openEngine();
    const { datasets } = engine.store;
    const absent: SeenTag = { incarnation: undefined, head: NO_HEAD };
    assert.equal((await commit(engine, "one", { seen: absent })).record.number, 1);
    assert.equal((await commit(engine, "two", { seen: absent })).record.number, 2);
    const { incarnation } = (await datasets.getDataset(NAME))?.value ?? assert.fail("it is there");
    const seen: SeenTag = { incarnation, head: await guessHead(datasets, NAME, TAG, {}) };
    assert.equal((await commit(engine, "three", { seen })).record.number, 3);
    assert.equal((await commit(engine, "four", { seen })).record.number, 4, "the tag was moved meanwhile");
    assert.equal((await commit(engine, "two", { seen })).record.number, 5, "it was as wanted, and is not");
    assert.equal((await commit(engine, "two", { seen })).moved, false);
    const expected = versionOf("three");
    await fails(commit(engine, "one", { seen, expected }), "TAG_CONFLICT", /points at/);
    assert.equal((await commit(engine, "one", { seen, expected: versionOf("two") })).record.number, 6);
    const other = { ...seen, incarnation: engine.random.id() };
    assert.equal((await commit(engine, "two", { seen: other })).record.number, 7, "of another incarnation");
    const events = await Promise.all(
      Array.from({ length: 8 }, (_, index) => datasets.getEvent(NAME, index + 1)),
    );
    assert.deepEqual(
      events.map((event) => event?.number),
      [1, 2, 3, 4, 5, 6, 7, undefined],
    );
  });

  it("of the version the tag points at already, moves nothing", async () => {
    const engine = await openEngine();
    await commit(engine, "one");
    const again = await commit(engine, "one");
    assert.deepEqual([again.moved, again.record.number], [false, 1]);
    assert.equal(await engine.store.datasets.lastEvent(NAME), 1);
  });

  it("again with the same write id, finds its own entry", async () => {
    const engine = await openEngine();
    const writeId = engine.random.id();
    const first = await commit(engine, "one", { writeId });
    assert.deepEqual(await commit(engine, "one", { writeId }), first);
  });

  it("again with the same write id, after others moved the tag since, finds its own entry", async () => {
    const engine = await openEngine();
    await commit(engine, "before");
    const change = { writeId: engine.random.id(), since: 1 };
    const first = await commit(engine, "one", change);
    for (let other = 0; other < 70; other++) await commit(engine, `other ${other}`);
    assert.deepEqual(await commit(engine, "one", change), first);
    assert.equal((await collect(history(engine, NAME, TAG))).length, 72);
    const late = await commit(engine, "one", { ...change, since: 2 });
    assert.equal(late.record.number, 73, "what was there before the push began is none of its own");
  });

  it("whose creation's answer was lost, finds its own entry", async () => {
    const engine = await openEngine();
    const createHistory: DatasetStore["createHistory"] = async (...parameters) => {
      await engine.store.datasets.createHistory(...parameters);
      return false;
    };
    const datasets = replacing({ createHistory }, engine.store.datasets);
    const { record, moved } = await commit({ ...engine, store: { ...engine.store, datasets } }, "one");
    assert.deepEqual([record.number, moved], [1, true]);
    assert.equal(await engine.store.datasets.lastEvent(NAME), 1);
  });

  it("of an entry that nobody announced, by a push that changes nothing, announces it", async () => {
    const engine = await openEngine();
    const createEvent = (): Promise<never> => Promise.reject(new Error("killed"));
    const datasets = replacing({ createEvent }, engine.store.datasets);
    await assert.rejects(commit({ ...engine, store: { ...engine.store, datasets } }, "one"), /killed/);
    assert.equal(await engine.store.datasets.lastEvent(NAME), 0);
    assert.equal((await commit(engine, "one")).moved, false);
    assert.equal((await engine.store.datasets.getEvent(NAME, 1))?.number, 1);
    assert.equal(await engine.store.datasets.lastEvent(NAME), 1);
  });

  it("with an expectation that does not hold, fails with TAG_CONFLICT", async () => {
    const engine = await openEngine();
    await fails(commit(engine, "two", { expected: versionOf("one") }), "TAG_CONFLICT", /points at nothing/);
    await commit(engine, "one", { expected: null });
    await fails(commit(engine, "two", { expected: null }), "TAG_CONFLICT", /points at sha256:/);
    assert.equal((await commit(engine, "two", { expected: versionOf("one") })).record.number, 2);
  });

  it("of a tag that matches an immutable pattern, sets it once", async () => {
    const engine = await openEngine();
    await immutable(engine, "v*.*", "sta*e");
    await commit(engine, "one");
    await fails(commit(engine, "two"), "TAG_IMMUTABLE", /@acme\/prices:stable may not be moved/);
    await removeTag(engine, POINTER, SAID);
    await fails(commit(engine, "two"), "TAG_IMMUTABLE", /may not be moved/);
    assert.equal((await commit(engine, "one")).moved, true);
  });

  it("of a tag that only resembles an immutable pattern, moves it", async () => {
    const engine = await openEngine();
    await immutable(engine, "stable*e", "s*table*table", "tab", "*x*");
    await commit(engine, "one");
    assert.equal((await commit(engine, "two")).moved, true);
  });

  it("with a message, label or publisher that is too long, fails with LIMIT_EXCEEDED", () => {
    const check = (change: Partial<TagChange>): void => checkAnnotations({ ...SAID, ...change });
    const code = { code: "LIMIT_EXCEEDED" };
    check({ message: "x".repeat(4096), labels: { key: "x".repeat(256) } });
    assert.throws(() => check({ message: "x".repeat(4097) }), code);
    assert.throws(() => check({ publisher: "x".repeat(257) }), code);
    assert.throws(() => check({ labels: { key: "x".repeat(257) } }), code);
    assert.throws(() => check({ labels: { ["x".repeat(257)]: "" } }), code);
    assert.throws(
      () => check({ labels: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, ""])) }),
      code,
    );
  });
});

describe("checkAnnotations", () => {
  it("with a label that says when the tag expires, and no time, fails with ARGUMENT_INVALID", () => {
    checkAnnotations({ ...SAID, labels: { expires: "2026-12-31" } });
    for (const expires of ["30d", "", "soon"]) {
      assert.throws(() => checkAnnotations({ ...SAID, labels: { expires } }), { code: "ARGUMENT_INVALID" });
    }
  });
});

describe("resolve", () => {
  it("of a tag, gives the end of its history, whatever the hint says", async () => {
    const engine = await openEngine();
    for (let index = 1; index <= 20; index++) await commit(engine, `version ${index}`);
    const { datasets } = engine.store;
    const reference = parseReference("@acme/prices:stable");
    for (const number of [1, 7, 19, 20, 21, 500]) {
      await datasets.putHint(NAME, TAG, {
        number,
        digest: versionOf("?"),
        state: "announced",
        event: number,
      });
      const { version, record } = await resolve(engine, reference);
      assert.deepEqual([version, record?.number], [versionOf("version 20"), 20]);
    }
  });

  it("of a digest, gives the digest", async () => {
    const engine = await openEngine();
    const { record } = await commit(engine, "one");
    const found = await resolve(engine, parseReference(`@acme/prices@${formatDigest(record.digest)}`));
    assert.deepEqual(found, { name: NAME, version: record.digest, tag: undefined, record: undefined });
  });

  it("of a dataset or tag that is not there, names near ones", async () => {
    const engine = await openEngine();
    const find = (text: string): Promise<unknown> => resolve(engine, parseReference(text));
    await fails(find("prices"), "DATASET_NOT_FOUND", /there is no dataset prices; the store holds none yet/);
    await commit(engine, "one");
    await fails(find("@acme/price"), "DATASET_NOT_FOUND", /; did you mean @acme\/prices\?$/);
    await fails(find("@acme/prices:stabel"), "TAG_NOT_FOUND", /has no tag stabel; did you mean stable\?$/);
    await fails(find("@acme/prices"), "TAG_NOT_FOUND", /has no tag latest$/);
  });

  it("of a removed tag, says so", async () => {
    const engine = await openEngine();
    await commit(engine, "one");
    await removeTag(engine, POINTER, SAID);
    await fails(resolve(engine, parseReference("@acme/prices:stable")), "TAG_NOT_FOUND", /was removed at/);
  });
});

describe("lists", () => {
  it("of datasets, tags and history, give what is there, history newest first", async () => {
    const engine = await openEngine();
    for (let index = 1; index <= 70; index++) await commit(engine, `version ${index % 2}`);
    await tagVersion(
      engine,
      parseReference("@acme/prices:stable"),
      { name: NAME, tag: parseTag("gone") },
      SAID,
    );
    await removeTag(engine, { name: NAME, tag: parseTag("gone") }, SAID);
    assert.deepEqual(await collect(listDatasets(engine)), [NAME]);
    assert.deepEqual(
      (await collect(listTags(engine, NAME))).map(({ tag, record }) => [tag, record.number]),
      [[TAG, 70]],
    );
    const numbers = (await collect(history(engine, NAME, TAG))).map(({ number }) => number);
    assert.deepEqual(
      numbers,
      Array.from({ length: 70 }, (_, index) => 70 - index),
    );
  });

  it("of a dataset or tag that is not there, fail", async () => {
    const engine = await openEngine();
    await fails(collect(listTags(engine, NAME)), "DATASET_NOT_FOUND", /@acme\/prices/);
    await commit(engine, "one");
    await fails(collect(history(engine, NAME, parseTag("stabl"))), "TAG_NOT_FOUND", /did you mean stable/);
  });
});

describe("rollback", () => {
  it("without a target, goes to the newest version that differs, as a new entry", async () => {
    const engine = await openEngine();
    await commit(engine, "one");
    await commit(engine, "two");
    const { record } = await rollback(engine, POINTER, SAID);
    const { number, digest, previous } = record;
    assert.deepEqual([number, digest, previous], [3, versionOf("one"), versionOf("two")]);
  });

  it("of a removed tag, brings it back", async () => {
    const engine = await openEngine();
    await commit(engine, "one");
    await removeTag(engine, POINTER, SAID);
    const { record } = await rollback(engine, POINTER, SAID);
    assert.deepEqual([record.number, record.digest, record.previous], [3, versionOf("one"), null]);
  });

  it("to a number or a digest of the history, goes there; to another, fails", async () => {
    const engine = await openEngine();
    for (const label of ["one", "two", "three"]) await commit(engine, label);
    const to = async (target: number | ReturnType<typeof versionOf>): Promise<string> =>
      (await rollback(engine, POINTER, { ...SAID, to: target })).record.digest;
    assert.equal(await to(1), versionOf("one"));
    assert.equal(await to(versionOf("two")), versionOf("two"));
    await fails(to(9), "VERSION_NOT_FOUND", /has not a version at number 9/);
    await fails(to(versionOf("four")), "VERSION_NOT_FOUND", /has not sha256:/);
  });

  it("with nothing before, fails", async () => {
    const engine = await openEngine();
    await commit(engine, "one");
    await fails(rollback(engine, POINTER, SAID), "VERSION_NOT_FOUND", /no earlier version/);
  });

  it("to a version that the store no longer holds, fails", async () => {
    const engine = await openEngine();
    const writeId = engine.random.id();
    const lost = { state: "announced", digest: versionOf("lost"), files: 1, bytes: 1, writeId } as const;
    await commitTag(engine, NAME, TAG, { ...lost, ...SAID });
    await commit(engine, "two");
    await fails(rollback(engine, POINTER, SAID), "VERSION_NOT_FOUND", /no longer holds/);
  });
});

describe("tagVersion", () => {
  it("sets another tag, also of a new dataset of the scope", async () => {
    const engine = await openEngine();
    await commit(engine, "one");
    const target = { name: parseDatasetName("@acme/copy"), tag: parseTag("v1") };
    const { record } = await tagVersion(engine, parseReference("@acme/prices:stable"), target, SAID);
    assert.deepEqual([record.number, record.digest, record.bytes], [1, versionOf("one"), 3]);
  });

  it("of a version by its digest, takes it from any tag's history", async () => {
    const engine = await openEngine();
    await commit(engine, "one");
    await commit(engine, "two");
    const one = parseReference(`@acme/prices@${formatDigest(versionOf("one"))}`);
    const { record } = await tagVersion(engine, one, { name: NAME, tag: parseTag("old") }, SAID);
    assert.equal(record.digest, versionOf("one"));
    const other = parseReference(`@acme/prices@${formatDigest(versionOf("other"))}`);
    await fails(tagVersion(engine, other, POINTER, SAID), "VERSION_NOT_FOUND", /ever pointed at/);
  });

  it("to a dataset of another domain, fails with FEATURE_UNSUPPORTED", async () => {
    const engine = await openEngine();
    await commit(engine, "one");
    const target = { name: parseDatasetName("prices"), tag: TAG };
    const call = tagVersion(engine, parseReference("@acme/prices:stable"), target, SAID);
    await fails(call, "FEATURE_UNSUPPORTED", /pull @acme\/prices and push it as prices/);
    assert.equal(await engine.store.datasets.getDataset(target.name), undefined);
  });

  it("of a reference by digest, tagOf refuses it as a target", () => {
    const digest = parseReference(`prices@${formatDigest(versionOf("one"))}`);
    assert.throws(() => tagOf(digest), { code: "ARGUMENT_INVALID" });
    assert.deepEqual(tagOf(parseReference("prices")), { name: "prices", tag: "latest" });
  });
});
