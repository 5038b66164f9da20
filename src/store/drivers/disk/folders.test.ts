import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, rmdir, symlink, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { failsWith } from "../../conformance/block-store-suite.ts";
import { Folders } from "./folders.ts";

async function inFolder(task: (root: string, folders: Folders) => Promise<void>): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), "aetherfs-folders-"));
  try {
    await task(root, new Folders(root, () => Promise.resolve()));
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

test("a folder that cannot be synced fails every later barrier, since nobody knows what was lost", () =>
  inFolder(async (root, folders) => {
    await folders.make("a/b");
    await rmdir(join(root, "a/b"));
    await symlink("b", join(root, "a/b"));
    folders.changed("a/b");
    await assert.rejects(folders.syncAll(), { code: "ELOOP" });
    await unlink(join(root, "a/b"));
    await mkdir(join(root, "a/b"));
    await failsWith(folders.syncAll(), "STORE_UNAVAILABLE");
    folders.changed("a");
    await failsWith(folders.syncUpwards("a/b"), "STORE_UNAVAILABLE");
  }));

test("a folder that somebody removed needs no sync, and is made again once forgotten", () =>
  inFolder(async (root, folders) => {
    await folders.make("a/b");
    await rm(join(root, "a"), { recursive: true });
    await folders.syncAll();
    folders.forget();
    await folders.make("a/b");
    await writeFile(join(root, "a/b/file"), "");
    await folders.syncUpwards("a/b");
  }));

test("a folder whose place a file or a link has is STORE_FOREIGN", () =>
  inFolder(async (root, folders) => {
    await writeFile(join(root, "file"), "");
    await symlink("/tmp", join(root, "link"));
    for (const name of ["file", "link"]) await failsWith(folders.make(name), "STORE_FOREIGN");
  }));

test("a folder, made by many at once, is there for all", () =>
  inFolder(async (root, folders) => {
    await Promise.all(Array.from({ length: 20 }, () => folders.make("a/b/c")));
    await writeFile(join(root, "a/b/c/file"), "");
    await folders.syncAll();
  }));
