import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { codeOf } from "../../base/errors.ts";
import { temporaryFolder } from "../testing/folder.ts";
import { packRequests, unpackItems, type EncodeInput } from "./encode-task.ts";
import { WorkerPool } from "./pool.ts";

function memoryOf(text: string): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(text.length);
  new Uint8Array(memory).set(Buffer.from(text));
  return memory;
}

/** A job that leaves its input as it is. */
function inputOf(text: string): EncodeInput {
  const request = { start: 0, end: text.length, chunkEnds: [text.length], dictionary: undefined };
  return packRequests(memoryOf(text), 0, [request]);
}

test("a pool runs more jobs than it has threads, and none is lost", async () => {
  const pool = new WorkerPool(2);
  const jobs = Array.from({ length: 20 }, (_, index) =>
    pool.run("encodeFrames", inputOf("x".repeat(index + 1))),
  );
  const outputs = await Promise.all(jobs);
  assert.deepEqual(
    outputs.map((packed) => unpackItems(packed)[0]?.storedBytes),
    jobs.map((_, index) => index + 1),
  );
  await pool.close();
});

test("a task's error arrives with its code, and the thread goes on", async () => {
  const pool = new WorkerPool(1);
  const frame = { block: "", offset: 0, storedBytes: 3, codec: 1, decodedBytes: 9, dictionary: undefined };
  const unit = { frames: [frame], chunks: [], stored: [Buffer.from("bad")], locals: [] };
  await assert.rejects(pool.run("decodeUnit", unit as never), (error) => codeOf(error) === "OBJECT_CORRUPT");
  assert.equal(unpackItems(await pool.run("encodeFrames", inputOf("ok"))).length, 1);
  await pool.close();
});

test("a job whose signal aborts before it starts is dropped, and rejects with the signal's reason", async () => {
  const pool = new WorkerPool(1);
  const controller = new AbortController();
  const first = pool.run("encodeFrames", inputOf("first"));
  const second = pool.run("encodeFrames", inputOf("second"), { signal: controller.signal });
  controller.abort();
  await assert.rejects(second, (error) => codeOf(error) === "CANCELLED");
  assert.equal(unpackItems(await first).length, 1);
  assert.equal(pool.queued, 0);
  await pool.close();
});

test("a closed pool rejects what is under way and what comes", async () => {
  const pool = new WorkerPool(1);
  const jobs = [pool.run("encodeFrames", inputOf("a")), pool.run("encodeFrames", inputOf("b"))];
  const outcomes = Promise.allSettled(jobs);
  await pool.close();
  assert.deepEqual(
    (await outcomes).map(({ status }) => status),
    ["rejected", "rejected"],
  );
  await assert.rejects(pool.run("encodeFrames", inputOf("c")));
});

test("a process waits for its jobs, but not for threads without one", () => {
  const url = new URL("./pool.ts", import.meta.url).href;
  const script = `
    import { WorkerPool } from ${JSON.stringify(url)};
    const frames = { frames: [], chunks: [], stored: [], locals: [] };
    console.log((await new WorkerPool(2).run("decodeUnit", frames)).length);`;
  const folder = temporaryFolder();
  try {
    const file = path.join(folder.path, "script.mjs");
    fs.writeFileSync(file, script);
    assert.equal(execFileSync(process.execPath, [file], { encoding: "utf8" }), "0\n");
  } finally {
    folder.remove();
  }
});
