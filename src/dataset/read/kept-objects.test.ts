import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { systemClock } from "../../base/clock.ts";
import { SILENT_LOG } from "../../base/log.ts";
import { systemRandom } from "../../base/random.ts";
import { digestOf, type Digest } from "../../format/digest.ts";
import { KeptObjects } from "./kept-objects.ts";

function folderOf(t: TestContext): {
  readonly folder: string;
  readonly open: (bytesMax: number) => KeptObjects;
} {
  const folder = mkdtempSync(join(tmpdir(), "aetherfs-kept-"));
  t.after(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const parts = { clock: systemClock, random: systemRandom, log: SILENT_LOG };
  return { folder, open: (bytesMax) => new KeptObjects({ folder, bytesMax, ...parts }) };
}

function named(number: number): Digest {
  return digestOf(Buffer.of(number));
}

function textOf(kept: KeptObjects, number: number): string | undefined {
  const found = kept.find("plan", named(number));
  return found && Buffer.from(found).toString();
}

test("an object that is kept is found by its kind and digest, as it was kept last, also by who opens the folder later", (t) => {
  const { open } = folderOf(t);
  const kept = open(10_000);
  assert.equal(textOf(kept, 1), undefined);
  kept.keep("plan", named(1), Buffer.from("first"));
  kept.keep("plan", named(1), Buffer.from("then"));
  for (const each of [kept, open(10_000)]) {
    assert.equal(textOf(each, 1), "then");
    assert.equal(each.find("page", named(1)), undefined);
  }
});

test("an object that is damaged, cut short or replaced by something else is not there", (t) => {
  const { folder, open } = folderOf(t);
  for (const damage of [
    (file: string, bytes: Buffer) => {
      bytes.writeUInt8(bytes.readUInt8(bytes.byteLength - 1) ^ 1, bytes.byteLength - 1);
      writeFileSync(file, bytes);
    },
    (file: string, bytes: Buffer) => {
      writeFileSync(file, bytes.subarray(0, bytes.byteLength - 1));
    },
    (file: string) => {
      writeFileSync(file, "");
    },
    (file: string) => {
      rmSync(file);
    },
  ]) {
    const kept = open(10_000);
    kept.keep("plan", named(1), Buffer.from("content"));
    const [name = ""] = readdirSync(folder);
    damage(join(folder, name), readFileSync(join(folder, name)));
    assert.equal(textOf(kept, 1), undefined);
    assert.deepEqual(readdirSync(folder), []);
    kept.keep("plan", named(1), Buffer.from("anew"));
    assert.equal(textOf(kept, 1), "anew");
  }
});

test("objects take no more room than they may: what was used longest ago goes first, also what another process left", (t) => {
  const { folder, open } = folderOf(t);
  const content = Buffer.alloc(1000 - 32);
  const kept = open(8000);
  for (let number = 0; number < 8; number++) kept.keep("plan", named(number), content);
  assert.notEqual(textOf(kept, 0), undefined);
  kept.keep("plan", named(8), content);
  assert.equal(textOf(kept, 1), undefined);
  assert.equal(readdirSync(folder).length, 8);
  kept.keep("plan", named(9), Buffer.alloc(1001 - 32));
  assert.equal(textOf(kept, 9), undefined, "one that would take more than an eighth is not kept");
  for (const [age, number] of [5, 0, 2, 3, 4, 6, 7, 8].entries()) {
    const file = join(folder, `plan-${named(number)}`);
    utimesSync(file, new Date(1_000_000 + age * 1000), new Date(1_000_000 + age * 1000));
  }
  const later = open(8000);
  assert.notEqual(textOf(later, 5), undefined, "used now");
  later.keep("plan", named(9), content);
  assert.deepEqual(
    [5, 0, 2, 9].map((number) => textOf(later, number) !== undefined),
    [true, false, true, true],
  );
});
