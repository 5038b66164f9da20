import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { test } from "node:test";
import { systemClock } from "../base/clock.ts";
import { systemRandom } from "../base/random.ts";
import { failsWith } from "./conformance/block-store-suite.ts";
import { openStore } from "./drivers/all.ts";
import { STORE_KEY } from "./keys.ts";
import type { Store } from "./dataset-store.ts";

function openAt(address: string, create: boolean): Promise<Store> {
  return openStore(address, { create, clock: systemClock, random: systemRandom });
}

async function inFolder(task: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "aetherfs-open-"));
  try {
    await task(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function idAt(address: string, create = false): Promise<string> {
  const store = await openAt(address, create);
  await store.close();
  return store.datasets.store.id;
}

test("a store, made and opened by URL, path and relative path, is the same one", () =>
  inFolder(async (parent) => {
    const folder = join(parent, "new/with spaces");
    const id = await idAt(pathToFileURL(folder).href, true);
    assert.equal(await idAt(folder), id);
    assert.equal(await idAt(relative(process.cwd(), folder)), id);
    assert.equal(await idAt(folder, true), id, "making what is there changes nothing");
  }));

test("a place with nothing, opened for reading, is STORE_NOT_FOUND and stays as it is", () =>
  inFolder(async (folder) => {
    await failsWith(openAt(folder, false), "STORE_NOT_FOUND");
    await failsWith(openAt(join(folder, "missing"), false), "STORE_NOT_FOUND");
    assert.deepEqual(await readdir(folder), []);
  }));

test("a place with something else is STORE_FOREIGN and stays as it is", () =>
  inFolder(async (folder) => {
    await mkdir(join(folder, "photos"));
    await writeFile(join(folder, "photos/cat.jpg"), "meow");
    for (const create of [true, false]) await failsWith(openAt(folder, create), "STORE_FOREIGN");
    assert.deepEqual(await readdir(folder), ["photos"]);
  }));

test("a store whose record was removed is STORE_FOREIGN, not made anew", () =>
  inFolder(async (folder) => {
    const store = await openAt(folder, true);
    await store.datasets.putLease({
      epoch: 0,
      id: "a".repeat(32),
      holder: "",
      created: "",
      ttlSeconds: 1,
      beat: 0,
      blocks: [],
      versions: [],
    });
    await store.close();
    await rm(join(folder, STORE_KEY));
    await failsWith(openAt(folder, true), "STORE_FOREIGN");
  }));

test("a file system's own lost+found does not make a place foreign", () =>
  inFolder(async (folder) => {
    await mkdir(join(folder, "lost+found"));
    await writeFile(join(folder, "lost+found/1"), "");
    await idAt(folder, true);
  }));

test("a store of a newer format is FORMAT_UNSUPPORTED, a damaged record OBJECT_INVALID", () =>
  inFolder(async (folder) => {
    await idAt(folder, true);
    const path = join(folder, STORE_KEY);
    const text = await readFile(path, "utf8");
    for (const newer of [
      text.replace("aetherfs.store/1", "aetherfs.store/2"),
      text.replace('"requires":0', '"requires":1'),
      text.replace('"key":null', '"key":"k1"'),
    ]) {
      assert.notEqual(newer, text);
      await writeFile(path, newer);
      await failsWith(openAt(folder, true), "FORMAT_UNSUPPORTED");
    }
    for (const damaged of ["", text.slice(0, 20), "[]"]) {
      await writeFile(path, damaged);
      await failsWith(openAt(folder, false), "OBJECT_INVALID");
    }
  }));

test("a place where many make a store at once becomes one store", () =>
  inFolder(async (folder) => {
    const ids = await Promise.all(Array.from({ length: 10 }, () => idAt(folder, true)));
    assert.equal(new Set(ids).size, 1);
  }));

test("memory: is a new store each time", async () => {
  assert.notEqual(await idAt("memory:"), await idAt("memory:"));
});

test("an address of another kind is FEATURE_UNSUPPORTED, and one that is none ARGUMENT_INVALID", async () => {
  for (const address of ["ftp://x", "memory:name"]) {
    await failsWith(openAt(address, true), "FEATURE_UNSUPPORTED");
  }
  for (const address of [
    "",
    "s3://",
    "s3://bucket//a",
    "file:name",
    "file://host/path",
    "file:///a%00b",
    "file:///a%2Fb",
  ]) {
    await failsWith(openAt(address, true), "ARGUMENT_INVALID");
  }
});
