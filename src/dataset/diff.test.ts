import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import { diffVersions } from "./diff.ts";
import { noise, testEngine } from "./testing/engine.ts";
import { entriesOf, type Tree, type TreeNode } from "./testing/tree.ts";
import { VersionBuilder, openMemoryStore } from "./testing/version-builder.ts";

const store = await openMemoryStore();
const engine = testEngine(store);
const builder = new VersionBuilder(store);
after(() => engine.pool.close());

function many(change: (tree: Record<string, TreeNode>) => void): Tree {
  const tree: Record<string, TreeNode> = { "z/big": { bytes: noise(1, 1_500_000) } };
  for (let index = 0; index < 3000; index++)
    tree[`d${index % 7}/file ${index}`] = { bytes: `content ${index}` };
  change(tree);
  return tree;
}

describe("diff", () => {
  for (const paged of [false, true]) {
    it(`of two versions, ${paged ? "paged" : "inline"}, names what was added, removed, changed and renamed`, async () => {
      const before: Tree = {
        "a/gone": { bytes: "gone" },
        "a/moved": { bytes: "moved content" },
        "a/same": { bytes: "same" },
        becomes: { bytes: "a file" },
        link: { target: "a" },
        mode: { bytes: "m", mode: 0o644 },
        time: { bytes: "t", mtime: { seconds: 1, nanos: 0 } },
      };
      const next: Tree = {
        "a/same": { bytes: "same" },
        "b/moved": { bytes: "moved content" },
        "b/new": { bytes: "new" },
        becomes: { folder: true },
        link: { target: "b" },
        mode: { bytes: "m", mode: 0o600 },
        time: { bytes: "t", mtime: { seconds: 2, nanos: 0 } },
      };
      const base = await builder.build(before, { paged });
      const result = await diffVersions(
        engine,
        base.digest,
        (await builder.build(next, { paged, base })).digest,
      );
      assert.deepEqual(result.added, ["b", "b/new"]);
      assert.deepEqual(result.removed, ["a/gone"]);
      assert.deepEqual(result.changed, ["becomes", "link", "mode"]);
      assert.deepEqual(result.renamed, [{ from: "a/moved", to: "b/moved" }]);
    });
  }

  it("of a version and itself, finds nothing", async () => {
    const { digest } = await builder.build(
      many(() => undefined),
      { paged: true },
    );
    const { updateBytes, ...paths } = await diffVersions(engine, digest, digest);
    assert.deepEqual(paths, { added: [], removed: [], changed: [], renamed: [] });
    assert.equal(updateBytes, 0);
  });

  it("of a version with one change in a large tree, finds it and an update that is small", async () => {
    const base = await builder.build(
      many(() => undefined),
      { paged: true },
    );
    const changed = Buffer.concat([
      noise(1, 700_000),
      Buffer.from("x"),
      noise(1, 1_500_000).subarray(700_001),
    ]);
    const next = many((tree) => {
      tree["z/big"] = { bytes: changed };
      delete tree["d3/file 3"];
    });
    const successor = await builder.build(next, { paged: true, base });
    const result = await diffVersions(engine, base.digest, successor.digest);
    assert.deepEqual(result.changed, ["z/big"]);
    assert.deepEqual(result.removed, ["d3/file 3"]);
    assert.ok(result.updateBytes > 100 && result.updateBytes < 100_000, `${result.updateBytes} bytes`);
  });

  it("of random trees, agrees with a comparison entry by entry", async () => {
    const name = fc.constantFrom("a", "b", "a-b", "c", "d0", "é");
    const path = fc.array(name, { minLength: 1, maxLength: 2 }).map((parts) => `x${parts.join("/y")}`);
    const trees = fc.array(
      fc.dictionary(path, fc.record({ bytes: fc.constantFrom("1", "2", "3") }), { maxKeys: 40 }),
      {
        minLength: 2,
        maxLength: 2,
      },
    );
    await fc.assert(
      fc.asyncProperty(trees, fc.boolean(), async (pair, paged) => {
        const [before, next] = pair.map(withoutFilesAsParents) as [Tree, Tree];
        const [a, b] = [await builder.build(before, { paged }), await builder.build(next, { paged })];
        const { added, removed, changed, renamed } = await diffVersions(engine, a.digest, b.digest);
        const old = new Map(entriesOf(before).map((entry) => [entry.path, entry]));
        const present = new Map(entriesOf(next).map((entry) => [entry.path, entry]));
        const expected = (of: typeof old, other: typeof old): string[] =>
          [...of.keys()].filter((at) => !other.has(at));
        const from = renamed.map((pairOf) => pairOf.from);
        const to = renamed.map((pairOf) => pairOf.to);
        assert.deepEqual([...removed, ...from].sort(), expected(old, present).sort());
        assert.deepEqual([...added, ...to].sort(), expected(present, old).sort());
        const differs = [...old.values()].filter((entry) => {
          const other = present.get(entry.path);
          return other !== undefined && JSON.stringify(other) !== JSON.stringify(entry);
        });
        assert.deepEqual(
          changed,
          differs.map((entry) => entry.path),
        );
      }),
      { numRuns: 60 },
    );
  });
});

function withoutFilesAsParents(tree: Tree): Tree {
  const paths = Object.keys(tree);
  return Object.fromEntries(
    Object.entries(tree).filter(([path]) => !paths.some((other) => other.startsWith(`${path}/`))),
  );
}
