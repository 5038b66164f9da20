/**
 * Many hubs on one store, killed at random under load. AETHERFS_HUBS_SEED repeats a run, as far as time allows;
 * AETHERFS_HUBS_PUBLISHES: of each of four publishers (12); AETHERFS_HUBS_STORE: the address of a store that is there, such as
 * a bucket, whose AWS_* variables the hubs get too.
 */
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { join } from "node:path";
import { describe, it } from "node:test";
import { temporaryFolder } from "../../src/dataset/testing/folder.ts";
import { check } from "./checker.ts";
import { runHubs } from "./run.ts";

const HUBS = 3;

function numberOf(variable: string, otherwise: number): number {
  const number = Number(process.env[variable] ?? otherwise);
  assert.ok(Number.isSafeInteger(number) && number >= 0, `${variable} is no number`);
  return number;
}

describe("many hubs on one store", () => {
  it("killed and started anew under load, lose and double nothing, and nobody sees more than errors to retry", async (t) => {
    const seed = numberOf("AETHERFS_HUBS_SEED", randomInt(2 ** 32));
    const publishes = numberOf("AETHERFS_HUBS_PUBLISHES", 12);
    t.diagnostic(`AETHERFS_HUBS_SEED=${seed}`);
    const { path: folder, remove } = temporaryFolder();
    try {
      const given = process.env["AETHERFS_HUBS_STORE"];
      const environment = Object.fromEntries(
        Object.entries(process.env).filter(
          (entry): entry is [string, string] => given !== undefined && entry[0].startsWith("AWS_"),
        ),
      );
      const store = given ?? join(folder, "store");
      const run = await runHubs({ store, folder, hubs: HUBS, environment, seed, publishes });
      const { recording, state, kills } = run;
      const { changes, looks, readings, watchings } = recording;
      const codes = Map.groupBy([...changes, ...looks, ...readings], ({ code }) => code);
      codes.delete(undefined);
      const failed = [...codes].map(([code, calls]) => `${code} ${calls.length} times`).join(", ");
      const resumed = watchings.reduce((sum, { codes }) => sum + codes.length, 0);
      t.diagnostic(
        `${kills} kills, ${changes.length} changes, ${state.events.length} events, ${looks.length} looks, ` +
          `${readings.length} readings; answered with ${failed || "no error"}; ${resumed} watches resumed`,
      );
      assert.deepEqual(check(recording, state), [], `AETHERFS_HUBS_SEED=${seed}`);
      assert.ok(kills > 0 && readings.some(({ outcome }) => outcome === "ok"), "the run was none");
    } finally {
      remove();
    }
  });
});
