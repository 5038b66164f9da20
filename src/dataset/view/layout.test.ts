import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { compareUtf8 } from "../../base/bytes.ts";
import { digestOf } from "../../format/digest.ts";
import { spansWithin, type PlacedFile } from "./layout.ts";

/** Files of these sizes, placed in byte order of path, in the order given. */
function placed(files: readonly { readonly path: string; readonly bytes: Uint8Array }[]): PlacedFile[] {
  const starts = new Map<string, number>();
  let at = 0;
  for (const { path, bytes } of files.toSorted((one, other) => compareUtf8(one.path, other.path))) {
    starts.set(path, at);
    at += bytes.byteLength;
  }
  return files.map(({ path, bytes }) => ({
    entry: {
      kind: "file",
      path,
      size: bytes.byteLength,
      mode: 0o644,
      mtime: { seconds: 0, nanos: 0 },
      digest: digestOf(bytes),
    },
    start: starts.get(path) ?? 0,
  }));
}

const FILES = fc.uniqueArray(
  fc.record({ path: fc.string({ minLength: 1, maxLength: 3 }), bytes: fc.uint8Array({ maxLength: 20 }) }),
  { selector: ({ path }) => path, maxLength: 8 },
);

describe("spansWithin", () => {
  it("of files in any order, gives the bytes of the stream in that order, in as few spans as can be", () => {
    fc.assert(
      fc.property(FILES, fc.nat(200), fc.nat(200), (files, one, other) => {
        const inOrder = Buffer.concat(files.map(({ bytes }) => bytes));
        const own = Buffer.concat(
          files.toSorted((a, b) => compareUtf8(a.path, b.path)).map(({ bytes }) => bytes),
        );
        const start = Math.min(one, other, inOrder.byteLength);
        const end = Math.min(Math.max(one, other), inOrder.byteLength);
        const spans = spansWithin(placed(files), start, end);
        const found = Buffer.concat(spans.map((span) => own.subarray(span.start, span.end)));
        assert.deepEqual(found, inOrder.subarray(start, end));
        for (const [index, span] of spans.entries()) {
          assert.ok(span.end > span.start);
          assert.notEqual(spans[index - 1]?.end, span.start);
        }
      }),
    );
  });
});
