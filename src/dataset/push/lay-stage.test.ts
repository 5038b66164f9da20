import assert from "node:assert/strict";
import { test } from "node:test";
import { Channel } from "../../base/channel.ts";
import type { IngestSession } from "../ingest/ingest.ts";
import { LayStage, entriesOf, hasBytes, type Item } from "./lay-stage.ts";
import type { ScanStage } from "./scan-stage.ts";
import type { SourceEntry } from "./source.ts";
import type { WalkAhead } from "./walk-ahead.ts";

function entry(path: string, size?: number): SourceEntry {
  const kind = size === undefined ? "directory" : "file";
  const rest = { mode: 0o755, mtime: { seconds: 0, nanos: 0 }, target: "", unchanged: false };
  return { path, kind, size: size ?? 0, ...rest };
}

interface Added {
  readonly id: number;
  readonly files: readonly string[];
  readonly continues: boolean;
}

/** Lays the entries without a reference: what was queued and what was given to be read. */
async function lay(entries: readonly SourceEntry[]): Promise<{ items: Item[]; added: Added[] }> {
  const added: Added[] = [];
  const queue = new Channel<Item>(Infinity, entriesOf);
  const walk: Pick<WalkAhead, "batches"> = {
    batches: async function* () {
      yield entries;
    },
  };
  const scan: Pick<ScanStage, "add" | "complete"> = {
    add: async (segment, files, continues) => {
      added.push({ id: segment.id, files: files.map((file) => file.path), continues });
    },
    complete: () => undefined,
  };
  await new LayStage({
    averageBytes: 4096,
    walk: walk as WalkAhead,
    scan: scan as ScanStage,
    session: {} as IngestSession,
    queue,
    reference: undefined,
    level: 3,
    signal: undefined,
  }).run();
  const items: Item[] = [];
  for await (const item of queue) items.push(item);
  return { items, added };
}

function pathsOf(items: readonly Item[]): string[] {
  return items.flatMap((item) =>
    item.kind === "entry" ? [item.entry.path] : item.held.map((held) => held.path),
  );
}

test("laying of files of different sizes gives each large one a segment, and runs of small ones another", async () => {
  const entries = [entry("a", 1), entry("b", 5000), entry("c", 1), entry("d"), entry("e", 0), entry("f", 2)];
  const { items, added } = await lay(entries);
  assert.deepEqual(pathsOf(items), ["a", "b", "c", "d", "e", "f"]);
  assert.deepEqual(added, [
    { id: 0, files: ["a"], continues: false },
    { id: 1, files: ["b"], continues: false },
    { id: 2, files: ["c", "f"], continues: false },
  ]);
});

test("laying of more folders after a small file than may wait sends the segment in parts, in order", async () => {
  const names = Array.from({ length: 50_000 }, (_, index) => `b${String(index).padStart(6, "0")}`);
  const entries = [entry("a", 10), ...names.map((name) => entry(name)), entry("c", 10), entry("d", 9000)];
  const { items, added } = await lay(entries);
  assert.deepEqual(
    pathsOf(items),
    entries.map(({ path }) => path),
  );
  assert.deepEqual(added, [
    { id: 0, files: ["a"], continues: true },
    { id: 0, files: ["c"], continues: false },
    { id: 1, files: ["d"], continues: false },
  ]);
  for (const item of items) assert.ok(entriesOf(item) < 20_000);
  assert.equal(items.filter((item) => item.kind === "scan" && item.held.some(hasBytes)).length, 3);
});

test("laying of a part that nothing follows ends its segment", async () => {
  const names = Array.from({ length: 20_000 }, (_, index) => `b${String(index).padStart(6, "0")}`);
  const { added } = await lay([entry("a", 10), ...names.map((name) => entry(name))]);
  assert.deepEqual(added, [
    { id: 0, files: ["a"], continues: true },
    { id: 0, files: [], continues: false },
  ]);
});
