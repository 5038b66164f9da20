import assert from "node:assert/strict";
import { test } from "node:test";
import {
  objectName,
  type CondemnedRecord,
  type EpochRecord,
  type FloorRecord,
} from "../../format/prune-record.ts";
import type { Digest } from "../../format/digest.ts";
import { parseTag } from "../../format/reference.ts";
import type { Revision } from "../dataset-store.ts";
import { OBJECT_KINDS } from "../keys.ts";
import { failsWith } from "./block-store-suite.ts";
import { all, leaseOf, named, NAME, TAG } from "./dataset-store-suite.ts";
import { onStore, type StoreFactory } from "./fixture.ts";

/** Registers what a DatasetStore must hold to for prune: leases, epochs, condemned names, and removing objects. */
export function pruneTests(factory: StoreFactory): void {
  test("a lease, replaced, must be as it was read: of two who take it over one is told so", () =>
    onStore(factory, async ({ store: { datasets } }) => {
      const id = "c".repeat(32);
      assert.equal(await datasets.getLease(id), undefined);
      const first = await datasets.replaceLease(leaseOf(id), undefined);
      await failsWith(datasets.replaceLease(leaseOf(id, 9), undefined), "OBJECT_CONFLICT");
      const second = await datasets.replaceLease(leaseOf(id, 1), first);
      await failsWith(datasets.replaceLease(leaseOf(id, 2), first), "OBJECT_CONFLICT");
      assert.deepEqual(await datasets.getLease(id), { value: leaseOf(id, 1), revision: second });
      await datasets.removeLease(id);
      await failsWith(datasets.replaceLease(leaseOf(id, 2), second), "OBJECT_CONFLICT");
    }));

  test("the time of a lease, by the store's own clock, does not go back as it is renewed", () =>
    onStore(factory, async ({ store: { datasets } }) => {
      const id = "d".repeat(32);
      assert.equal(await datasets.leaseTimeMs(id), undefined);
      const first = await datasets.replaceLease(leaseOf(id), undefined);
      const before = await datasets.leaseTimeMs(id);
      await datasets.replaceLease(leaseOf(id, 1), first);
      const after = await datasets.leaseTimeMs(id);
      assert.ok(before !== undefined && after !== undefined && after >= before);
    }));

  const epochOf = (number: number, state: EpochRecord["state"] = "marked"): EpochRecord => ({
    ...{ number, state, mark: "a".repeat(32), parts: 2, markedMs: 7, sweeper: null },
    datasets: [{ name: NAME, incarnation: "0".repeat(32), time: "2026-11-28T10:00:00.000Z" }],
    rescued: [objectName("plans", named("p"))],
    floors: number > 1,
  });

  test("epochs, made and changed by compare-and-set, are listed in order and removed", () =>
    onStore(factory, async ({ store: { datasets } }) => {
      assert.deepEqual(await all(datasets.listEpochs()), []);
      assert.equal(await datasets.getEpoch(1), undefined);
      const first = await datasets.putEpoch(epochOf(1), undefined);
      await failsWith(datasets.putEpoch(epochOf(1, "done"), undefined), "OBJECT_CONFLICT");
      const second = await datasets.putEpoch(epochOf(1, "sweeping"), first);
      await failsWith(datasets.putEpoch(epochOf(1, "done"), first), "OBJECT_CONFLICT");
      assert.deepEqual(await datasets.getEpoch(1), { value: epochOf(1, "sweeping"), revision: second });
      await datasets.putEpoch(epochOf(12), undefined);
      await datasets.putEpoch(epochOf(2), undefined);
      assert.deepEqual(await all(datasets.listEpochs()), [1, 2, 12]);
      await datasets.removeEpoch(2);
      await datasets.removeEpoch(2);
      assert.deepEqual(await all(datasets.listEpochs()), [1, 12]);
    }));

  test("a tag's floor, made and changed by compare-and-set, is that tag's alone, and goes with the dataset's records", () =>
    onStore(factory, async ({ store: { datasets } }) => {
      const first: FloorRecord = { incarnation: "0".repeat(32), floor: 4, kept: [1, 3], retention: null };
      const keepLast = { keepLast: 2, keepWithinSeconds: null, keepTags: [] };
      const second: FloorRecord = { ...first, floor: 9, kept: [3], retention: keepLast };
      assert.equal(await datasets.getFloor(NAME, TAG), undefined);
      const revision = await datasets.putFloor(NAME, TAG, first, undefined);
      await failsWith(datasets.putFloor(NAME, TAG, second, undefined), "OBJECT_CONFLICT");
      const next = await datasets.putFloor(NAME, TAG, second, revision);
      await failsWith(datasets.putFloor(NAME, TAG, first, revision), "OBJECT_CONFLICT");
      assert.deepEqual(await datasets.getFloor(NAME, TAG), { value: second, revision: next });
      assert.equal(await datasets.getFloor(NAME, parseTag("other")), undefined);
      // Whether it found any is not asked: a repeated call, whose first answer was lost, finds none.
      while (await datasets.removeRecords(NAME)) continue;
      assert.equal(await datasets.getFloor(NAME, TAG), undefined);
    }));

  test("condemned names, written in parts, are read by who knows under which lease, and removed together", () =>
    onStore(factory, async ({ store: { datasets } }) => {
      const [a, b] = ["a".repeat(32), "b".repeat(32)];
      const part = (mark: string, number: number): CondemnedRecord => ({
        ...{ mark, part: number },
        names: [objectName("blocks", named(`${mark}${number}`)), objectName("domain-plans", named("d"))],
      });
      for (const record of [part(a, 1), part(a, 2), part(b, 1)]) await datasets.putCondemned(record);
      assert.deepEqual(await datasets.getCondemned(a, 2), part(a, 2));
      assert.equal(await datasets.getCondemned(b, 2), undefined);
      assert.deepEqual(await all(datasets.listMarks()), [a, b]);
      await datasets.removeCondemned(a);
      await datasets.removeCondemned(a);
      assert.deepEqual(await all(datasets.listMarks()), [b]);
      assert.equal(await datasets.getCondemned(a, 1), undefined);
      await failsWith(datasets.getCondemned("../leases", 1), "ARGUMENT_INVALID");
    }));

  test("plans, listed, are all there are, with the revisions that reading them gives, or with none of them", () =>
    onStore(factory, async ({ store: { datasets } }) => {
      const [one, other] = [named("1"), named("2")];
      const first = await datasets.putPlan(one, Buffer.from("p"), undefined);
      await datasets.putPlan(one, Buffer.from("q"), first);
      await datasets.putPlan(other, Buffer.from("p"), undefined);
      await datasets.putPlan(other, Buffer.from("d"), undefined, { domain: "@x" });
      const listed = await all(datasets.listPlans("plans"));
      const read = async (digest: Digest): Promise<Revision | undefined> =>
        (await datasets.getPlan(digest))?.revision;
      const expected = [one, other].sort();
      assert.deepEqual(
        listed.map(({ digest }) => digest),
        expected,
      );
      const revisions = await Promise.all(expected.map(read));
      if (listed.some(({ revision }) => revision !== undefined))
        assert.deepEqual(
          listed.map(({ revision }) => revision),
          revisions,
        );
      const [apart] = await all(datasets.listPlans("domain-plans"));
      const own = await datasets.getPlan(other, { domain: "@x" });
      assert.ok(apart !== undefined && (apart.revision ?? own?.revision) === own?.revision);
    }));

  test("objects of each kind are found, listed by their digests and removed, and no others with them", () =>
    onStore(factory, async ({ store: { datasets } }) => {
      const [one, other] = [named("1"), named("2")];
      for (const digest of [one, other]) {
        await datasets.putManifest(digest, Buffer.from("m"));
        await datasets.putPlan(digest, Buffer.from("p"), undefined);
        await datasets.putPlan(digest, Buffer.from("d"), undefined, { domain: "@x" });
        await datasets.putView({ kind: "view", digest }, Buffer.from("v"), undefined);
        await datasets.putView({ kind: "signature", digest }, Buffer.from("s"), undefined);
      }
      for (const kind of OBJECT_KINDS) {
        const [gone = one, left = other] = await all(datasets.listObjects(kind));
        if (kind !== "domain-plans") assert.deepEqual([gone, left], [one, other].sort());
        assert.equal(await datasets.hasObject(kind, gone), true);
        await datasets.removeObject(kind, gone);
        await datasets.removeObject(kind, gone);
        assert.equal(await datasets.hasObject(kind, gone), false);
        assert.deepEqual(await all(datasets.listObjects(kind)), [left]);
      }
    }));
}
