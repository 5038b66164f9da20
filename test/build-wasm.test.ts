import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { CHUNKER_WASM_FILE, compileChunker, embedChunker } from "../scripts/build-wasm.ts";

test("the embedded chunker module, compiled again from its source, has the same bytes", async () => {
  const embedded = await readFile(CHUNKER_WASM_FILE, "utf8");
  assert.equal(embedded, embedChunker(await compileChunker()), "run `node scripts/build-wasm.ts`");
});
