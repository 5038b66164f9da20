import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { systemClock } from "../../base/clock.ts";
import { codeOf } from "../../base/errors.ts";
import { systemRandom } from "../../base/random.ts";
import { digestOf } from "../../format/digest.ts";
import type { DatasetRecord, TagState } from "../../format/record.ts";
import { parseDatasetName, parseTag, type DatasetName } from "../../format/reference.ts";
import { all, historyOf } from "../../store/conformance/dataset-store-suite.ts";
import type { DatasetStore, Store } from "../../store/dataset-store.ts";
import { openStore } from "../../store/drivers/all.ts";
import { ensureDataset, history } from "../datasets.ts";
import type { Engine } from "../engine.ts";
import { commitTag, type TagChange } from "../tags.ts";
import { WorkerPool } from "../workers/pool.ts";
import { expireTags, liveVersions } from "./roots.ts";

const NOW_MS = Date.parse("2026-11-28T12:00:00Z");
const DAY_SECONDS = 24 * 60 * 60;
const NAME = parseDatasetName("@acme/prices");
const OTHER = parseDatasetName("cities");
const TAG = parseTag("stable");
const OPTIONS = { publisher: "prune" };

const folders: string[] = [];
after(async () => {
  for (const folder of folders) await rm(folder, { recursive: true });
});

interface Bed {
  readonly engine: Engine;
  /** The store's folder. */
  readonly folder: string;
}

async function openMemory(): Promise<Engine> {
  return engineOn(await openStore("memory:", { create: true, clock: systemClock, random: systemRandom }));
}

async function openBed(): Promise<Bed> {
  const folder = await mkdtemp(join(tmpdir(), "aetherfs-roots-"));
  folders.push(folder);
  const store = await openStore(folder, { create: true, clock: systemClock, random: systemRandom });
  return { engine: engineOn(store), folder };
}

function engineOn(store: Store, nowMs = NOW_MS): Engine {
  const clock = { ...systemClock, nowMs: () => nowMs };
  const parts = { random: systemRandom, pool: new WorkerPool(1), memoryBytes: 2 ** 20, cacheDir: undefined };
  return { store, clock, ...parts };
}

interface Moving {
  readonly name?: DatasetName;
  readonly tag?: string;
  readonly daysAgo?: number;
  readonly state?: TagState;
  readonly labels?: Readonly<Record<string, string>>;
}

/** Points the tag at the version that `label` stands for, some days before now. */
async function move(
  { store }: Engine,
  label: string,
  { name = NAME, tag = "stable", daysAgo = 0, ...rest }: Moving = {},
): Promise<void> {
  const change: TagChange = {
    ...{ state: "announced", digest: digestOf(Buffer.from(label)), writeId: systemRandom.id() },
    ...{ publisher: "ann", message: "", labels: {}, files: 1, bytes: 1, ...rest },
  };
  await commitTag(engineOn(store, NOW_MS - 1000 * DAY_SECONDS * daysAgo), name, parseTag(tag), change);
}

async function set({ store }: Engine, name: DatasetName, change: Partial<DatasetRecord>): Promise<void> {
  const found = (await store.datasets.getDataset(name)) ?? assert.fail("the dataset is there");
  await store.datasets.putDataset({ ...found.value, ...change }, found.revision);
}

/** What is live, as `dataset label`, each once. */
async function live(engine: Engine): Promise<string[]> {
  const labels = new Map(Array.from("abcdefgh", (label) => [digestOf(Buffer.from(label)), label] as const));
  const found = new Set<string>();
  for await (const { name, version } of liveVersions(engine, {})) {
    found.add(`${name} ${labels.get(version) ?? "?"}`);
  }
  return [...found].sort();
}

async function codeOfLive(engine: Engine): Promise<string | undefined> {
  return await live(engine).then(() => undefined, codeOf);
}

async function expired(engine: Engine, dryRun = false): Promise<string[]> {
  const found = [];
  for await (const { name, tag, expires } of expireTags(engine, { ...OPTIONS, dryRun }))
    found.push(`${name}:${tag} ${expires}`);
  return found;
}

/** The engine, with other methods in place of some of its dataset store. */
function replacing(engine: Engine, others: Partial<DatasetStore>): Engine {
  const datasets = new Proxy(engine.store.datasets, {
    get: (target, key) => {
      if (Object.hasOwn(others, key)) return Reflect.get(others, key) as unknown;
      const member: unknown = Reflect.get(target, key);
      return typeof member === "function" ? (member.bind(target) as unknown) : member;
    },
  });
  return { ...engine, store: { ...engine.store, blocks: engine.store.blocks, datasets } };
}

describe("liveVersions", () => {
  it("of datasets without a retention, gives every version that a tag ever pointed at", async () => {
    const engine = await openMemory();
    assert.deepEqual(await live(engine), []);
    for (const label of ["a", "b", "c"]) await move(engine, label);
    await move(engine, "d", { name: OTHER });
    assert.deepEqual(await live(engine), [
      ...["a", "b", "c"].map((label) => `${NAME} ${label}`),
      `${OTHER} d`,
    ]);
    for await (const { name, domain } of liveVersions(engine, {}))
      assert.equal(domain, name === NAME ? "@acme" : "");
  });

  it("of a long history gives each entry once, newest first", async () => {
    const engine = await openMemory();
    await ensureDataset(engine, NAME);
    for (let number = 1; number <= 100; number++)
      await engine.store.datasets.createHistory(NAME, TAG, historyOf(number));
    const found = await all(liveVersions(engine, {}));
    const entries = await all(history(engine, NAME, TAG));
    assert.deepEqual(
      found.map(({ version }) => version),
      entries.map(({ digest }) => digest),
    );
  });

  it("of a dataset with a retention, gives what a rule keeps, pinned versions, and what tags point at", async () => {
    const engine = await openMemory();
    await move(engine, "a", { daysAgo: 90, state: "pinned" });
    await move(engine, "b", { daysAgo: 80 });
    await move(engine, "c", { daysAgo: 40 });
    await move(engine, "d", { daysAgo: 20 });
    await move(engine, "e", { daysAgo: 1 });
    await move(engine, "f", { daysAgo: 90, tag: "v1" });
    await move(engine, "g", { daysAgo: 80, tag: "v1" });
    const rules = { keepLast: null, keepWithinSeconds: null, keepTags: [] };
    const kept = async (retention: DatasetRecord["retention"]): Promise<string> => {
      await set(engine, NAME, { retention });
      return (await live(engine)).map((text) => text.slice(-1)).join("");
    };
    assert.equal(await kept(rules), "abcdefg");
    assert.equal(await kept({ ...rules, keepLast: 1 }), "aeg");
    assert.equal(await kept({ ...rules, keepLast: 2 }), "adefg");
    assert.equal(await kept({ ...rules, keepWithinSeconds: 30 * DAY_SECONDS }), "acdeg");
    assert.equal(await kept({ ...rules, keepLast: 1, keepTags: ["v*"] }), "aefg");
    assert.equal(await kept(null), "abcdefg");
  });

  it("of a deleted tag gives nothing, and all again when a rollback brought it back", async () => {
    const engine = await openMemory();
    await move(engine, "a", { state: "pinned" });
    await move(engine, "b");
    await move(engine, "b", { state: "deleted" });
    assert.deepEqual(await live(engine), []);
    await move(engine, "b");
    assert.deepEqual(await live(engine), [`${NAME} a`, `${NAME} b`]);
  });

  it("of a deleted dataset gives nothing, whatever its state", async () => {
    const engine = await openMemory();
    await move(engine, "a");
    await move(engine, "b", { name: OTHER });
    for (const state of ["deleted", "removing", "removed"] as const) {
      await set(engine, NAME, { deleted: { time: "2026-11-28T11:00:00Z", publisher: "ann", state } });
      assert.deepEqual(await live(engine), [`${OTHER} b`]);
    }
  });

  it("of a history with a gap at its end, in its middle or at its beginning, fails", async () => {
    for (const gap of [1, 2, 3]) {
      const { engine, folder } = await openBed();
      for (const label of ["a", "b", "c", "d"]) await move(engine, label);
      await rm(join(folder, `aetherfs/v1/datasets/${NAME}/history/${TAG}/000000000${gap}`));
      assert.equal(await codeOfLive(engine), "OBJECT_MISSING");
    }
  });

  it("of a history whose hint is lost, or says an entry that is not there, gives all", async () => {
    const { engine, folder } = await openBed();
    for (const label of ["a", "b", "c"]) await move(engine, label);
    const hint = { number: 9, digest: digestOf(Buffer.from("x")), state: "announced", event: 9 } as const;
    await engine.store.datasets.putHint(NAME, TAG, hint);
    assert.equal((await live(engine)).length, 3);
    await rm(join(folder, `aetherfs/v1/datasets/${NAME}/tags/${TAG}.json`));
    assert.equal((await live(engine)).length, 3);
  });

  it("of a dataset whose record is missing while its history is there, fails", async () => {
    const { engine, folder } = await openBed();
    await move(engine, "a", { name: OTHER });
    await move(engine, "b");
    await rm(join(folder, `aetherfs/v1/datasets/${NAME}/dataset.json`));
    assert.equal(await codeOfLive(engine), "OBJECT_MISSING");
  });

  it("of a record that cannot be read, or that a newer AetherFS wrote, fails", async () => {
    for (const [path, text, code] of [
      ["dataset.json", "{", "OBJECT_INVALID"],
      ["dataset.json", '{"format":"aetherfs.dataset/1","requires":2,"key":null}', "FORMAT_UNSUPPORTED"],
      [`history/${TAG}/0000000001`, "", "OBJECT_INVALID"],
      [`history/${TAG}/0000000002`, '{"format":"aetherfs.history/2"}', "FORMAT_UNSUPPORTED"],
    ] as const) {
      const { engine, folder } = await openBed();
      await move(engine, "a", { name: OTHER });
      await move(engine, "b");
      await move(engine, "c");
      await writeFile(join(folder, `aetherfs/v1/datasets/${NAME}/${path}`), text);
      assert.equal(await codeOfLive(engine), code, path);
    }
  });

  it("with a signal that is aborted, rejects with its reason", async () => {
    const engine = await openMemory();
    await move(engine, "a");
    const reason = new Error("stop");
    const versions = liveVersions(engine, { signal: AbortSignal.abort(reason) });
    await assert.rejects(all(versions), reason);
  });
});

describe("expireTags", () => {
  it("removes the tags that are over, with an entry and an event that say so, and no others", async () => {
    const engine = await openMemory();
    await move(engine, "a", { tag: "old", labels: { expires: "2026-11-27" } });
    await move(engine, "a", { tag: "now", labels: { expires: "2026-11-28T12:00:00Z" } });
    await move(engine, "a", { tag: "later", labels: { expires: "2026-11-28" } });
    await move(engine, "a", { tag: "renewed", labels: { expires: "2026-11-27" } });
    await move(engine, "a", { tag: "renewed", labels: { expires: "2026-12-27" } });
    await move(engine, "a", { tag: "never" });
    const over = [`${NAME}:now 2026-11-28T12:00:00Z`, `${NAME}:old 2026-11-27`];
    assert.deepEqual(await expired(engine, true), over);
    assert.deepEqual(await expired(engine), over);
    assert.deepEqual(await expired(engine), []);
    const [entry] = await all(history(engine, NAME, parseTag("old")));
    assert.deepEqual(
      [entry?.state, entry?.number, entry?.publisher, entry?.message],
      ["deleted", 2, "prune", "it expired: 2026-11-27"],
    );
    const last = await engine.store.datasets.lastEvent(NAME);
    assert.equal((await engine.store.datasets.getEvent(NAME, last))?.state, "deleted");
    assert.deepEqual(await live(engine), [`${NAME} a`]);
  });

  it("of a tag that is given more time between the look and the removal, leaves it", async () => {
    const engine = await openMemory();
    await move(engine, "a", { labels: { expires: "2026-11-27" } });
    const { datasets } = engine.store;
    let looks = 0;
    const raced = replacing(engine, {
      getDataset: async (name, options) => {
        if (looks++ === 1) await move(engine, "a", { labels: { expires: "2027-11-27" } });
        return await datasets.getDataset(name, options);
      },
    });
    assert.deepEqual(await expired(raced), []);
    assert.equal(looks, 2);
    assert.deepEqual(await live(engine), [`${NAME} a`]);
  });

  it("of a deleted dataset removes nothing", async () => {
    const engine = await openMemory();
    await move(engine, "a", { labels: { expires: "2026-11-27" } });
    const deleted = { time: "2026-11-28T11:00:00Z", publisher: "ann", state: "deleted" } as const;
    await set(engine, NAME, { deleted });
    assert.deepEqual(await expired(engine), []);
    await set(engine, NAME, { deleted: null });
    assert.equal((await expired(engine)).length, 1);
  });
});
