import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, afterEach, beforeEach, describe, it } from "node:test";
import { parseDatasetName } from "../../format/reference.ts";
import type { PullOptions } from "../contract.ts";
import { testEngine } from "../testing/engine.ts";
import { readFolder, temporaryFolder } from "../testing/folder.ts";
import type { Tree } from "../testing/tree.ts";
import { VersionBuilder, openMemoryStore } from "../testing/version-builder.ts";
import { pull } from "./pull.ts";

const store = await openMemoryStore();
const builder = new VersionBuilder(store);
const engine = testEngine(store);
after(() => engine.pool.close());

let folder: ReturnType<typeof temporaryFolder>;
let target: string;
beforeEach(() => {
  folder = temporaryFolder();
  target = path.join(folder.path, "target");
});
afterEach(() => {
  folder.remove();
});

/** Makes files in the target, or beside it, with the folders above them. */
function write(...names: readonly string[]): void {
  for (const name of names) {
    const file = path.join(target, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, "mine");
  }
}

/** Pulls with delete; gives the paths that the target has then. */
async function pullDeleting(tree: Tree, options: Partial<PullOptions> = {}): Promise<string[]> {
  const { digest } = await builder.build(tree);
  const name = parseDatasetName("test");
  await pull(engine, { name, version: digest, target, delete: true, ...options });
  return readFolder(target).map((entry) => entry.path);
}

const TREE: Tree = { "a/sub/data.bin": { bytes: "1" }, "t.txt": { bytes: "2" } };

describe("pull with delete", () => {
  it("of a stranger folder that holds excluded files, keeps these and removes the others", async () => {
    write("junk/keep.log", "junk/x", "junk/deep/y", "other/z");
    const paths = await pullDeleting({ "t.txt": { bytes: "2" } }, { exclude: ["*.log"] });
    assert.deepEqual(paths, ["junk", "junk/keep.log", "t.txt"]);
  });

  it("and globs to include, removes what matches in folders that do not, and nothing else", async () => {
    write("junk/old.txt", "junk/x", "a/sub/old.txt", "a/sub/x");
    const paths = await pullDeleting(TREE, { include: ["*.txt"] });
    assert.deepEqual(paths, ["a", "a/sub", "a/sub/x", "junk", "junk/x", "t.txt"]);
  });

  it("and a symlink in place of a folder that is not pulled, removes nothing behind the symlink", async () => {
    write("../outside/sub/precious.txt", "x.txt");
    fs.symlinkSync("../outside", path.join(target, "a"));
    assert.deepEqual(await pullDeleting(TREE, { include: ["*.txt"] }), ["a", "t.txt"]);
    assert.deepEqual(fs.readdirSync(path.join(folder.path, "outside/sub")), ["precious.txt"]);
  });

  it("of a folder where the version has a file, with globs to exclude, fails and keeps the folder", async () => {
    write("t.txt/keep.log");
    await assert.rejects(pullDeleting(TREE, { exclude: ["*.log"] }), { code: "TARGET_UNWRITABLE" });
    assert.deepEqual(fs.readdirSync(path.join(target, "t.txt")), ["keep.log"]);
    assert.deepEqual(await pullDeleting(TREE), ["a", "a/sub", "a/sub/data.bin", "t.txt"]);
  });

  it("into a target that is a symlink to a folder, removes there", async () => {
    const real = path.join(folder.path, "real");
    fs.mkdirSync(real);
    fs.writeFileSync(path.join(real, "x"), "mine");
    fs.symlinkSync(real, target);
    assert.deepEqual(await pullDeleting({ "t.txt": { bytes: "2" } }), ["t.txt"]);
  });
});
