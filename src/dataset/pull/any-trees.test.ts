/** Push and pull of any two trees, the one over the other: what comes out is what went in. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, it } from "node:test";
import fc from "fast-check";
import { KiB } from "../../base/limits.ts";
import type { Digest } from "../../format/digest.ts";
import type { Entry } from "../../format/entry.ts";
import { CODECS } from "../../format/frame.ts";
import { noise } from "../testing/engine.ts";
import { comparable, readFolder } from "../testing/folder.ts";
import { assertWithinLimits } from "../testing/frame-costs.ts";
import { BED_TAG, openPushBed, type PushBed } from "../testing/push-bed.ts";
import type { TreeNode } from "../testing/tree.ts";
import { verifyVersion } from "../verify.ts";
import { WorkerPool } from "../workers/pool.ts";
import { pull } from "./pull.ts";

const pool = new WorkerPool(2);
after(() => pool.close());

const SEED = 20_260;
const RUNS = 25;
/** Some of them are folders to others. */
const PATHS: readonly string[] = ["a", "a/b", "a/b/c", "a-b", "d/e", "d/e/f", "d/g", "z"];
const FILE_BYTES_MAX = 40 * KiB;

type Nodes = Map<string, TreeNode>;
type Change = (nodes: Nodes) => void;

const place = fc.constantFrom(...PATHS);
const mtime = fc.record({
  seconds: fc.integer({ min: 1, max: 2_000_000_000 }),
  nanos: fc.nat(999).map((ms) => ms * 1e6),
});
const mode = fc.constantFrom(0o644, 0o600, 0o755);
const fileOf = fc.record({
  bytes: fc
    .tuple(
      fc.nat(50),
      fc.oneof(
        { weight: 3, arbitrary: fc.integer({ min: FILE_BYTES_MAX / 4, max: FILE_BYTES_MAX }) },
        fc.nat(300),
      ),
    )
    .map(([seed, length]) => noise(seed, length)),
  mode,
  mtime,
});
const folderOf = fc.record({
  folder: fc.constant(true as const),
  mode: fc.constantFrom(0o755, 0o700),
  mtime,
});
const linkOf = fc.record({ target: fc.constantFrom("a", "../x", "nowhere/at all"), mtime });
const nodeOf = fc.oneof(
  { weight: 6, arbitrary: fileOf },
  { weight: 1, arbitrary: folderOf },
  { weight: 1, arbitrary: linkOf },
);

/** Puts the node where it may lie: what stood there, below it, or as a file above it, goes. */
function put(nodes: Nodes, at: string, node: TreeNode): void {
  for (const [other, its] of nodes) {
    const isAbove = at.startsWith(`${other}/`) && !("folder" in its);
    if (isAbove || other.startsWith(`${at}/`)) nodes.delete(other);
  }
  nodes.set(at, node);
}

/** Makes the bytes of a file others; whatever else is there stays. */
function edit(nodes: Nodes, at: string, change: (bytes: Buffer) => Buffer): void {
  const node = nodes.get(at);
  if (node !== undefined && "bytes" in node)
    nodes.set(at, { ...node, bytes: change(Buffer.from(node.bytes)) });
}

const changeOf: fc.Arbitrary<Change> = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(fc.nat(7), fc.nat(FILE_BYTES_MAX), fc.nat(300), fc.nat(9)).map(splice) },
  fc.tuple(place, nodeOf).map(([at, node]) => (nodes: Nodes) => {
    put(nodes, at, node);
  }),
  fc.tuple(place, place, fc.boolean()).map(moveOrCopy),
  fc.tuple(place, place).map(swap),
  fc.tuple(place, place).map(join),
  fc.tuple(place, fc.nat(100)).map(([at, percent]) => (nodes: Nodes) => {
    edit(nodes, at, (bytes) => bytes.subarray(0, Math.floor((bytes.byteLength * percent) / 100)));
  }),
  place.map((at) => (nodes: Nodes) => {
    nodes.delete(at);
  }),
  fc.tuple(place, mode, mtime).map(([at, newMode, newTime]) => (nodes: Nodes) => {
    const node = nodes.get(at);
    if (node !== undefined && "bytes" in node) nodes.set(at, { ...node, mode: newMode, mtime: newTime });
  }),
);

/** Other bytes in the middle of one of the files. */
function splice([number, from, cut, seed]: readonly [number, number, number, number]): Change {
  return (nodes) => {
    const files = [...nodes].filter(([, node]) => "bytes" in node);
    edit(nodes, files[number % files.length]?.[0] ?? "", (bytes) => {
      const start = from % (bytes.byteLength + 1);
      return Buffer.concat([bytes.subarray(0, start), noise(seed, cut >>> 1), bytes.subarray(start + cut)]);
    });
  };
}

function moveOrCopy([from, to, isCopy]: readonly [string, string, boolean]): Change {
  return (nodes) => {
    const node = nodes.get(from);
    if (node === undefined) return;
    if (!isCopy) nodes.delete(from);
    put(nodes, to, node);
  };
}

function swap([one, other]: readonly [string, string]): Change {
  return (nodes) => {
    const [first, second] = [nodes.get(one), nodes.get(other)];
    if (first !== undefined) put(nodes, other, first);
    if (second !== undefined) put(nodes, one, second);
  };
}

function join([one, other]: readonly [string, string]): Change {
  return (nodes) => {
    const node = nodes.get(other);
    if (node === undefined || !("bytes" in node)) return;
    edit(nodes, one, (bytes) =>
      Buffer.concat([bytes, Buffer.from(node.bytes)]).subarray(0, 2 * FILE_BYTES_MAX),
    );
  };
}

/** Makes the source this tree and nothing else. */
function write({ source }: PushBed, nodes: Nodes): void {
  fs.rmSync(source, { recursive: true, force: true });
  fs.mkdirSync(source);
  for (const [at, node] of nodes) {
    const file = path.join(source, at);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    if ("target" in node) fs.symlinkSync(node.target, file);
    else if ("bytes" in node) fs.writeFileSync(file, node.bytes);
    else fs.mkdirSync(file, { recursive: true });
    if (!("target" in node)) fs.chmodSync(file, node.mode ?? 0o755);
  }
  // What lies deeper first: it moves the times of the folder that it lies in.
  for (const [at, node] of [...nodes].sort(([one], [other]) => other.length - one.length)) {
    const seconds = (node.mtime?.seconds ?? 1) + (node.mtime?.nanos ?? 0) / 1e9;
    fs.lutimesSync(path.join(source, at), seconds, seconds);
  }
}

interface Pushed {
  readonly digest: Digest;
  readonly entries: readonly Entry[];
}

async function pushTree(bed: PushBed, nodes: Nodes): Promise<Pushed> {
  write(bed, nodes);
  const { digest } = await bed.push();
  return { digest, entries: comparable(readFolder(bed.source)) };
}

it("two trees, pushed one after the other, come out as they were, into a new folder and each over the other", async () => {
  let deltas = 0;
  const treeOf = fc.array(fc.tuple(place, nodeOf), { minLength: 3, maxLength: 10 });
  const property = fc.asyncProperty(
    treeOf,
    fc.array(changeOf, { minLength: 1, maxLength: 8 }),
    fc.boolean(),
    async (tree, changes, hasCache) => {
      const bed = await openPushBed(pool);
      try {
        const nodes: Nodes = new Map();
        for (const [at, node] of tree) put(nodes, at, node);
        const first = await pushTree(bed, nodes);
        for (const change of changes) change(nodes);
        const second = await pushTree(bed, nodes);
        const engine = hasCache ? bed.engine : { ...bed.engine, cacheDir: undefined };
        for (const [name, ...versions] of [
          ["over", first, second, first],
          ["new", second, first, second],
        ] as const) {
          const target = path.join(bed.cacheDir, name);
          for (const { digest, entries } of versions) {
            await pull(engine, { name: BED_TAG.name, version: digest, target, delete: true });
            assert.deepEqual(comparable(readFolder(target)), entries);
          }
        }
        for (const { digest } of [first, second]) await verifyVersion(bed.engine, digest);
        const frames = await bed.frames();
        assertWithinLimits(frames);
        deltas += frames.filter(({ codec }) => codec === CODECS.delta).length;
      } finally {
        await bed.close();
      }
    },
  );
  await fc.assert(property, { seed: SEED, numRuns: RUNS });
  assert.ok(deltas >= RUNS, `only ${deltas} deltas in ${RUNS} runs`);
});
