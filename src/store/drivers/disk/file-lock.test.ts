import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock, type Clock } from "../../../base/clock.ts";
import { systemRandom } from "../../../base/random.ts";
import { failsWith } from "../../conformance/block-store-suite.ts";
import { FileLock, Mutex } from "./file-lock.ts";

async function withPath(task: (path: string, folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "aetherfs-lock-"));
  try {
    await task(join(folder, "lock"), folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test("a lock that is held is refused to others, released or closed it is not", () =>
  withPath(async (path, folder) => {
    const [first, second] = [new FileLock(path), new FileLock(path)];
    assert.equal(first.tryAcquire(), true);
    assert.equal(second.tryAcquire(), false);
    first.release();
    assert.equal(second.tryAcquire(), true);
    assert.equal(first.tryAcquire(), false);
    second.close();
    assert.equal(first.tryAcquire(), true);
    assert.deepEqual(await readdir(folder), ["lock"], "the lock is one file");
    first.close();
  }));

test("tasks of two owners of a lock never overlap, and one that fails lets the next in", () =>
  withPath(async (path) => {
    const owners = [0, 1].map(() => new Mutex(() => Promise.resolve(path), systemClock, systemRandom));
    let running = 0;
    const task = async (): Promise<void> => {
      assert.equal(++running, 1);
      await new Promise(setImmediate);
      running--;
    };
    const failure = new Error("no");
    const failing = assert.rejects(owners[0]?.run(() => Promise.reject(failure)) ?? assert.fail(), failure);
    await Promise.all([
      failing,
      ...Array.from({ length: 10 }, () => owners.map((owner) => owner.run(task))).flat(),
    ]);
    for (const owner of owners) owner.close();
  }));

test("a task that waits for a stopped owner gives up with STORE_UNAVAILABLE, or when it is aborted", () =>
  withPath(async (path) => {
    const holder = new FileLock(path);
    assert.equal(holder.tryAcquire(), true);
    let nowMs = 0;
    const sleep = async (delayMs: number, signal?: AbortSignal): Promise<void> => {
      signal?.throwIfAborted();
      nowMs += delayMs;
    };
    const clock: Clock = { nowMs: () => nowMs, elapsedMs: () => nowMs, sleep };
    const mutex = new Mutex(() => Promise.resolve(path), clock, systemRandom);
    const never = async (): Promise<void> => assert.fail("ran without the lock");
    await failsWith(mutex.run(never), "STORE_UNAVAILABLE");
    assert.ok(nowMs > 1000);
    const reason = new Error("stop");
    await assert.rejects(mutex.run(never, AbortSignal.abort(reason)), reason);
    holder.close();
    assert.equal(await mutex.run(() => Promise.resolve(7)), 7);
    mutex.close();
  }));
