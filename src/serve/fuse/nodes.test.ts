import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDatasetName } from "../../format/reference.ts";
import type { EntryNode, DirectoryNode } from "../../vfs/tree.ts";
import type { Version } from "../../dataset/version/version.ts";
import type { Digest } from "../../format/digest.ts";
import { inodeOf, Nodes } from "./nodes.ts";

const NAME = parseDatasetName("set");
const MTIME = { seconds: 1, nanos: 2 };

/** As much of a version as nodes look at. */
function top(digit: string): DirectoryNode {
  const version = { digest: digit.repeat(64) as Digest } as Version;
  return {
    kind: "directory",
    name: NAME,
    tag: undefined,
    digest: undefined,
    version,
    path: "",
    entry: undefined,
  };
}

function file(of: DirectoryNode, path: string, digit: string): EntryNode {
  const entry = {
    kind: "file",
    path,
    mode: 0o644,
    mtime: MTIME,
    size: 3,
    digest: digit.repeat(64) as Digest,
  } as const;
  return { ...of, kind: "file", entry, start: 0, index: 0 };
}

function folder(of: DirectoryNode, path: string): EntryNode {
  return { ...of, index: 0, path, entry: { kind: "directory", path, mode: 0o755, mtime: MTIME } };
}

test("a node that was given twice is forgotten when both were, and its number is never given again", () => {
  const nodes = new Nodes(top("a"));
  const first = nodes.give(nodes.root, "f", file(top("a"), "f", "1"));
  assert.equal(nodes.give(nodes.root, "f", file(top("a"), "f", "1")), first);
  nodes.forget({ node: first.id, lookups: 1 });
  assert.equal(nodes.get(first.id), first);
  nodes.forget({ node: first.id, lookups: 1 });
  assert.equal(nodes.get(first.id), undefined);
  assert.equal(nodes.size, 1);
  assert.ok(nodes.give(nodes.root, "f", file(top("a"), "f", "1")).id > first.id);
});

test("the top is never forgotten, nor is a node that the kernel was not given", () => {
  const nodes = new Nodes(top("a"));
  nodes.forget({ node: 1, lookups: 1000 });
  nodes.forget({ node: 99, lookups: 1 });
  assert.equal(nodes.get(1), nodes.root);
});

test("of two versions, a file that is the same is one node and reads the newer; a changed file and any folder are two", () => {
  const nodes = new Nodes(top("a"));
  const before = nodes.give(nodes.root, "f", file(top("a"), "f", "1"));
  assert.equal(nodes.give(nodes.root, "f", file(top("b"), "f", "1")), before);
  assert.equal(before.entry.version.digest, "b".repeat(64));
  assert.notEqual(nodes.give(nodes.root, "f", file(top("b"), "f", "2")), before);
  const folderBefore = nodes.give(nodes.root, "d", folder(top("a"), "d"));
  assert.notEqual(nodes.give(nodes.root, "d", folder(top("b"), "d")), folderBefore);
});

test("turn gives the nodes that were given first, each once in a round", () => {
  const nodes = new Nodes(top("a"));
  const given = ["x", "y", "z"].map((name) => nodes.give(nodes.root, name, file(top("a"), name, "1")));
  const turned = [...nodes.turn(2, true), ...nodes.turn(1, true)].map(({ name }) => name);
  assert.deepEqual(turned, ["x", "y", "z"]);
  assert.deepEqual(nodes.turn(1, true), [given[0]]);
});

test("turn leaves folders out unless it is told to give them too, and looks past them", () => {
  const nodes = new Nodes(top("a"));
  const names = (withFolders: boolean): string[] => nodes.turn(2, withFolders).map(({ name }) => name);
  nodes.give(nodes.root, "d", folder(top("a"), "d"));
  for (const name of ["x", "y"]) nodes.give(nodes.root, name, file(top("a"), name, "1"));
  assert.deepEqual(names(false), ["x", "y"]);
  assert.deepEqual(names(true), ["d", "x"]);
});

test("inodeOf of 200,000 similar paths gives each another number, never that of the top", () => {
  const numbers = new Set<string>();
  for (let index = 0; index < 200_000; index++) numbers.add(inodeOf(`d${index % 10}/file-${index}`).join());
  assert.equal(numbers.size, 200_000);
  assert.ok(!numbers.has("1,0"));
});
