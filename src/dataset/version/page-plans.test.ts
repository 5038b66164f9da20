/** Plans of pages in terms of others that somebody made to harm who reads them. docs/format.md §7.1 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { must } from "../../base/assert.ts";
import { codeOf, type ErrorCode } from "../../base/errors.ts";
import { digestOf, type Digest } from "../../format/digest.ts";
import { ELSEWHERE, decodePlan, encodePlan, type Plan } from "../../format/plan.ts";
import type { Store } from "../../store/dataset-store.ts";
import { gather } from "../testing/engine.ts";
import { openMemoryStore, VersionBuilder } from "../testing/version-builder.ts";
import { entries } from "./entries.ts";
import { openVersion } from "./version.ts";

const FILES = 1500;
const NOWHERE = digestOf(Buffer.from("nowhere"));

let store: Store;
let version: Digest;
/** The top page of the version's entries, its plan, and a page below it. */
let top: Digest;
let sound: Plan;
before(async () => {
  store = await openMemoryStore();
  const files = Array.from({ length: FILES }, (_, file) => [`file-${file}`, { bytes: `${file}` }] as const);
  ({ digest: version } = await new VersionBuilder(store).build(Object.fromEntries(files), { paged: true }));
  const { root } = await openVersion({ store }, version);
  top = must(root.entries, "there are entries").digest;
  sound = decodePlan(must(await store.datasets.getPlan(top), "it has a plan").value);
});
after(() => store.close());

/** A plan that leaves all to the plan of `key`. */
function on(key: Digest, height: number, first = 0): Plan {
  const places = sound.places.map((_, item) => ({ frame: ELSEWHERE, offset: first + item }));
  return { covers: "items", frames: [], places, base: { kind: "page", key, height } };
}

async function put(key: Digest, plan: Plan): Promise<void> {
  const present = await store.datasets.getPlan(key);
  await store.datasets.putPlan(key, encodePlan(plan), present?.revision);
}

/** Reads all entries by these plans; the code of what goes wrong. */
async function read(plans: ReadonlyMap<Digest, Plan>): Promise<ErrorCode | undefined> {
  for (const [key, plan] of plans) await put(key, plan);
  try {
    const found = await gather(entries(await openVersion({ store }, version)));
    assert.equal(found.length, FILES);
    return undefined;
  } catch (error) {
    return codeOf(error);
  }
}

describe("the plan of a page in terms of another's", () => {
  const [one, two] = ["one", "two"].map((name) => digestOf(Buffer.from(name)));
  assert.ok(one !== undefined && two !== undefined);

  it("leads to where the other says", async () => {
    assert.equal(
      await read(
        new Map([
          [top, on(one, 2)],
          [one, on(two, 1)],
          [two, sound],
        ]),
      ),
      undefined,
    );
  });

  it("that is missing, is reported", async () => {
    assert.equal(await read(new Map([[top, on(NOWHERE, 1)]])), "OBJECT_MISSING");
  });

  const wrong: readonly (readonly [string, () => ReadonlyMap<Digest, Plan>])[] = [
    ["in terms of itself", () => new Map([[top, on(top, 6)]])],
    [
      "in a circle",
      () =>
        new Map([
          [top, on(one, 6)],
          [one, on(two, 5)],
          [two, on(top, 4)],
        ]),
    ],
    [
      "no lower than itself",
      () =>
        new Map([
          [top, on(one, 1)],
          [one, on(two, 1)],
          [two, sound],
        ]),
    ],
    [
      "past the other's items",
      () =>
        new Map([
          [top, on(one, 1, 1)],
          [one, sound],
        ]),
    ],
    [
      "of a version's",
      () =>
        new Map([
          [top, on(one, 1)],
          [one, { ...sound, covers: "version" }],
        ]),
    ],
  ];
  for (const [what, plans] of wrong) {
    it(`${what}, is refused`, async () => {
      assert.equal(await read(plans()), "OBJECT_INVALID");
    });
  }
});
