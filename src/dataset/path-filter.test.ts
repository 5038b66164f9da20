import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createPathFilter } from "./path-filter.ts";

describe("path filter", () => {
  const cases: readonly (readonly [glob: string, path: string, matches: boolean])[] = [
    ["*.txt", "a.txt", true],
    ["*.txt", "x/y/a.txt", true],
    ["*.txt", "a.txt/b", true],
    ["*.txt", ".txt", true],
    ["x/*.txt", "x/a.txt", true],
    ["x/*.txt", "x/y/a.txt", false],
    ["x/*.txt", "y/x/a.txt", false],
    ["x/**/a", "x/a", true],
    ["x/**/a", "x/y/.z/a", true],
    ["x/**", "x", false],
    ["x/**", "x/.hidden", true],
    ["**/a", "a", true],
    ["/a", "a", true],
    ["/a", "x/a", false],
    ["a?c", "a/c", false],
    ["[a-c]x", "bx", true],
    ["[!a-c]x", "bx", false],
    ["{a,b*}.c", "bbb.c", true],
    ["{a,b*}.c", "d.c", false],
    ["\\*", "*", true],
    ["\\*", "a", false],
    ["a.c", "abc", false],
    ["ü?", "üü", true],
    ["(+)", "(+)", true],
  ];
  for (const [glob, path, matches] of cases) {
    it(`glob ${glob}, path ${path}, ${matches ? "matches" : "does not match"}`, () => {
      const filter = createPathFilter({ exclude: [glob] });
      assert.equal(filter.isExcluded(path, false), matches);
      assert.equal(createPathFilter({ include: [glob] }).isIncluded(path, false), matches);
    });
  }

  it("glob that ends in a slash, folder and file of the name, only the folder matches with all below it", () => {
    const filter = createPathFilter({ exclude: ["build/"] });
    assert.equal(filter.isExcluded("x/build", true), true);
    assert.equal(filter.isExcluded("x/build/a/b", false), true);
    assert.equal(filter.isExcluded("x/build", false), false);
  });

  it("filter without globs, any path, passes all", () => {
    const filter = createPathFilter({});
    assert.equal(filter.passesAll, true);
    assert.equal(filter.isIncluded("a", false), true);
  });

  it("filter with include and exclude, path that both match, is left out", () => {
    const filter = createPathFilter({ include: ["x/**"], exclude: ["*.tmp"] });
    assert.equal(filter.isIncluded("x/a", false), true);
    assert.equal(filter.isIncluded("x/a.tmp", false), false);
    assert.equal(filter.isIncluded("y", false), false);
  });

  for (const glob of ["", "/", "[a", "{a", "a".repeat(2000)]) {
    it(`glob ${JSON.stringify(glob.slice(0, 5))} that is not valid, filter is made, fails with ARGUMENT_INVALID`, () => {
      assert.throws(() => createPathFilter({ include: [glob] }), { code: "ARGUMENT_INVALID" });
    });
  }
});
