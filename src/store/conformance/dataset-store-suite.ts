import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { codeOf } from "../../base/errors.ts";
import { digestOf, type Digest } from "../../format/digest.ts";
import type { DatasetRecord, EventRecord, HistoryRecord, LeaseRecord } from "../../format/record.ts";
import { parseDatasetName, parseTag } from "../../format/reference.ts";
import type { DatasetStore } from "../dataset-store.ts";
import { failsWith } from "./block-store-suite.ts";
import { pruneTests } from "./prune-tests.ts";
import { removalTests } from "./dataset-removal-tests.ts";
import { secretTests } from "./secret-tests.ts";
import { onStore, type StoreFactory } from "./fixture.ts";

/** The dataset, and its tag, that the tests work on. */
export const NAME = parseDatasetName("@earth/cities");
/** See NAME. */
export const TAG = parseTag("latest");
const TIME = "2026-11-22T10:00:00.000Z";

/** A digest that `text` stands for. */
export function named(text: string): Digest {
  return digestOf(Buffer.from(text));
}

/** A dataset's record. */
export function datasetOf(name = NAME, incarnation = "0".repeat(32)): DatasetRecord {
  const settings = { chunking: null, immutableTags: ["v*"], retention: null, deleted: null };
  return { name, incarnation, domain: "@earth", created: TIME, ...settings };
}

/** Entry `number` of a history, by the writer `writeId`. */
export function historyOf(number: number, writeId = "1".repeat(32)): HistoryRecord {
  return {
    number,
    state: "announced",
    digest: named(`version ${number}`),
    previous: number === 1 ? null : named(`version ${number - 1}`),
    time: TIME,
    publisher: "me",
    message: "naïve “text”",
    labels: { a: "b" },
    writeId,
    files: 3,
    bytes: 4,
  };
}

/** Event `sequence`, which announces the history entry of the same number. */
export function eventOf(sequence: number): EventRecord {
  const digest = named(`version ${sequence}`);
  return { sequence, kind: "tag", tag: TAG, number: sequence, state: "announced", digest, time: TIME };
}

/** A lease that was renewed `beat` times. */
export function leaseOf(id: string, beat = 0): LeaseRecord {
  return {
    id,
    holder: "me",
    created: TIME,
    ttlSeconds: 60,
    beat,
    blocks: [named("a"), named("b")],
    versions: [named("c")],
    epoch: 7,
  };
}

/** The items as a list. */
export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** Registers what every DatasetStore must hold to, as tests of node:test. */
export function datasetStoreSuite(title: string, factory: StoreFactory): void {
  describe(`dataset store, ${title}`, () => {
    objectTests(factory);
    secretTests(factory);
    replaceTests(factory);
    listTests(factory);
    historyTests(factory);
    eventTests(factory);
    removalTests(factory);
    leaseTests(factory);
    pruneTests(factory);
    abortTests(factory);
  });
}

function objectTests(factory: StoreFactory): void {
  test("the store's own record has an id", () =>
    onStore(factory, async ({ store }) => {
      assert.match(store.datasets.store.id, /^[0-9a-f]{32}$/);
    }));

  test("a manifest, put, put again and read, is what was put last", () =>
    onStore(factory, async ({ store: { datasets } }) => {
      assert.equal(await datasets.getManifest(named("m")), undefined);
      assert.equal(await datasets.addManifest(named("m"), Buffer.from("one")), true);
      assert.equal(await datasets.addManifest(named("m"), Buffer.from("other")), false);
      assert.equal(Buffer.from((await datasets.getManifest(named("m"))) ?? []).toString(), "one");
      await datasets.putManifest(named("m"), Buffer.from("two"));
      assert.equal(Buffer.from((await datasets.getManifest(named("m"))) ?? []).toString(), "two");
      await datasets.flush();
    }));

  test("a hint, put, put again and read, is what was put last", () =>
    onStore(factory, async ({ store: { datasets } }) => {
      assert.equal(await datasets.getHint(NAME, TAG), undefined);
      const hint = { number: 1, digest: named("v"), state: "pinned", event: 4 } as const;
      await datasets.putHint(NAME, TAG, hint);
      await datasets.putHint(NAME, TAG, { ...hint, number: 2 });
      assert.deepEqual(await datasets.getHint(NAME, TAG), { ...hint, number: 2 });
    }));
}

function replaceTests(factory: StoreFactory): void {
  test("a plan, replaced with an old revision, is OBJECT_CONFLICT and stays", () =>
    onStore(factory, async ({ store: { datasets } }) => {
      const page = named("page");
      assert.equal(await datasets.getPlan(page), undefined);
      const first = await datasets.putPlan(page, Buffer.from("1"), undefined);
      await failsWith(datasets.putPlan(page, Buffer.from("x"), undefined), "OBJECT_CONFLICT");
      const read = await datasets.getPlan(page);
      assert.equal(read?.revision, first);
      const second = await datasets.putPlan(page, Buffer.from("2"), first);
      await failsWith(datasets.putPlan(page, Buffer.from("x"), first), "OBJECT_CONFLICT");
      const last = await datasets.getPlan(page);
      assert.equal(last?.revision, second);
      assert.equal(Buffer.from(last.value).toString(), "2");
      await failsWith(datasets.putPlan(named("none"), Buffer.from("x"), first), "OBJECT_CONFLICT");
      const apart = { domain: "@earth" };
      assert.equal(await datasets.getPlan(page, apart), undefined);
      await datasets.putPlan(page, Buffer.from("3"), undefined, apart);
      assert.equal(Buffer.from((await datasets.getPlan(page, apart))?.value ?? []).toString(), "3");
      assert.equal((await datasets.getPlan(page))?.revision, second);
      await datasets.flush();
    }));

  test("a view and a signature of the same digest, replaced with an old revision, are apart and stay", () =>
    onStore(factory, async ({ store: { datasets } }) => {
      const [view, signature] = (["view", "signature"] as const).map((kind) => ({
        kind,
        digest: named("v"),
      }));
      assert.ok(view && signature);
      assert.equal(await datasets.getView(view), undefined);
      const first = await datasets.putView(view, Buffer.from("1"), undefined);
      await datasets.putView(signature, Buffer.from("s"), undefined);
      await failsWith(datasets.putView(view, Buffer.from("x"), undefined), "OBJECT_CONFLICT");
      await datasets.putView(view, Buffer.from("2"), first);
      await failsWith(datasets.putView(view, Buffer.from("x"), first), "OBJECT_CONFLICT");
      const found = await Promise.all([view, signature].map((key) => datasets.getView(key)));
      assert.deepEqual(
        found.map((one) => Buffer.from(one?.value ?? []).toString()),
        ["2", "s"],
      );
    }));

  test("a dataset's record, put, read and replaced, keeps every member", () =>
    onStore(factory, async ({ store: { datasets } }) => {
      assert.equal(await datasets.getDataset(NAME), undefined);
      const revision = await datasets.putDataset(datasetOf(), undefined);
      const chunking = { kind: "cdc", averageBytes: 65536 } as const;
      await datasets.putDataset({ ...datasetOf(), chunking }, revision);
      assert.deepEqual((await datasets.getDataset(NAME))?.value, { ...datasetOf(), chunking });
      await failsWith(datasets.putDataset(datasetOf(), revision), "OBJECT_CONFLICT");
    }));

  test("a record, first put by many at once, is one's, and the others get OBJECT_CONFLICT", () =>
    onStore(factory, async ({ store: { datasets } }) => {
      const puts = Array.from({ length: 10 }, (_, index) =>
        datasets.putDataset(datasetOf(NAME, String(index).repeat(32)), undefined),
      );
      const settled = await Promise.allSettled(puts);
      assert.equal(settled.filter(({ status }) => status === "fulfilled").length, 1);
      const winner = settled.findIndex(({ status }) => status === "fulfilled");
      assert.equal((await datasets.getDataset(NAME))?.value.incarnation, String(winner).repeat(32));
    }));

  test("a list, added to by many through compare-and-set, loses and doubles no entry", () =>
    onStore(factory, async ({ store: { datasets } }) => {
      const writers = ["a", "b", "c", "d", "e", "f"];
      await Promise.all(writers.map((writer) => addEntries(datasets, named("list"), writer, 5)));
      assertEntries(await entriesOf(datasets, named("list")), writers, 5);
    }));
}

/** Adds `writer:1` to `writer:count` to the list in a plan, one by one, by compare-and-set. */
export async function addEntries(
  datasets: DatasetStore,
  page: Digest,
  writer: string,
  count: number,
): Promise<void> {
  for (let number = 1; number <= count;) {
    const found = await datasets.getPlan(page);
    const entries = found === undefined ? [] : Buffer.from(found.value).toString().split(",");
    const entry = `${writer}:${number}`;
    // Ours may be there although we were told of a conflict: the answer to the first try was lost.
    if (!entries.includes(entry)) {
      try {
        await datasets.putPlan(page, Buffer.from([...entries, entry].join(",")), found?.revision);
      } catch (error) {
        if (codeOf(error) !== "OBJECT_CONFLICT") throw error;
        continue;
      }
    }
    number++;
  }
}

/** The list that addEntries made. */
export async function entriesOf(datasets: DatasetStore, page: Digest): Promise<string[]> {
  const found = await datasets.getPlan(page);
  return Buffer.from(found?.value ?? [])
    .toString()
    .split(",");
}

/** Asserts that each writer's entries are there once. */
export function assertEntries(found: readonly string[], writers: readonly string[], count: number): void {
  const expected = writers.flatMap((writer) =>
    Array.from({ length: count }, (_, index) => `${writer}:${index + 1}`),
  );
  assert.deepEqual([...found].sort(), expected.sort());
}

function listTests(factory: StoreFactory): void {
  test("lists of an empty store give nothing", () =>
    onStore(factory, async ({ store: { datasets } }) => {
      assert.deepEqual(await all(datasets.listDatasets()), []);
      assert.deepEqual(await all(datasets.listObjects("manifests")), []);
      assert.deepEqual(await all(datasets.listLeases()), []);
      assert.deepEqual(await all(datasets.listTags(NAME)), []);
    }));

  test("datasets, listed, are all in the byte order of their keys, whatever they are named", () =>
    onStore(factory, async ({ store: { datasets } }) => {
      const names = ["tags", "a.b", "a", "a-b", "@s/x", "@s-t/x", "@s/tags", "9", "history", "dataset.json"];
      for (const name of names) await datasets.putDataset(datasetOf(parseDatasetName(name)), undefined);
      await datasets.createHistory(parseDatasetName("a"), TAG, historyOf(1));
      const sorted = names.map((name) => `${name}/`).sort();
      const found = await all(datasets.listDatasets());
      assert.deepEqual(
        found.map((name) => `${name}/`),
        sorted,
      );
      for (const after of [...names, "a0", "@t/x", "zz"]) {
        const rest = await all(datasets.listDatasets({ after: parseDatasetName(after) }));
        assert.deepEqual(
          rest.map((name) => `${name}/`),
          sorted.filter((name) => name > `${after}/`),
          `after ${after}`,
        );
      }
    }));

  test("tags, listed, are those with a history, in the byte order of their keys", () =>
    onStore(factory, async ({ store: { datasets } }) => {
      for (const tag of ["v1", "v1.0", "v1-rc", "latest"]) {
        await datasets.createHistory(NAME, parseTag(tag), historyOf(1));
        await datasets.createHistory(NAME, parseTag(tag), historyOf(2));
      }
      const hint = { number: 1, digest: named("v"), state: "announced", event: 0 } as const;
      await datasets.putHint(NAME, parseTag("only-a-hint"), hint);
      assert.deepEqual(await all(datasets.listTags(NAME)), ["latest", "v1-rc", "v1.0", "v1"]);
      assert.deepEqual(await all(datasets.listTags(NAME, { after: parseTag("v1-rc") })), ["v1.0", "v1"]);
      assert.deepEqual(await all(datasets.listTags(NAME, { after: parseTag("v1-x") })), ["v1.0", "v1"]);
      assert.deepEqual(await all(datasets.listTags(NAME, { after: parseTag("v1") })), []);
    }));

  test("manifests, listed, are all in the order of digests", () =>
    onStore(factory, async ({ store: { datasets } }) => {
      const versions = Array.from({ length: 30 }, (_, index) => named(String(index)));
      for (const version of versions) await datasets.putManifest(version, Buffer.from("m"));
      assert.deepEqual(await all(datasets.listObjects("manifests")), versions.sort());
    }));
}

function historyTests(factory: StoreFactory): void {
  test("a history entry, created and read, keeps every member", () =>
    onStore(factory, async ({ store: { datasets } }) => {
      assert.equal(await datasets.getHistory(NAME, TAG, 1), undefined);
      assert.equal(await datasets.createHistory(NAME, TAG, historyOf(1)), true);
      assert.deepEqual(await datasets.getHistory(NAME, TAG, 1), historyOf(1));
      assert.equal(await datasets.getHistory(NAME, TAG, 2), undefined);
    }));

  test("a history entry, created again by another writer, is false and stays", () =>
    onStore(factory, async ({ store: { datasets } }) => {
      assert.equal(await datasets.createHistory(NAME, TAG, historyOf(1)), true);
      assert.equal(await datasets.createHistory(NAME, TAG, historyOf(1, "2".repeat(32))), false);
      assert.deepEqual(await datasets.getHistory(NAME, TAG, 1), historyOf(1));
    }));

  test("a history entry, created by many at once, is exactly one's", () =>
    onStore(factory, async ({ store: { datasets } }) => {
      const writers = Array.from({ length: 10 }, (_, index) => String(index).repeat(32));
      for (let number = 1; number <= 3; number++) {
        const won = await Promise.all(
          writers.map((writer) => datasets.createHistory(NAME, TAG, historyOf(number, writer))),
        );
        assert.equal(won.filter(Boolean).length, 1);
        const entry = await datasets.getHistory(NAME, TAG, number);
        assert.equal(entry?.writeId, writers[won.indexOf(true)]);
      }
    }));
}

function eventTests(factory: StoreFactory): void {
  test("events, created in order, are found and counted", () =>
    onStore(factory, async ({ store: { datasets } }) => {
      assert.equal(await datasets.lastEvent(NAME), 0);
      for (let sequence = 1; sequence <= 21; sequence++) {
        assert.equal(await datasets.createEvent(NAME, eventOf(sequence)), true);
        assert.equal(await datasets.lastEvent(NAME), sequence);
      }
      assert.equal(await datasets.createEvent(NAME, { ...eventOf(7), state: "deleted" }), false);
      assert.deepEqual(await datasets.getEvent(NAME, 7), eventOf(7));
      assert.equal(await datasets.getEvent(NAME, 22), undefined);
    }));
}

function leaseTests(factory: StoreFactory): void {
  test("leases, put, renewed, listed and removed, are those that remain", () =>
    onStore(factory, async ({ store: { datasets } }) => {
      const [a, b] = ["a".repeat(32), "b".repeat(32)];
      await datasets.putLease(leaseOf(b));
      await datasets.putLease(leaseOf(a));
      await datasets.putLease(leaseOf(a, 1));
      assert.deepEqual(await all(datasets.listLeases()), [leaseOf(a, 1), leaseOf(b)]);
      await datasets.removeLease(a);
      await datasets.removeLease(a);
      assert.deepEqual(await all(datasets.listLeases()), [leaseOf(b)]);
      await datasets.flush();
    }));

  test("an object that is quarantined, is not there any more, and can be stored anew", () =>
    onStore(factory, async ({ store: { datasets, blocks } }) => {
      const [block, version] = [named("block"), named("version")];
      await blocks.put(block, [Buffer.from("block")]);
      await datasets.putManifest(version, Buffer.from("damaged"));
      await datasets.putPlan(version, Buffer.from("damaged"), undefined, { domain: "@a" });
      const objects = [
        { kind: "blocks", digest: block },
        { kind: "manifests", digest: version },
        { kind: "plans", digest: version, domain: "@a" },
      ] as const;
      for (const object of objects) {
        await datasets.quarantine(object);
        await datasets.quarantine(object);
      }
      assert.equal(await blocks.stat(block), undefined);
      assert.equal(await datasets.getManifest(version), undefined);
      assert.equal(await datasets.getPlan(version, { domain: "@a" }), undefined);
      await blocks.put(block, [Buffer.from("block")]);
      assert.equal(Buffer.from(await blocks.read(block)).toString(), "block");
      await datasets.quarantine({ kind: "blocks", digest: block });
      assert.equal(await blocks.stat(block), undefined);
    }));

  test("a lease whose id would be a path is ARGUMENT_INVALID", () =>
    onStore(factory, async ({ store: { datasets } }) => {
      await failsWith(datasets.putLease(leaseOf("../../etc/passwd")), "ARGUMENT_INVALID");
      await failsWith(datasets.removeLease("../store.json"), "ARGUMENT_INVALID");
    }));
}

function abortTests(factory: StoreFactory): void {
  test("every write, with a signal that is aborted already, rejects with its reason and does nothing", () =>
    onStore(factory, async ({ store: { datasets } }) => {
      const reason = new Error("stop");
      const options = { signal: AbortSignal.abort(reason) };
      const hint = { number: 1, digest: named("v"), state: "announced", event: 0 } as const;
      await assert.rejects(datasets.putManifest(named("m"), Buffer.from("m"), options), reason);
      await assert.rejects(datasets.putPlan(named("p"), Buffer.from("p"), undefined, options), reason);
      await assert.rejects(datasets.putDataset(datasetOf(), undefined, options), reason);
      await assert.rejects(datasets.putHint(NAME, TAG, hint, options), reason);
      await assert.rejects(datasets.createHistory(NAME, TAG, historyOf(1), options), reason);
      await assert.rejects(datasets.createEvent(NAME, eventOf(1), options), reason);
      await assert.rejects(datasets.putLease(leaseOf("a".repeat(32)), options), reason);
      assert.deepEqual(await all(datasets.listDatasets()), []);
      assert.deepEqual(await all(datasets.listTags(NAME)), []);
      assert.deepEqual(await all(datasets.listObjects("manifests")), []);
      assert.deepEqual(await all(datasets.listLeases()), []);
      assert.equal(await datasets.getPlan(named("p")), undefined);
      assert.equal(await datasets.lastEvent(NAME), 0);
    }));
}
