import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { must } from "../../base/assert.ts";
import { digestOf } from "../../format/digest.ts";
import type { Store } from "../../store/dataset-store.ts";
import { noise } from "../testing/engine.ts";
import { openMemoryStore, VersionBuilder, type BuiltVersion } from "../testing/version-builder.ts";
import { openVersion } from "../version/version.ts";
import { LocalChunks } from "./local-chunks.ts";

const FILES = 400;

let store: Store;
let built: BuiltVersion;
before(async () => {
  store = await openMemoryStore();
  const files = Array.from({ length: FILES }, (_, file) => [nameOf(file), { bytes: bytesOf(file) }] as const);
  built = await new VersionBuilder(store).build(Object.fromEntries(files));
});
after(() => store.close());

function nameOf(file: number): string {
  return `file-${String(file).padStart(3, "0")}`;
}

/** Some files have no bytes. */
function bytesOf(file: number): Uint8Array {
  return noise(file, (file * 37) % 500);
}

/** Numbers of the chunks that are found, each of which is what its pieces come to. */
async function found(changed: readonly number[], filesMax?: number): Promise<number[]> {
  const locals = new LocalChunks(filesMax);
  await locals.addVersion(await openVersion({ store }, built.digest), new Set(changed.map(nameOf)));
  const bytes = new Map(Array.from({ length: FILES }, (_, file) => [nameOf(file), bytesOf(file)] as const));
  return built.chunks.flatMap(({ digest }, number) => {
    const pieces = locals.find(digest);
    if (pieces === undefined) return [];
    const parts = pieces.map(({ path, offset, bytes: length }) =>
      must(bytes.get(path), "the version has it").subarray(offset, offset + length),
    );
    assert.equal(digestOf(Buffer.concat(parts)), digest);
    return [number];
  });
}

describe("the chunks that a folder has", () => {
  it("are all of its version's, while these are not too many", async () => {
    assert.deepEqual(await found([]), [...built.chunks.keys()]);
  });

  it("of too many files, are those of the changed ones, whatever else lies in them", async () => {
    const chunks = await found([100, 101, 300], 120);
    assert.ok(chunks.length >= 2 && chunks.length <= 5, chunks.join(", "));
    let end = 0;
    const ends = built.chunks.map(({ length }) => (end += length));
    for (const file of [100, 101, 300]) {
      let start = 0;
      for (let before = 0; before < file; before++) start += bytesOf(before).byteLength;
      assert.ok(chunks.includes(ends.findIndex((at) => at > start)), `of file ${file}`);
    }
  });

  it("of too many files around the changed ones, are some", async () => {
    assert.ok((await found([100, 300], 10)).length < 3);
  });
});
