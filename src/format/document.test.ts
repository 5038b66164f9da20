/** The examples and constants of docs/format.md. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { decodeIndex } from "./block.ts";
import { digestOf } from "./digest.ts";
import { HEADER_BYTES } from "./header.ts";
import { decodeRoot } from "./manifest.ts";
import { decodePage } from "./page.ts";
import { pathHash } from "./tree.ts";

const document = readFileSync(new URL("../../docs/format.md", import.meta.url), "utf8");

/** The bytes of the example of this name. */
function example(name: string): Buffer {
  const block = new RegExp(`^\`\`\`hex ${name}\n(.*?)^\`\`\``, "ms").exec(document)?.[1];
  assert.ok(block !== undefined, `docs/format.md has an example ${name}`);
  return Buffer.from(block.replace(/#.*$/gm, "").replace(/\s/g, ""), "hex");
}

test("docs/format.md, example of a manifest, is one, and has the name that stands there", () => {
  const bytes = example("root");
  assert.ok(document.includes(`sha256:${digestOf(bytes)}`));
  const root = decodeRoot(bytes);
  const entries = decodePage(example("entries"), "entries", 0);
  const times = decodePage(example("times"), "times", 0);
  const chunks = decodePage(example("chunks"), "chunks", 0);
  const digest = digestOf(Buffer.from("hi\n"));
  assert.deepEqual(entries, {
    kind: "entries",
    level: 0,
    entries: [{ path: "a", kind: "file", mode: 0o644, size: 3, digest }],
  });
  assert.deepEqual(times, { kind: "times", level: 0, times: [{ seconds: 1_700_000_000, nanos: 0 }] });
  assert.deepEqual(chunks, { kind: "chunks", level: 0, chunks: [{ digest, length: 3 }] });
  for (const kind of ["entries", "times", "chunks"] as const) {
    assert.deepEqual(root[kind], { digest: digestOf(example(kind)), level: 0, items: 1 });
  }
});

test("docs/format.md, example of a block, is one, and has the name that stands there", () => {
  const bytes = example("block");
  assert.ok(document.includes(`sha256:${digestOf(bytes)}`));
  const { domain, frames, offsets } = decodeIndex(bytes.subarray(0, HEADER_BYTES), bytes, bytes.byteLength);
  assert.deepEqual([domain, frames.length, offsets], ["@earth", 1, [HEADER_BYTES]]);
  assert.equal(bytes.toString("utf8", HEADER_BYTES, HEADER_BYTES + 3), "hi\n");
});

test("docs/format.md, hashes of paths, are what the code gives", () => {
  const examples = [...document.matchAll(/`([^`]+)` gives\s+`([0-9a-f]{8})`/g)];
  assert.equal(examples.length, 3);
  for (const [, path = "", hash] of examples)
    assert.equal(pathHash(path).toString(16).padStart(8, "0"), hash, path);
});
