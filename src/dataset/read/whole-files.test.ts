import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { systemClock } from "../../base/clock.ts";
import { SILENT_LOG } from "../../base/log.ts";
import { systemRandom } from "../../base/random.ts";
import { digestOf } from "../../format/digest.ts";
import { WorkerPool } from "../workers/pool.ts";
import { WholeFiles, type WantedFile } from "./whole-files.ts";

function folderOf(t: TestContext): {
  readonly folder: string;
  readonly open: (bytesMax: number) => Promise<WholeFiles>;
} {
  const folder = mkdtempSync(join(tmpdir(), "aetherfs-whole-"));
  const pool = new WorkerPool(1);
  t.after(async () => {
    await pool.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const parts = { pool, clock: systemClock, random: systemRandom, log: SILENT_LOG };
  return { folder, open: (bytesMax) => WholeFiles.open({ folder, bytesMax, ...parts }) };
}

function wanted(text: string, given = text): WantedFile {
  const bytes = Buffer.from(given);
  return {
    digest: digestOf(Buffer.from(text)),
    size: text.length,
    read: async function* () {
      yield bytes.subarray(0, 3);
      yield bytes.subarray(3);
    },
  };
}

async function made(files: WholeFiles, file: WantedFile): Promise<string | undefined> {
  files.want(file);
  while (files.find(file.digest) === undefined && files.isBusy)
    await new Promise((resolve) => setImmediate(resolve));
  return files.find(file.digest);
}

test("a whole file that is wanted is made, and found by its digest, also by the next who opens the folder, once it is verified", async (t) => {
  const { open } = folderOf(t);
  const files = await open(1000);
  const file = wanted("some content");
  const path = await made(files, file);
  assert.equal(readFileSync(path ?? "", "utf8"), "some content");
  const next = await open(1000);
  assert.equal(next.find(file.digest), undefined);
  assert.ok(next.has(file.digest));
  assert.equal(await made(next, { ...file, read: () => assert.fail("it is there") }), path);
});

test("a whole file that is damaged, or whose source gives something else, is not found", async (t) => {
  const { folder, open } = folderOf(t);
  const files = await open(1000);
  assert.equal(await made(files, wanted("some content", "else content")), undefined);
  assert.deepEqual(readdirSync(folder), []);
  const file = wanted("some content");
  writeFileSync(join(folder, file.digest), "same length!");
  const next = await open(1000);
  const path = await made(next, file);
  assert.equal(readFileSync(path ?? "", "utf8"), "some content");
});

test("whole files take no more than they may: the one used longest ago goes, and a large one is not made", async (t) => {
  const { folder, open } = folderOf(t);
  const files = await open(20);
  for (const text of ["first 9 b", "other 9 b", "third 9 b"]) assert.ok(await made(files, wanted(text)));
  await files.rest();
  assert.deepEqual(
    readdirSync(folder).sort(),
    [wanted("other 9 b").digest, wanted("third 9 b").digest].sort(),
  );
  assert.equal(await made(files, wanted("eleven byte")), undefined);
});

test("whole files of two who share a folder take together no more than each may, and what one removed the other has no more", async (t) => {
  const { folder, open } = folderOf(t);
  const [one, other] = [await open(20), await open(20)];
  const file = wanted("first 9 b");
  assert.ok(await made(one, file));
  for (const text of ["other 9 b", "third 9 b"]) assert.ok(await made(other, wanted(text)));
  await other.rest();
  assert.equal(readdirSync(folder).length, 2);
  assert.ok(await made(one, wanted("fourth 10b")));
  await one.rest();
  assert.equal(readdirSync(folder).length, 2);
  assert.equal(one.find(file.digest), undefined);
});

test("nothing is kept whole in a folder that others may write to", async (t) => {
  const { folder, open } = folderOf(t);
  chmodSync(folder, 0o777);
  assert.equal(await made(await open(1000), wanted("some content")), undefined);
  assert.deepEqual(readdirSync(folder), []);
});
