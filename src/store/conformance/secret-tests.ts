import assert from "node:assert/strict";
import { test } from "node:test";
import { onStore, type StoreFactory } from "./fixture.ts";

/** What every store must hold to about secrets. */
export function secretTests(factory: StoreFactory): void {
  test("a secret, made by many at once, is the one's who was told so, and stays", () =>
    onStore(factory, async ({ store: { datasets } }) => {
      assert.equal(await datasets.getSecret("nfs-handles"), undefined);
      const secrets = ["a", "b", "c", "d"].map((digit) => digit.repeat(64));
      const make = (secret: string): Promise<boolean> =>
        datasets.createSecret({ purpose: "nfs-handles", secret });
      const made = await Promise.all(secrets.map(make));
      assert.equal(made.filter(Boolean).length, 1);
      const winner = secrets[made.indexOf(true)];
      assert.equal((await datasets.getSecret("nfs-handles"))?.secret, winner);
      assert.equal(await make("e".repeat(64)), false);
      assert.equal((await datasets.getSecret("nfs-handles"))?.secret, winner);
    }));
}
