/** What only a disk can do wrong. The conformance suites run in ../all.test.ts, many processes in processes.test.ts. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { systemClock } from "../../../base/clock.ts";
import { systemRandom } from "../../../base/random.ts";
import { formatDigest } from "../../../format/digest.ts";
import { parseDatasetName } from "../../../format/reference.ts";
import { blockOf, failsWith } from "../../conformance/block-store-suite.ts";
import { datasetOf, historyOf, NAME, named, TAG } from "../../conformance/dataset-store-suite.ts";
import { leftoversIn } from "../../conformance/fixture.ts";
import { blockKey, datasetKey, historyKey, type Key } from "../../keys.ts";
import type { Store } from "../../dataset-store.ts";
import { openStore } from "../all.ts";

const CHILD = join(import.meta.dirname, "../../conformance/store-child.ts");
const IS_ROOT = process.getuid?.() === 0;
const NOBODY = "65534";
const OTHER = parseDatasetName("other");

function openAt(folder: string, create = true): Promise<Store> {
  return openStore(folder, { create, clock: systemClock, random: systemRandom });
}

async function inFolder(task: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "aetherfs-disk-"));
  try {
    await task(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function withStore(task: (store: Store, folder: string) => Promise<void>): Promise<void> {
  await inFolder(async (folder) => {
    const store = await openAt(folder);
    try {
      await task(store, folder);
    } finally {
      await store.close();
    }
  });
}

async function listed<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** What a process that may not do everything prints for a put. */
function putAsNobody(folder: string, bytes = 1000): string {
  const env = IS_ROOT ? { ...process.env, STORE_CHILD_UID: NOBODY } : process.env;
  const options = { env, encoding: "utf8" } as const;
  return spawnSync(process.execPath, [CHILD, "put", folder, String(bytes)], options).stdout.trim();
}

test("a store's files lie at their keys, and hold nothing but what was put", () =>
  withStore(async ({ blocks, datasets }, folder) => {
    const { digest, content } = blockOf(1);
    await blocks.put(digest, [content]);
    await datasets.putDataset(datasetOf(), undefined);
    assert.deepEqual(await readFile(join(folder, blockKey(digest))), Buffer.from(content));
    assert.match(await readFile(join(folder, datasetKey(NAME)), "utf8"), /"name":"@earth\/cities"/);
  }));

test("a store, closed, leaves no temporary folder", () =>
  inFolder(async (folder) => {
    const store = await openAt(folder);
    await store.datasets.putManifest(named("m"), Buffer.from("m"));
    await store.close();
    const names = await readdir(join(folder, "aetherfs/v1/tmp"));
    assert.deepEqual(
      names.filter((name) => name !== "replace.lock"),
      [],
    );
  }));

test("a block that a power failure cut short, put again, is whole", () =>
  withStore(async ({ blocks }, folder) => {
    const { digest, content } = blockOf(2);
    await blocks.put(digest, [content]);
    await truncate(join(folder, blockKey(digest)), 10);
    await failsWith(blocks.read(digest, { start: 0, end: 1000 }), "RANGE_INVALID");
    await blocks.put(digest, [content]);
    assert.deepEqual(Buffer.from(await blocks.read(digest)), Buffer.from(content));
  }));

test("a block that becomes shorter under its reader is OBJECT_INVALID", () =>
  withStore(async ({ blocks }, folder) => {
    const { digest, content } = blockOf(3);
    await blocks.put(digest, [content]);
    await blocks.read(digest, { start: 0, end: 10 });
    await truncate(join(folder, blockKey(digest)), 10);
    await failsWith(blocks.read(digest, { start: 0, end: 1000 }), "OBJECT_INVALID");
  }));

test("a record that is empty, cut short, or another key's, is OBJECT_INVALID and named", () =>
  withStore(async ({ datasets }, folder) => {
    await datasets.createHistory(NAME, TAG, historyOf(1));
    await datasets.createHistory(NAME, TAG, historyOf(2));
    const path = (number: number): string => join(folder, historyKey(NAME, TAG, number));
    await writeFile(path(1), await readFile(path(2)));
    await assert.rejects(datasets.getHistory(NAME, TAG, 1), /history\/latest\/0000000001.*another key/);
    for (const bytes of [50, 0]) {
      await truncate(path(2), bytes);
      await failsWith(datasets.getHistory(NAME, TAG, 2), "OBJECT_INVALID");
    }
  }));

test("names in the store's folders that are no keys are left out of lists", () =>
  withStore(async ({ blocks, datasets }, folder) => {
    const { digest, content } = blockOf(4);
    await blocks.put(digest, [content]);
    await datasets.putDataset(datasetOf(), undefined);
    await datasets.createHistory(NAME, TAG, historyOf(1));
    const root = join(folder, "aetherfs/v1");
    for (const path of ["blocks/zz/x", "blocks/README", "datasets/Upper/dataset.json", "datasets/empty/x"]) {
      await mkdir(join(root, path, ".."), { recursive: true });
      await writeFile(join(root, path), "?");
    }
    await mkdir(join(root, "datasets/@earth/cities/history/never-created"));
    await symlink("/etc", join(root, "blocks/ab"));
    const found: string[] = [];
    for await (const block of blocks.list()) found.push(block.digest);
    for await (const name of datasets.listDatasets()) found.push(name);
    for await (const tag of datasets.listTags(NAME)) found.push(tag);
    // A folder without a record may be what is left of a dataset: whoever asks for its record sees that there is none.
    assert.deepEqual(found, [digest, NAME, "empty", TAG]);
    assert.equal(await datasets.getDataset(parseDatasetName("empty")), undefined);
  }));

test("a folder of the store that is a symbolic link is not written through", () =>
  withStore(async ({ blocks }, folder) => {
    const { digest, content } = blockOf(5);
    const outside = join(folder, "outside");
    await mkdir(outside);
    await mkdir(join(folder, "aetherfs/v1/blocks"));
    await symlink(outside, join(folder, "aetherfs/v1/blocks", digest.slice(0, 2)));
    await failsWith(blocks.put(digest, [content]), "STORE_FOREIGN");
    assert.deepEqual(await readdir(outside), []);
    assert.deepEqual(await leftoversIn(folder), []);
  }));

test("a temporary folder, or one in it, that is a symbolic link is not cleaned through", () =>
  inFolder(async (folder) => {
    await (await openAt(folder)).close();
    const outside = join(folder, "outside");
    const temporary = join(folder, "aetherfs/v1/tmp");
    const [dead, kept] = ["a".repeat(32), "b".repeat(32)];
    await mkdir(join(outside, dead), { recursive: true });
    await writeFile(join(outside, dead, "file"), "");
    await symlink(join(outside, dead), join(temporary, kept));
    await (await openAt(folder)).close();
    await rm(temporary, { recursive: true });
    await symlink(outside, temporary);
    await (await openAt(folder)).close();
    assert.deepEqual(await readdir(join(outside, dead)), ["file"]);
  }));

test("a lock that is a symbolic link is not opened", () =>
  withStore(async ({ datasets }, folder) => {
    const first = await datasets.putPlan(named("p"), Buffer.from("1"), undefined);
    const victim = join(folder, "victim");
    await symlink(victim, join(folder, "aetherfs/v1/tmp/replace.lock"));
    await failsWith(datasets.putPlan(named("p"), Buffer.from("2"), first), "STORE_FOREIGN");
    await assert.rejects(stat(victim), { code: "ENOENT" });
  }));

test("an object that is a symbolic link is not read", () =>
  withStore(async ({ datasets }, folder) => {
    await datasets.createHistory(NAME, TAG, historyOf(1));
    await symlink("/etc/hostname", join(folder, historyKey(NAME, TAG, 2)));
    assert.equal(await datasets.getHistory(NAME, TAG, 2), undefined);
  }));

test("a record that is longer than any record is refused before it is read", () =>
  withStore(async ({ datasets }, folder) => {
    await datasets.createHistory(NAME, TAG, historyOf(1));
    await truncate(join(folder, historyKey(NAME, TAG, 1)), 2 ** 40);
    await failsWith(datasets.getHistory(NAME, TAG, 1), "OBJECT_INVALID");
  }));

test("a temporary folder that somebody removed is made again by the next write", () =>
  withStore(async ({ datasets }, folder) => {
    await rm(join(folder, "aetherfs/v1/tmp"), { recursive: true });
    await failsWith(datasets.putManifest(named("m"), Buffer.from("m")), "STORE_UNAVAILABLE");
    await datasets.putManifest(named("m"), Buffer.from("m"));
    assert.equal((await datasets.getManifest(named("m")))?.byteLength, 1);
  }));

test("a full disk is SPACE_EXHAUSTED, and leaves what was there and nothing else", async (context) => {
  await inFolder(async (folder) => {
    if (!mounted(context, "tmpfs", folder, "size=1m")) return;
    try {
      const store = await openAt(folder);
      const [small, large] = [blockOf(6, 100_000), blockOf(7, 3_000_000)];
      await store.blocks.put(small.digest, [small.content]);
      await failsWith(store.blocks.put(large.digest, [large.content]), "SPACE_EXHAUSTED");
      assert.equal(await store.blocks.stat(large.digest), undefined);
      assert.deepEqual(Buffer.from(await store.blocks.read(small.digest)), Buffer.from(small.content));
      assert.deepEqual(await leftoversIn(folder), []);
      await store.blocks.flush();
      await store.close();
    } finally {
      execFileSync("umount", [folder]);
    }
  });
});

/** Whether the mount succeeded; else the test is skipped with the reason. */
function mounted(context: TestContext, type: string, folder: string, options: string): boolean {
  const { status, error } = spawnSync("mount", ["-t", type, "-o", options, "aetherfs-test", folder]);
  if (status === 0) return true;
  context.skip(`needs root and mount (${error?.message ?? `mount exited with ${status ?? "a signal"}`})`);
  return false;
}

test("a folder that may not be written is STORE_UNWRITABLE, new or in use; what may be read still is", () =>
  inFolder(async (folder) => {
    await chmod(folder, 0o555);
    assert.equal(putAsNobody(folder), "STORE_UNWRITABLE");
    await chmod(folder, 0o777);
    assert.equal(putAsNobody(folder), "put");
    const root = join(folder, "aetherfs/v1");
    for (const path of ["tmp", "blocks", ""]) await chmod(join(root, path), 0o555);
    assert.equal(putAsNobody(folder), "put", "a block that is there already needs no writing");
    assert.equal(putAsNobody(folder, 2000), "STORE_UNWRITABLE");
    for (const path of ["tmp", "blocks", ""]) await chmod(join(root, path), 0o777);
    await chmod(join(root, "store.json"), 0o000);
    assert.equal(putAsNobody(folder), "STORE_UNREADABLE");
  }));

test("a place inside a file is no store, and one cannot be made there", () =>
  inFolder(async (folder) => {
    await writeFile(join(folder, "file"), "");
    for (const create of [true, false]) {
      for (const name of ["file", "file/store"]) {
        await failsWith(openAt(join(folder, name), create), "STORE_FOREIGN");
      }
    }
    await assert.rejects(openAt(join(folder, "file/store")), { name: "AetherError" });
    assert.equal((await stat(join(folder, "file"))).size, 0);
  }));

test("a message names the store and the object, and no stack", () =>
  withStore(async ({ blocks }, folder) => {
    const { digest } = blockOf(8);
    await assert.rejects(blocks.read(digest), { message: `${folder} has no block ${formatDigest(digest)}` });
  }));

test("a key with an object, opened as a folder, does no harm", () =>
  withStore(async ({ datasets }, folder) => {
    const key: Key = historyKey(NAME, TAG, 1);
    await mkdir(join(folder, key), { recursive: true });
    assert.equal(await datasets.getHistory(NAME, TAG, 1), undefined);
    assert.equal(await datasets.createHistory(NAME, TAG, historyOf(1)), false);
  }));

test("a store whose folder is away, and an empty one in its place, is unavailable and leaves that one empty; put back, it goes on", async () => {
  await withStore(async (store, folder) => {
    const { blocks, datasets } = store;
    const kept = blockOf(1);
    await blocks.put(kept.digest, [kept.content]);
    await datasets.putDataset(datasetOf(NAME), undefined);
    const away = `${folder}.away`;
    await rename(folder, away);
    await mkdir(folder);
    try {
      const other = blockOf(2);
      const calls: readonly (() => Promise<unknown>)[] = [
        () => blocks.stat(other.digest),
        () => blocks.read(other.digest, { start: 0, end: 1 }),
        () => datasets.getDataset(NAME),
        () => datasets.getHistory(NAME, TAG, 1),
        () => listed(datasets.listDatasets()),
        () => blocks.put(other.digest, [other.content]),
        () => datasets.createHistory(NAME, TAG, historyOf(1)),
        () => datasets.putDataset(datasetOf(OTHER), undefined),
      ];
      for (const call of [...calls, ...calls]) await failsWith(call(), "STORE_UNAVAILABLE");
      assert.deepEqual(await readdir(folder), []);
    } finally {
      await rm(folder, { recursive: true });
      await rename(away, folder);
    }
    assert.equal((await datasets.getDataset(NAME))?.value.name, NAME);
    assert.ok(await datasets.createHistory(NAME, TAG, historyOf(1)));
    const late = blockOf(3);
    await blocks.put(late.digest, [late.content]);
    assert.ok((await blocks.stat(late.digest)) !== undefined);
  });
});
