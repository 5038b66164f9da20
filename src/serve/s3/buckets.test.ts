import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseDatasetName } from "../../format/reference.ts";
import { bucketNameOf, readingsOf } from "./buckets.ts";

function readings(text: string): string[] {
  return readingsOf(text).map(({ name, tag }) => (tag === undefined ? name : `${name}:${tag}`));
}

describe("the bucket of a dataset", () => {
  it("is its name, with its scope before it when it has one", () => {
    assert.equal(bucketNameOf(parseDatasetName("set")), "set");
    assert.equal(bucketNameOf(parseDatasetName("@team/set.1_x")), "team--set.1_x");
  });

  it("read again, is that dataset before anything but a dataset of a shorter scope", () => {
    for (const name of ["set", "a--b", "@a/b", "@a/b--c", "a_b.c-d", "@a-/b"]) {
      const found = readings(bucketNameOf(parseDatasetName(name)));
      assert.ok(found.includes(name), `${name}: ${found.join()}`);
    }
    assert.equal(readings("a--b--c")[0], "@a/b--c");
  });
});

describe("what a bucket's name may stand for", () => {
  it("without two dashes, is the dataset of that name alone", () => {
    assert.deepEqual(readings("a-b_c.d"), ["a-b_c.d"]);
  });

  it("with two dashes, is a scoped dataset, then a plain one, then a tag's version", () => {
    assert.deepEqual(readings("a--b"), ["@a/b", "a--b", "a:b"]);
    const expected = ["@a/b--c", "@a--b/c", "a--b--c", "@a/b:c", "a--b:c", "a:b--c"];
    assert.deepEqual(readings("a--b--c"), expected);
  });

  it("with more dashes in a row, is split at the last two of them", () => {
    assert.deepEqual(readings("a---b"), ["@a-/b", "a---b", "a-:b"]);
    assert.deepEqual(readings("a--"), ["a--"]);
    assert.deepEqual(readings("--a"), []);
  });

  it("that no dataset can have, is nothing", () => {
    for (const text of ["A", "a b", "é", "-a", "", ".a", "a".repeat(129), "a/b"]) {
      assert.deepEqual(readings(text), [], text);
    }
  });

  it("with many ways to read it, is no more than a few of them", () => {
    assert.equal(readings(Array.from({ length: 60 }, () => "a").join("--")).length, 16);
  });
});
