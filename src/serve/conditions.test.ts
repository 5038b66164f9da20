import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkConditions, holdsIfRange } from "./conditions.ts";

const STRONG = { etag: '"a,b"', modifiedSeconds: 1_000_000_000 };
const WEAK = { etag: 'W/"x"', modifiedSeconds: undefined };
const THEN = "Sun, 09 Sep 2001 01:46:40 GMT";

describe("conditions of a request", () => {
  it("that name entity tags, compare them strongly for If-Match and If-Range, weakly for If-None-Match", () => {
    assert.equal(checkConditions({ "if-match": '"z" , "a,b"' }, STRONG), 200);
    assert.equal(checkConditions({ "if-match": 'W/"a,b"' }, STRONG), 412);
    assert.equal(checkConditions({ "if-match": 'W/"x"' }, WEAK), 412);
    assert.equal(checkConditions({ "if-none-match": '"x"' }, WEAK), 304);
    assert.equal(checkConditions({ "if-none-match": "*" }, WEAK), 304);
    assert.equal(checkConditions({ "if-none-match": "a,b" }, STRONG), 200, "without quotes it is none");
    assert.equal(holdsIfRange({ "if-range": 'W/"x"' }, WEAK), false);
    assert.equal(holdsIfRange({ "if-range": '"a,b"' }, STRONG), true);
  });

  it("that name dates, count only where no entity tag does, and only when they are dates", () => {
    assert.equal(checkConditions({ "if-modified-since": THEN }, STRONG), 304);
    assert.equal(checkConditions({ "if-modified-since": THEN, "if-none-match": '"q"' }, STRONG), 200);
    assert.equal(checkConditions({ "if-modified-since": "yesterday" }, STRONG), 200);
    assert.equal(checkConditions({ "if-modified-since": THEN }, WEAK), 200, "nobody knows when");
    assert.equal(checkConditions({ "if-unmodified-since": THEN }, STRONG), 200);
    assert.equal(checkConditions({ "if-unmodified-since": "Sun, 09 Sep 2001 01:46:39 GMT" }, STRONG), 412);
    assert.equal(checkConditions({ "if-modified-since": "2101-01-01" }, STRONG), 200, "no date of HTTP");
    assert.equal(checkConditions({ "if-unmodified-since": "1970" }, STRONG), 200);
    assert.equal(holdsIfRange({ "if-range": THEN }, { ...STRONG, isModifiedStrong: true }), true);
    assert.equal(holdsIfRange({ "if-range": THEN }, STRONG), false, "two contents may have one date");
    assert.equal(holdsIfRange({ "if-range": THEN }, WEAK), false);
  });
});
