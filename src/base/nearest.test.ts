import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { didYouMean, nearest } from "./nearest.ts";

describe("nearest", () => {
  it("of a mistyped name, gives the nearest first", () => {
    assert.deepEqual(nearest("maxmnid", ["geonames", "maxmind2", "maxmind"]), ["maxmind"]);
    assert.deepEqual(nearest("stabel", ["latest", "stabl", "stable"]), ["stabl", "stable"]);
  });

  it("of the beginning of a name, gives the name", () => {
    assert.deepEqual(nearest("cities", ["cities.json-2026", "world"]), ["cities.json-2026"]);
  });

  it("of a name that is like none, gives nothing, and so does the message", () => {
    assert.deepEqual(nearest("abcdef", ["uvwxyz"]), []);
    assert.equal(didYouMean("abcdef", ["uvwxyz"]), "");
    assert.equal(didYouMean("abcdef", ["abcdeg", "abcdeh"]), "; did you mean abcdeg or abcdeh?");
  });

  it("of anything, gives at most three of the candidates", () => {
    fc.assert(
      fc.property(fc.array(fc.string()), fc.string({ minLength: 1 }), (candidates, name) => {
        const near = nearest(name, candidates);
        assert.ok(near.length <= 3 && near.every((candidate) => candidates.includes(candidate)));
      }),
    );
  });
});
