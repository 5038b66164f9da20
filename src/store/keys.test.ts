import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { digestOf } from "../format/digest.ts";
import { parseDatasetName, parseTag } from "../format/reference.ts";
import * as keys from "./keys.ts";

const DIGEST = digestOf(Buffer.from("x"));
const NAME = parseDatasetName("@earth/cities");
const TAG = parseTag("v1.0");

test("keys are those of the tree in the comment", () => {
  const rest = `${DIGEST.slice(0, 2)}/${DIGEST.slice(2)}`;
  assert.equal(keys.STORE_KEY, "aetherfs/v1/store.json");
  assert.equal(keys.blockKey(DIGEST), `aetherfs/v1/blocks/${rest}`);
  assert.equal(keys.manifestKey(DIGEST), `aetherfs/v1/manifests/${rest}`);
  assert.equal(keys.planKey(DIGEST), `aetherfs/v1/plans/${rest}`);
  assert.equal(keys.datasetKey(NAME), "aetherfs/v1/datasets/@earth/cities/dataset.json");
  assert.equal(keys.datasetKey(parseDatasetName("a")), "aetherfs/v1/datasets/a/dataset.json");
  assert.equal(keys.hintKey(NAME, TAG), "aetherfs/v1/datasets/@earth/cities/tags/v1.0.json");
  assert.equal(keys.historyKey(NAME, TAG, 12), "aetherfs/v1/datasets/@earth/cities/history/v1.0/0000000012");
  assert.equal(keys.eventKey(NAME, 9_999_999_999), "aetherfs/v1/datasets/@earth/cities/events/9999999999");
  assert.equal(keys.secretKey("nfs-handles"), "aetherfs/v1/secrets/nfs-handles.json");
  assert.equal(keys.leaseKey("a".repeat(32)), `aetherfs/v1/leases/${"a".repeat(32)}`);
});

test("no key is deeper than the limit", () => {
  for (const key of [keys.historyKey(NAME, TAG, 1), keys.hintKey(NAME, TAG), keys.blockKey(DIGEST)]) {
    assert.ok(key.split("/").length <= keys.KEY_DEPTH_MAX);
  }
});

test("a digest's key, parsed, gives the digest, and only under its own prefix", () => {
  assert.equal(keys.parseDigestKey(keys.BLOCKS, keys.blockKey(DIGEST)), DIGEST);
  assert.equal(keys.parseDigestKey(keys.PLANS, keys.blockKey(DIGEST)), undefined);
  const { BLOCKS } = keys;
  const [head, rest] = [DIGEST.slice(0, 2), DIGEST.slice(2)];
  for (const wrong of [
    `${head}/${rest}/`,
    `${head}/${rest}0`,
    `${head}${rest}`,
    `${head}/${rest.toUpperCase()}`,
    "",
    "/",
  ]) {
    assert.equal(keys.parseDigestKey(BLOCKS, BLOCKS + wrong), undefined, wrong);
  }
});

test("numbers order as their keys do", () => {
  const number = fc.integer({ min: 1, max: keys.NUMBER_MAX });
  fc.assert(
    fc.property(number, number, (a, b) => {
      const [first, second] = [keys.eventKey(NAME, a), keys.eventKey(NAME, b)];
      assert.equal(first < second, a < b);
    }),
  );
});

test("a number that no key can hold is the program's error", () => {
  for (const number of [0, -1, 1.5, keys.NUMBER_MAX + 1, Number.NaN]) {
    assert.throws(() => keys.eventKey(NAME, number), /assertion failed/);
  }
});

test("any text from a disk, parsed as a key or folder, is a name of the grammar or undefined", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), fc.constantFrom("..", ".", "@", "@a", "a/b", "@a/b", "A", "a\0")),
      (text) => {
        const dataset = keys.datasetOfFolder(text);
        if (dataset !== undefined) assert.equal(parseDatasetName(dataset), text);
        const tag = keys.tagOfFolder(text);
        if (tag !== undefined) assert.equal(parseTag(tag), text);
        const scope = keys.scopePrefix(text);
        if (scope !== undefined) assert.match(text, /^@[a-z0-9][a-z0-9._-]*$/);
        assert.equal(keys.parseLeaseKey(text), undefined);
        assert.equal(keys.parseDigestKey(keys.BLOCKS, text), undefined);
      },
    ),
  );
});
