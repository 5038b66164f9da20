/** Pushes and pulls on S3 that are killed, or whose requests fail. */
import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Rule } from "../servers/fault-proxy.ts";
import { radosgw } from "../servers/shared.ts";
import { assertPulls, EVENTS, HISTORY, numbersOf, placeOn, TAG, writeTree } from "./s3-tree.ts";

/** Where a push is killed, by the request that it is waiting for. */
const KILLS = [
  { path: /\/blocks\//, hasMoved: false },
  { path: /plans\//, hasMoved: false },
  { path: /\/manifests\//, hasMoved: false },
  { path: /\/history\//, hasMoved: false },
  { path: /\/events\//, hasMoved: true },
];

test("a push to S3, killed at any step, leaves the old version or the new one, and the next push heals", async (t) => {
  const place = await placeOn(t, radosgw);
  if (place === undefined) return;
  const source = writeTree(place, 0);
  const old = join(place.folder, "old");
  await place.json("push", "-t", TAG, source);
  for (const [index, { path, hasMoved }] of KILLS.entries()) {
    cpSync(source, old, { recursive: true, preserveTimestamps: true });
    writeTree(place, index + 1);
    const countBefore: number = (await place.keys(HISTORY)).length;
    place.proxy.reset();
    place.proxy.setRules([{ operation: "PutObject", path, fault: { kind: "delayed", delayMs: 3_600_000 } }]);
    const { exit } = await place.killed(["push", "-t", TAG, source]);
    assert.equal(exit, null, `the push that waits for ${path.source} was killed`);
    place.proxy.setRules([]);
    assert.equal((await place.keys(HISTORY)).length - countBefore, hasMoved ? 1 : 0, path.source);
    await assertPulls(place, hasMoved ? source : old);
    await place.json("push", "-t", TAG, source);
  }
  await assertPulls(place, source);
  await place.json("verify", TAG);
  const numbers = await numbersOf(place);
  assert.deepEqual(
    numbers,
    numbers.map((_, index) => index + 1),
  );
});

function lost(path: RegExp): Rule {
  return { operation: "PutObject", path, nth: 1, fault: { kind: "answer lost" } };
}

for (const { where, rules } of [
  { where: "twice at the commit", rules: [lost(/\/history\//), lost(/\/history\//)] },
  {
    where: "once at each kind of object",
    rules: [
      ...[/store\.json/, /\/blocks\//, /plans\//, /\/manifests\//, /\/dataset\.json/].map(lost),
      ...[/\/history\//, /\/events\//, /\/tags\//, /\/leases\//].map(lost),
    ],
  },
]) {
  test(`a push to S3 whose answers are lost ${where} moves the tag exactly once, with one event`, async (t) => {
    const place = await placeOn(t, radosgw);
    if (place === undefined) return;
    const source = writeTree(place, 1);
    place.proxy.setRules(rules);
    await place.json("push", "-t", TAG, source);
    const struck = place.proxy.requests.filter(({ fault }) => fault !== undefined);
    assert.equal(struck.length, rules.length, struck.map(({ path }) => path).join("\n"));
    assert.deepEqual([(await place.keys(HISTORY)).length, (await place.keys(EVENTS)).length], [1, 1]);
    await assertPulls(place, source);
  });
}

test("a pull from S3 whose blocks come cut, short, broken off, late or not at all gives the tree", async (t) => {
  const place = await placeOn(t, radosgw);
  if (place === undefined) return;
  const source = writeTree(place, 1);
  await place.json("push", "-t", TAG, source);
  const faults = [
    { kind: "truncated", share: 0.3 },
    { kind: "short", bytes: 100 },
    { kind: "long", bytes: 100 },
    { kind: "status", status: 503, code: "SlowDown" },
    { kind: "trickling", pieces: 20, delayMs: 2 },
  ] as const;
  place.proxy.reset();
  place.proxy.setRules(
    faults.map((fault) => ({ operation: "GetObject", path: /\/blocks\//, nth: 1, fault })),
  );
  await assertPulls(place, source);
  const struck = place.proxy.requests.flatMap(({ fault }) => fault ?? []);
  assert.deepEqual(
    struck,
    faults.map(({ kind }) => kind),
  );
});
