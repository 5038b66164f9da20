/** Marking a store again whose lists say what has changed. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, describe, it } from "node:test";
import { systemClock } from "../../base/clock.ts";
import { codeOf } from "../../base/errors.ts";
import { systemRandom } from "../../base/random.ts";
import type { Digest } from "../../format/digest.ts";
import { all } from "../../store/conformance/dataset-store-suite.ts";
import type { DatasetStore, Revision, Store } from "../../store/dataset-store.ts";
import { openStore } from "../../store/drivers/all.ts";
import type { Engine } from "../engine.ts";
import { withLocalIngest } from "../ingest/local-ingest.ts";
import { push } from "../push/push.ts";
import { noise, testEngine } from "../testing/engine.ts";
import { temporaryFolder } from "../testing/folder.ts";
import { withMembers } from "../testing/prune-bed.ts";
import { BED_TAG } from "../testing/push-bed.ts";
import { TEST_CHUNKING } from "../testing/version-builder.ts";
import { WorkerPool } from "../workers/pool.ts";
import { surveyLive } from "./survey.ts";

const pool = new WorkerPool(2);
const folder = temporaryFolder();
after(async () => {
  await pool.close();
  folder.remove();
});

/** A store of some versions, each with a plan, and what counts the plans that are read from it. */
async function fill(): Promise<{ store: Store; engine: Engine; reads: () => number; cacheDir: string }> {
  const store = await openStore("memory:", { create: true, clock: systemClock, random: systemRandom });
  const cacheDir = path.join(folder.path, systemRandom.id());
  const source = path.join(cacheDir, "source");
  fs.mkdirSync(source, { recursive: true });
  for (let version = 0; version < 8; version++) {
    fs.writeFileSync(path.join(source, "big"), noise(version, 50_000));
    const ingest = withLocalIngest({ ...testEngine(store, path.join(cacheDir, "push")), pool });
    await push(ingest, { source, tags: [BED_TAG], publisher: "test", chunking: TEST_CHUNKING });
  }
  let count = 0;
  const getPlan: DatasetStore["getPlan"] = (...parameters) => {
    count++;
    return store.datasets.getPlan(...parameters);
  };
  const engine = { ...testEngine(withMembers(store, { getPlan }), cacheDir), pool };
  const reads = (): number => {
    const before = count;
    count = 0;
    return before;
  };
  return { store, engine, reads, cacheDir };
}

async function liveNames(engine: Engine): Promise<string[]> {
  const { live } = await surveyLive(engine, [], {});
  const frames = (block: Digest): string => [...(live.framesOf(block)?.offsets() ?? [])].join();
  return [...live.names()].map((name) => `${name} ${frames(name.slice(7) as Digest)}`).sort();
}

function database(cacheDir: string): string {
  const [file = ""] = fs.readdirSync(path.join(cacheDir, "prune")).filter((name) => name.endsWith(".db"));
  return path.join(cacheDir, "prune", file);
}

describe("a second marking", () => {
  it("reads no plan that a list says to be as it was, and finds the same", async () => {
    const { engine, reads } = await fill();
    const without = await liveNames({ ...engine, cacheDir: undefined });
    const count = reads();
    assert.ok(count > 4);
    assert.deepEqual(await liveNames(engine), without);
    assert.equal(reads(), count);
    assert.deepEqual(await liveNames(engine), without);
    assert.equal(reads(), 0);
  });

  it("reads a plan that was replaced, and forgets one that went", async () => {
    const { store, engine, reads, cacheDir } = await fill();
    await liveNames(engine);
    reads();
    const [digest = assert.fail()] = await all(store.datasets.listObjects("plans"));
    const found = (await store.datasets.getPlan(digest)) ?? assert.fail();
    await store.datasets.removeObject("plans", digest);
    await store.datasets.putPlan(digest, Buffer.concat([found.value]), undefined);
    await liveNames(engine);
    assert.equal(reads(), 0);
    const rows = (): number => {
      const db = new DatabaseSync(database(cacheDir));
      const count = Number(db.prepare("SELECT count(*) AS count FROM plan").get()?.["count"]);
      db.close();
      return count;
    };
    const before = rows();
    await store.datasets.putPlan(digest, Buffer.from("not a plan"), found.revision);
    await assert.rejects(liveNames(engine), { code: "OBJECT_INVALID" });
    assert.ok(reads() > 0);
    await store.datasets.removeObject("plans", digest);
    await surveyLive(engine, [], {}).catch((error: unknown) => assert.equal(codeOf(error), "OBJECT_MISSING"));
    assert.ok(reads() > 0);
    const again = await store.datasets.putPlan(digest, found.value, undefined);
    assert.equal(again, found.revision);
    await liveNames(engine);
    assert.equal(rows(), before);
  });

  it("reads what a copy does not hold any more as it was written, or all when the file is no database", async () => {
    const { engine, reads, cacheDir } = await fill();
    const names = await liveNames(engine);
    reads();
    const file = database(cacheDir);
    const db = new DatabaseSync(file);
    db.exec("UPDATE plan SET bytes = zeroblob(length(bytes)) WHERE rowid = 1");
    db.exec("UPDATE plan SET revision = revision || 'x' WHERE rowid = 2");
    db.close();
    assert.deepEqual(await liveNames(engine), names);
    assert.equal(reads(), 2);
    for (const suffix of ["-wal", "-shm"]) fs.rmSync(file + suffix, { force: true });
    fs.writeFileSync(file, "no database, however long it is: ".repeat(100));
    assert.deepEqual(await liveNames(engine), names);
    assert.ok(reads() > 4);
    assert.deepEqual(await liveNames(engine), names);
    assert.equal(reads(), 0);
  });

  it("of a store whose lists say no revisions reads all plans, and keeps no copies", async () => {
    const { store, engine, reads, cacheDir } = await fill();
    async function* listPlans(
      ...parameters: Parameters<DatasetStore["listPlans"]>
    ): AsyncGenerator<{ digest: Digest; revision: Revision | undefined }> {
      for await (const { digest } of store.datasets.listPlans(...parameters))
        yield { digest, revision: undefined };
    }
    const blind = { ...engine, store: withMembers(engine.store, { listPlans }) };
    for (let run = 0; run < 2; run++) {
      await liveNames(blind);
      assert.ok(reads() > 4);
    }
    const db = new DatabaseSync(database(cacheDir));
    assert.equal(db.prepare("SELECT 1 FROM plan").get(), undefined);
    db.close();
  });
});
