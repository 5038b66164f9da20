import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../base/clock.ts";
import { SILENT_LOG, type LogFacts } from "../../base/log.ts";
import { RareWarnings } from "./rare-warnings.ts";

function open(): { warnings: RareWarnings; told: LogFacts[]; pass: (ms: number) => void } {
  const told: LogFacts[] = [];
  let nowMs = 0;
  const clock = { ...systemClock, elapsedMs: () => nowMs };
  const warnings = new RareWarnings(clock, { ...SILENT_LOG, warn: (facts) => void told.push(facts) });
  return { warnings, told, pass: (ms) => (nowMs += ms) };
}

test("a warning that comes often is told once a minute, with how many there were", () => {
  const { warnings, told, pass } = open();
  const warn = (address: string): void => {
    warnings.warn(address, { address }, "refused");
  };
  for (let time = 0; time < 100; time++) warn("a");
  warn("b");
  assert.deepEqual(told, [{ address: "a" }, { address: "b" }]);
  pass(59_999);
  warn("a");
  assert.equal(told.length, 2);
  pass(1);
  warn("a");
  assert.deepEqual(told.slice(2), [{ address: "a", more: 100 }, { address: "a" }]);
});

test("warnings of very many kinds are counted together beyond the first thousand", () => {
  const { warnings, told, pass } = open();
  for (let index = 0; index < 100_000; index++) warnings.warn(`${index}`, { index }, "refused");
  assert.equal(told.length, 1001);
  pass(60_000);
  warnings.warn("0", { index: 0 }, "refused");
  assert.deepEqual(told.slice(1001), [{ more: 98_999 }, { index: 0 }]);
});
