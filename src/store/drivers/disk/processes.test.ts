/** Many processes on one folder, and what a killed one leaves. */
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { systemClock } from "../../../base/clock.ts";
import { systemRandom } from "../../../base/random.ts";
import { digestOf } from "../../../format/digest.ts";
import { assertEntries, entriesOf, NAME, named, TAG } from "../../conformance/dataset-store-suite.ts";
import { fractions } from "../../conformance/faulty-store.ts";
import { leftoversIn } from "../../conformance/fixture.ts";
import type { Store } from "../../dataset-store.ts";
import { openStore } from "../all.ts";

const CHILD = join(import.meta.dirname, "../../conformance/store-child.ts");

function start(...parameters: readonly string[]): ChildProcess {
  return spawn(process.execPath, [CHILD, ...parameters], { stdio: ["ignore", "pipe", "inherit"] });
}

/** All lines that the child prints until it ends by itself. */
async function linesOf(child: ChildProcess): Promise<string[]> {
  const lines: string[] = [];
  assert.ok(child.stdout);
  const ended = once(child, "close");
  for await (const line of createInterface(child.stdout)) lines.push(line);
  const [exitCode] = (await ended) as [number | null];
  assert.equal(exitCode, 0);
  return lines;
}

async function inFolder(task: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "aetherfs-processes-"));
  try {
    await task(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function openAt(folder: string): Promise<Store> {
  return openStore(folder, { create: true, clock: systemClock, random: systemRandom });
}

test("ten processes, racing for each entry of one history, win each entry once", () =>
  inFolder(async (folder) => {
    const count = 20;
    const writers = Array.from({ length: 10 }, (_, index) => String(index).repeat(32));
    const won = await Promise.all(
      writers.map((writer) => linesOf(start("race", folder, writer, String(count)))),
    );
    const numbers = won.flat().map(Number);
    assert.deepEqual(
      numbers.sort((a, b) => a - b),
      Array.from({ length: count }, (_, index) => index + 1),
    );
    const store = await openAt(folder);
    for (let number = 1; number <= count; number++) {
      const entry = await store.datasets.getHistory(NAME, TAG, number);
      const winner = won.findIndex((lines) => lines.includes(String(number)));
      assert.equal(entry?.writeId, writers[winner]);
    }
    assert.equal(await store.datasets.getHistory(NAME, TAG, count + 1), undefined);
    assert.deepEqual(await leftoversIn(folder), []);
    await store.close();
  }));

test("six processes, adding to one list by compare-and-set, lose and double no entry", () =>
  inFolder(async (folder) => {
    const writers = ["a", "b", "c", "d", "e", "f"];
    const printed = await Promise.all(writers.map((writer) => linesOf(start("add", folder, writer, "20"))));
    assert.deepEqual(printed.flat(), []);
    const store = await openAt(folder);
    assertEntries(await entriesOf(store.datasets, named("list")), writers, 20);
    assert.deepEqual(await leftoversIn(folder), []);
    await store.close();
  }));

test("a process, killed amid compare-and-set, keeps nobody out", () =>
  inFolder(async (folder) => {
    const child = start("add", folder, "killed", "1000000");
    await untilListed(folder, 5);
    const store = await openAt(folder);
    child.kill("SIGKILL");
    await once(child, "close");
    const before = await entriesOf(store.datasets, named("list"));
    const again = await linesOf(start("add", folder, "after", "3"));
    assert.deepEqual(again, []);
    const added = (await entriesOf(store.datasets, named("list"))).slice(before.length);
    assertEntries(added, ["after"], 3);
    await store.close();
  }));

/** Waits until the list in the store has so many entries. */
async function untilListed(folder: string, count: number): Promise<void> {
  const store = await openAt(folder);
  while ((await entriesOf(store.datasets, named("list"))).length < count) await systemClock.sleep(5);
  await store.close();
}

const SEED = 20261122;

test(`a writer, killed at points drawn from seed ${SEED}, leaves whole blocks and a whole history`, () =>
  inFolder(async (parent) => {
    const next = fractions(SEED);
    for (let round = 0; round < 12; round++) {
      const folder = join(parent, String(round));
      const told = await killedAfter(start("write", folder, String(round * 1000)), next() * 4, next() * 20);
      await assertWhole(folder, told);
    }
  }));

/** Kills the writer some milliseconds after it printed so many lines; gives the last number that it printed. */
async function killedAfter(child: ChildProcess, lines: number, delayMs: number): Promise<number> {
  assert.ok(child.stdout);
  let told = 0;
  const ended = once(child, "close");
  for await (const line of createInterface(child.stdout)) {
    told = Number(line);
    if (told === Math.ceil(lines)) {
      void systemClock.sleep(delayMs).then(() => child.kill("SIGKILL"));
    }
  }
  const [, signal] = (await ended) as [number | null, string | null];
  assert.equal(signal, "SIGKILL");
  return told;
}

async function assertWhole(folder: string, told: number): Promise<void> {
  const store = await openAt(folder);
  for await (const { digest } of store.blocks.list()) {
    assert.equal(digestOf(await store.blocks.read(digest)), digest);
  }
  let last = 0;
  for (let number = 1; ; number++) {
    const entry = await store.datasets.getHistory(NAME, TAG, number);
    if (entry === undefined) break;
    assert.notEqual(await store.blocks.stat(entry.digest), undefined, "a committed block is there");
    last = number;
  }
  assert.ok(last >= told, "what the writer was told is committed stays committed");
  await store.datasets.getHint(NAME, TAG);
  assert.deepEqual(await leftoversIn(folder), [], "opening removed what the dead writer left");
  await store.close();
}

test("a store that is open elsewhere keeps its temporary files when another one opens", () =>
  inFolder(async (folder) => {
    const child = start("add", folder, "alive", "1000000");
    const ended = once(child, "close");
    try {
      await untilListed(folder, 3);
      const sessions = async (): Promise<string[]> =>
        (await readdir(join(folder, "aetherfs/v1/tmp"))).filter((name) => /^[0-9a-f]{32}$/.test(name));
      const [alive, ...others] = await sessions();
      assert.deepEqual(others, []);
      await (await openAt(folder)).close();
      assert.deepEqual(await sessions(), [alive]);
      child.kill("SIGKILL");
      await ended;
      await (await openAt(folder)).close();
      assert.deepEqual(await sessions(), []);
    } finally {
      child.kill("SIGKILL");
    }
  }));
