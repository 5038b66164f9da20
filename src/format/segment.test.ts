import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { RUN_FILES_MAX, Segmenter } from "./segment.ts";
import { paths } from "./testing/arbitraries.ts";
import { pathHash } from "./tree.ts";

const AVERAGE = 4096;

test("Segmenter, any files, begins a segment at each large file, after it, and after a file whose hash ends a run", () => {
  const files = fc.array(fc.tuple(paths, fc.integer({ min: 1, max: 2 * AVERAGE })), { maxLength: 60 });
  fc.assert(
    fc.property(files, (list) => {
      const segmenter = new Segmenter(AVERAGE);
      for (const [index, [path, size]] of list.entries()) {
        const before = list[index - 1];
        const afterEnd = before === undefined || before[1] >= AVERAGE || pathHash(before[0]) % 1024 === 0;
        assert.equal(segmenter.next(path, size), size >= AVERAGE || afterEnd);
      }
    }),
  );
});

test("Segmenter, small files whose hashes end no run, begins another after 8,192", () => {
  const segmenter = new Segmenter(AVERAGE);
  assert.notEqual(pathHash("a") % 1024, 0);
  const begins = Array.from({ length: 2 * RUN_FILES_MAX + 1 }, () => segmenter.next("a", 1));
  const starts = begins.flatMap((is, index) => (is ? [index] : []));
  assert.deepEqual(starts, [0, RUN_FILES_MAX, 2 * RUN_FILES_MAX]);
});

test("Segmenter, many small files, ends runs by hash after about a thousand files", () => {
  const segmenter = new Segmenter(AVERAGE);
  const count = 40_000;
  let segments = 0;
  for (let index = 0; index < count; index++) if (segmenter.next(`d/${index}`, 1)) segments++;
  assert.ok(segments > count / 2048 && segments < count / 512, `${segments} segments`);
});
