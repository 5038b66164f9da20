import assert from "node:assert/strict";
import { symlinkSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { AetherError } from "../base/errors.ts";
import { collect, noise } from "../dataset/testing/engine.ts";
import { BED_TAG, openPushBed, type PushBed } from "../dataset/testing/push-bed.ts";
import { WorkerPool } from "../dataset/workers/pool.ts";
import { parseDatasetName, parseTag } from "../format/reference.ts";
import type { BlockStore } from "../store/block-store.ts";
import { all } from "../store/conformance/dataset-store-suite.ts";
import { openStoreTree } from "./store-tree.ts";
import type { Caller, FileNode, Tree } from "./tree.ts";
import { parseTreePath, type VersionPath } from "./tree-path.ts";

const ANYBODY: Caller = { check: async () => undefined };

let pool: WorkerPool;
before(() => {
  pool = new WorkerPool(2);
});
after(() => pool.close());

async function withBed(work: (bed: PushBed, tree: Tree) => Promise<void>): Promise<void> {
  const bed = await openPushBed(pool);
  try {
    await work(bed, openStoreTree(bed.engine));
  } finally {
    await bed.close();
  }
}

function place(...segments: readonly string[]): VersionPath {
  const parsed = parseTreePath([BED_TAG.name, BED_TAG.tag, ...segments]);
  assert.ok(parsed.kind === "version");
  return parsed;
}

async function fileAt(tree: Tree, ...segments: readonly string[]): Promise<FileNode> {
  const node = await tree.look(ANYBODY, place(...segments));
  assert.ok(node.kind === "file");
  return node;
}

async function contentOf(tree: Tree, node: FileNode): Promise<Buffer> {
  return collect(copied(tree.read(node, { start: 0, end: node.entry.size })));
}

async function* copied(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) yield Uint8Array.from(piece);
}

describe("the tree", () => {
  it("of a tag that moves, shows the new version to who looks anew, and the old one to who holds a file of it", () =>
    withBed(async (bed, tree) => {
      bed.write("a", "old");
      await bed.push();
      const held = await fileAt(tree, "a");
      bed.write("a", "new content");
      await bed.push();
      assert.equal((await contentOf(tree, await fileAt(tree, "a"))).toString(), "new content");
      assert.equal((await contentOf(tree, held)).toString(), "old");
    }));

  it("asked for a small file whole, reads it once for all who ask, and for each version its own", () =>
    withBed(async (bed, tree) => {
      const small = async (): Promise<Uint8Array | undefined> => tree.whole(await fileAt(tree, "a"));
      bed.write("a", "one");
      bed.write("b", noise(1, 70_000));
      await bed.push();
      const [first, ...others] = await Promise.all(Array.from({ length: 10 }, small));
      assert.equal(Buffer.from(first ?? []).toString(), "one");
      for (const other of others) assert.equal(other, first);
      assert.equal(tree.figures.memory.pieces, 9);
      assert.equal(tree.whole(await fileAt(tree, "b")), undefined, "it is not small");
      bed.write("a", "two");
      await bed.push();
      assert.equal(Buffer.from((await small()) ?? []).toString(), "two");
    }));

  it("looked at again and again by one, lets others have their turns", () =>
    withBed(async (bed, tree) => {
      bed.write("a", "content");
      symlinkSync("nowhere", `${bed.source}/lost`);
      await bed.push();
      const top = await tree.open(ANYBODY, place());
      const look = async (): Promise<void> => {
        for (let index = 0; index < 500; index++) {
          await tree.lookIn(top, "a");
          await assert.rejects(tree.lookIn(top, "lost"), { code: "PATH_NOT_FOUND" });
        }
      };
      let turns = 0;
      const looks = look();
      for (let isOver = false as boolean; !isOver; turns++) {
        isOver = await Promise.race([looks.then(() => true), new Promise(setImmediate).then(() => false)]);
      }
      assert.ok(turns > 20, `${turns} turns`);
    }));

  it("lists a folder, links not followed, and looks through them", () =>
    withBed(async (bed, tree) => {
      bed.write("d/b", "content");
      bed.write("d/e/c", "");
      symlinkSync("d", `${bed.source}/link`);
      await bed.push();
      const top = await tree.open(ANYBODY, place());
      const kinds: string[] = [];
      for await (const batch of tree.list(top))
        kinds.push(...batch.map(({ kind, entry }) => `${kind} ${entry.path}`));
      assert.deepEqual(kinds, ["directory d", "symlink link"]);
      const behind = await tree.look(ANYBODY, place("link"));
      assert.ok(behind.kind === "directory" && behind.path === "d");
      assert.equal((await contentOf(tree, await fileAt(tree, "link", "b"))).toString(), "content");
      await assert.rejects(tree.look(ANYBODY, place("link", "x")), { code: "PATH_NOT_FOUND" });
    }));

  it("shows nobody what they may not see", () =>
    withBed(async (bed, tree) => {
      bed.write("a", "content");
      const other = { name: parseDatasetName("@secret/set"), tag: parseTag("v1") };
      const { digest } = await bed.push({ tags: [other] });
      await bed.push();
      const caller: Caller = {
        check: async (_action, name) => {
          if (name.startsWith("@secret")) throw new AetherError("ACCESS_DENIED", "not you");
        },
      };
      assert.deepEqual(await all(tree.datasets(caller)), [BED_TAG.name]);
      assert.deepEqual(await all(tree.datasets(ANYBODY, { scope: "@secret" })), [other.name]);
      const denied = { code: "ACCESS_DENIED" };
      await assert.rejects(
        tree.look(caller, { kind: "version", ...other, digest: undefined, path: "a" }),
        denied,
      );
      const byDigest = { kind: "version", name: other.name, tag: undefined, digest, path: "a" } as const;
      await assert.rejects(tree.look(caller, byDigest), denied);
      await assert.rejects(all(tree.tags(caller, other.name)), denied);
    }));

  it("of 20,000 files, asked for one of them, reads a few pages and not the manifest", () =>
    withBed(async (bed, tree) => {
      for (let index = 0; index < 20_000; index++)
        bed.write(`d/file-${index}`, index % 100 === 0 ? `${index}` : "");
      await bed.push();
      const node = await fileAt(tree, "d", "file-12300");
      assert.equal((await contentOf(tree, node)).toString(), "12300");
      const { manifestBytes } = node.version.traffic;
      assert.ok(manifestBytes > 0 && manifestBytes < 100_000, `${manifestBytes} bytes were read`);
    }));

  it("read by many at once, in a store that is far, asks for each byte once", () =>
    withBed(async (bed) => {
      const content = Buffer.from(noise(5, 3_000_000));
      bed.write("a", content);
      await bed.push();
      const { blocks } = bed.store;
      let readBytes = 0;
      const far: Pick<BlockStore, "read" | "features"> = {
        features: { kind: "s3", persistent: true, shared: true },
        read: (block, range, options) => {
          readBytes += range === undefined ? 0 : range.end - range.start;
          return blocks.read(block, range, options);
        },
      };
      const counted = new Proxy(blocks, {
        get: (target, name): unknown => {
          if (name === "read" || name === "features") return far[name];
          const value: unknown = Reflect.get(target, name);
          return typeof value === "function" ? (value.bind(target) as unknown) : value;
        },
      });
      const tree = openStoreTree({ ...bed.engine, store: { ...bed.store, blocks: counted } });
      const node = await fileAt(tree, "a");
      const all = await Promise.all(Array.from({ length: 20 }, () => contentOf(tree, node)));
      for (const read of all) assert.ok(read.equals(content));
      assert.ok(readBytes < 1.05 * content.byteLength, `${readBytes} bytes were read`);
    }));
});
