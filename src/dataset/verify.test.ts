import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { digestOf } from "../format/digest.ts";
import { entryOf, type Tree } from "./testing/tree.ts";
import { noise, testEngine } from "./testing/engine.ts";
import { VersionBuilder, openMemoryStore } from "./testing/version-builder.ts";
import { verifyVersion } from "./verify.ts";

const store = await openMemoryStore();
const engine = testEngine(store);
const builder = new VersionBuilder(store);
after(() => engine.pool.close());

const TREE: Tree = {
  "a/empty": { bytes: "" },
  "a/link": { target: "b" },
  "b/big": { bytes: noise(1, 5_000_000) },
  c: { bytes: "c" },
};

describe("verify", () => {
  for (const paged of [false, true]) {
    it(`of a sound version, ${paged ? "paged" : "inline"}, counts what it read`, async () => {
      const { digest, chunks } = await builder.build(TREE, { paged });
      const { seconds, ...result } = await verifyVersion(engine, digest);
      assert.ok(seconds > 0);
      assert.deepEqual(result, { digest, files: 3, bytes: 5_000_001, chunks: chunks.length });
    });
  }

  it("of a large file, lets others have turns while it is hashed", async (t) => {
    const { digest } = await builder.build({ big: { bytes: noise(2, 16_000_000) } }, { paged: true });
    const turns = t.mock.method(globalThis, "setImmediate");
    await verifyVersion(engine, digest);
    assert.ok(
      turns.mock.callCount() >= 7,
      `${turns.mock.callCount()} turns in 16 MB, of less than 2 MiB each`,
    );
  });

  it("of a version with any byte of its block damaged, fails with OBJECT_CORRUPT", async () => {
    const own = await openMemoryStore();
    const { digest, block } = await new VersionBuilder(own).build(TREE, { level: 0 });
    assert.ok(block !== undefined);
    for (const at of [40, 2_000_000, 4_999_999]) {
      const read: typeof own.blocks.read = async (name, range, options) => {
        const bytes = await own.blocks.read(name, range, options);
        const index = at - (range?.start ?? 0);
        if (index >= 0 && index < bytes.byteLength) bytes[index] = (bytes[index] ?? 0) ^ 1;
        return bytes;
      };
      const blocks = Object.assign(Object.create(own.blocks) as typeof own.blocks, { read });
      await assert.rejects(verifyVersion({ ...engine, store: { ...own, blocks } }, digest), {
        code: "OBJECT_CORRUPT",
      });
    }
  });

  it("of a version whose entry lies about its file's digest, fails with OBJECT_CORRUPT", async () => {
    const honest = entryOf("c", { bytes: "c" });
    assert.ok(honest.kind === "file");
    for (const bytes of ["c", ""]) {
      const entry = { ...honest, size: bytes.length, digest: digestOf(Buffer.from("something else")) };
      const { digest } = await builder.build({ c: { bytes } }, { entries: [entry] });
      await assert.rejects(verifyVersion(engine, digest), { code: "OBJECT_CORRUPT", data: { path: "c" } });
    }
  });

  it("of a version that the store lacks, fails with VERSION_NOT_FOUND", async () => {
    await assert.rejects(verifyVersion(engine, digestOf(Buffer.from("none"))), { code: "VERSION_NOT_FOUND" });
  });
});
