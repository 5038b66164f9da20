/** Stores that lost or damaged what deltas lie on: what readers are told, and how such a store is mended. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, describe, it } from "node:test";
import { must } from "../base/assert.ts";
import { systemClock } from "../base/clock.ts";
import { AetherError, type ErrorCode } from "../base/errors.ts";
import { systemRandom } from "../base/random.ts";
import { CODECS } from "../format/frame.ts";
import { HEADER_BYTES } from "../format/header.ts";
import { digestFromHex, formatDigest, type Digest } from "../format/digest.ts";
import { openStore } from "../store/drivers/all.ts";
import { cat } from "./cat.ts";
import type { Engine } from "./engine.ts";
import { readBlockIndex } from "./ingest/block-indexes.ts";
import { splitDigests } from "./ingest/block-packer.ts";
import { pull } from "./pull/pull.ts";
import { collect, noise } from "./testing/engine.ts";
import { BED_TAG, openPushBed, type PushBed } from "./testing/push-bed.ts";
import { openVersion } from "./version/version.ts";
import { verifyVersion } from "./verify.ts";
import { WorkerPool } from "./workers/pool.ts";

const pool = new WorkerPool(2);
after(() => pool.close());

interface Release {
  readonly version: Digest;
  readonly bytes: Buffer;
  /** The block that its push made. */
  readonly block: Digest;
  /** Its plan, as it was then. */
  readonly plan: Buffer;
}

const CONTENTS: Readonly<Record<string, () => Buffer>> = {
  "does not compress": () => Buffer.from(noise(1, 60_000)),
  compresses: () => Buffer.from(Buffer.from(noise(1, 30_000)).toString("hex")),
};

/** The content with as many edits in each of its places as the release has before it. */
function contentOf(kind: string, release: number): Buffer {
  const bytes = must(CONTENTS[kind], "a kind")();
  for (let edit = 1; edit <= release; edit++) {
    for (let at = 100; at + 900 < bytes.byteLength; at += 3000) bytes.write(`edit ${edit}`, at + edit * 40);
  }
  return bytes;
}

/** The file is as old at every push: else the same content would be another version. */
function writeData(bed: PushBed, bytes: Buffer): void {
  bed.write("data", bytes);
  fs.utimesSync(path.join(bed.source, "data"), 1_700_000_000, 1_700_000_000);
}

/** Runs `work` on a bed to which releases were pushed, each as deltas on the one before. */
async function withReleases(
  kind: string,
  count: number,
  work: (bed: PushBed, releases: readonly Release[]) => Promise<void>,
): Promise<void> {
  const bed = await openPushBed(pool);
  try {
    const releases: Release[] = [];
    const known = new Set<Digest>();
    for (let release = 0; release < count; release++) {
      const bytes = contentOf(kind, release);
      writeData(bed, bytes);
      const { digest: version } = await bed.push();
      const blocks = [...bed.files("blocks").keys()].map(blockOf).filter((block) => !known.has(block));
      assert.equal(blocks.length, 1);
      const block = must(blocks[0], "a block was written");
      known.add(block);
      releases.push({ version, bytes, block, plan: fs.readFileSync(planOf(bed, version)) });
      const { frames } = await readBlockIndex(bed.store.blocks, block);
      assert.equal(frames[0]?.codec === CODECS.delta, release > 0, "later releases begin with deltas");
    }
    await work(bed, releases);
  } finally {
    await bed.close();
  }
}

function blockOf(file: string): Digest {
  return must(digestFromHex(path.basename(path.dirname(file)) + path.basename(file)), "a block's file");
}

function fileOf(bed: PushBed, block: Digest): string {
  return path.join(bed.storeFolder, "aetherfs/v1/blocks", block.slice(0, 2), block.slice(2));
}

function planOf(bed: PushBed, version: Digest): string {
  return path.join(bed.storeFolder, "aetherfs/v1/plans", version.slice(0, 2), version.slice(2));
}

function remove(bed: PushBed, block: Digest): void {
  fs.rmSync(fileOf(bed, block), { force: true });
}

/** Runs `work` on the store as another process would open it: files that are open already can be read when they are gone. */
async function asNewcomer<T>(bed: PushBed, work: (engine: Engine) => Promise<T>): Promise<T> {
  const store = await openStore(bed.storeFolder, { create: false, clock: systemClock, random: systemRandom });
  try {
    return await work({ ...bed.engine, store, cacheDir: undefined });
  } finally {
    await store.close();
  }
}

function isAbout(code: ErrorCode, block: Digest) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof AetherError, String(error));
    assert.deepEqual([error.code, error.data["block"]], [code, formatDigest(block)], error.message);
    assert.match(error.message, new RegExp(block));
    return true;
  };
}

let targets = 0;

/** That verify, cat and pull all say what is wrong, and that nothing of the file gets to its place. */
async function assertRefused(
  bed: PushBed,
  { version }: Release,
  code: ErrorCode,
  block: Digest,
): Promise<void> {
  const target = path.join(bed.cacheDir, `refused-${targets++}`);
  await asNewcomer(bed, async (engine) => {
    await assert.rejects(verifyVersion(engine, version), isAbout(code, block));
    const opened = await openVersion(engine, version);
    await assert.rejects(collect(cat(engine, opened, "data")), isAbout(code, block));
    await assert.rejects(pull(engine, { name: BED_TAG.name, version, target }), isAbout(code, block));
  });
  assert.equal(fs.existsSync(path.join(target, "data")), false);
}

/** That verify, cat and pull give the release's bytes. */
async function assertReadable(bed: PushBed, { version, bytes }: Release): Promise<void> {
  const target = path.join(bed.cacheDir, `read-${targets++}`);
  await asNewcomer(bed, async (engine) => {
    await verifyVersion(engine, version);
    assert.ok((await collect(cat(engine, await openVersion(engine, version), "data"))).equals(bytes));
    await pull(engine, { name: BED_TAG.name, version, target });
  });
  assert.ok(fs.readFileSync(path.join(target, "data")).equals(bytes));
}

/** Pushes a release's content once more, as another process would. */
async function pushAgain(bed: PushBed, { bytes, version }: Release): Promise<number> {
  writeData(bed, bytes);
  return asNewcomer(bed, async ({ store }) => {
    const { digest, storedBytes } = await bed.push({}, { store });
    assert.equal(digest, version);
    return storedBytes;
  });
}

/** Changes a byte in the middle of the frame that stands at this share of a block's frames. */
async function flip(bed: PushBed, block: Digest, share: number): Promise<void> {
  const { frames, offsets } = await readBlockIndex(bed.store.blocks, block);
  const number = Math.floor((frames.length - 1) * share);
  const at = (offsets[number] ?? HEADER_BYTES) + ((frames[number]?.storedBytes ?? 0) >>> 1);
  const file = fileOf(bed, block);
  const bytes = fs.readFileSync(file);
  bytes[at] = (bytes[at] ?? 0) ^ 0x10;
  fs.writeFileSync(file, bytes);
}

interface Damage {
  readonly code: ErrorCode;
  readonly make: (bed: PushBed, block: Digest) => Promise<void> | void;
}

const DAMAGES: Readonly<Record<string, Damage>> = {
  "is gone": {
    code: "OBJECT_MISSING",
    make: (bed, block) => {
      remove(bed, block);
    },
  },
  "is cut short": {
    code: "OBJECT_CORRUPT",
    make: (bed, block) => {
      fs.truncateSync(fileOf(bed, block), HEADER_BYTES + 1);
    },
  },
  "has a byte changed": { code: "OBJECT_CORRUPT", make: (bed, block) => flip(bed, block, 0.5) },
};

for (const kind of Object.keys(CONTENTS)) {
  describe(`a store whose content ${kind}`, () => {
    for (const [what, { code, make }] of Object.entries(DAMAGES)) {
      it(`and whose base block ${what}, gives no wrong bytes, and is mended by pushing again`, () =>
        withReleases(kind, 3, async (bed, releases) => {
          const [first, second, third] = releases as [Release, Release, Release];
          const target = path.join(bed.cacheDir, "consumer");
          await pull(bed.engine, { name: BED_TAG.name, version: first.version, target });
          await make(bed, first.block);
          for (const release of releases) await assertRefused(bed, release, code, first.block);
          await asNewcomer(bed, (engine) =>
            pull(
              { ...engine, cacheDir: bed.cacheDir },
              { name: BED_TAG.name, version: second.version, target },
            ),
          );
          assert.ok(fs.readFileSync(path.join(target, "data")).equals(second.bytes), "who has the base");
          // A block with a byte changed is as long as it was, and looked at by nobody who pushes: it is taken away.
          remove(bed, first.block);
          await pushAgain(bed, third);
          await assertReadable(bed, third);
          for (const release of [second, first]) await pushAgain(bed, release);
          for (const release of releases) await assertReadable(bed, release);
        }));

      it(`and whose block of deltas ${what}, gives no wrong bytes, and is mended by pushing again`, () =>
        withReleases(kind, 3, async (bed, releases) => {
          const [first, second, third] = releases as [Release, Release, Release];
          await make(bed, second.block);
          await assertReadable(bed, first);
          for (const release of [second, third]) await assertRefused(bed, release, code, second.block);
          remove(bed, second.block);
          await pushAgain(bed, third);
          await assertReadable(bed, third);
          await pushAgain(bed, second);
          for (const release of releases) await assertReadable(bed, release);
        }));
    }

    it("and in which any frame of a base is damaged, says that it is the base's block", () =>
      withReleases(kind, 3, async (bed, releases) => {
        const [first, , third] = releases as [Release, Release, Release];
        const file = fileOf(bed, first.block);
        const whole = fs.readFileSync(file);
        for (const share of [0, 0.25, 0.75, 1]) {
          await flip(bed, first.block, share);
          await assertRefused(bed, third, "OBJECT_CORRUPT", first.block);
          fs.writeFileSync(file, whole);
        }
        await assertReadable(bed, third);
      }));
  });
}

describe("a store in which the head of a block is damaged", () => {
  // Where a byte is changed: docs/format.md §3.
  for (const [what, at] of Object.entries({ magic: 0, version: 5 })) {
    for (const which of ["the base", "the deltas"] as const) {
      it(`that of ${which} in its ${what}, takes the same content and new`, () =>
        withReleases("compresses", 3, async (bed, releases) => {
          const [first, second, third] = releases as [Release, Release, Release];
          const file = fileOf(bed, which === "the base" ? first.block : second.block);
          const bytes = fs.readFileSync(file);
          bytes[at] = (bytes[at] ?? 0) ^ 0x40;
          fs.writeFileSync(file, bytes);
          await pushAgain(bed, third);
          await assertReadable(bed, third);
          writeData(bed, contentOf("compresses", 3));
          await bed.read((await asNewcomer(bed, ({ store }) => bed.push({}, { store }))).digest);
        }));
    }
  }
});

describe("a store in which chunks lie twice", () => {
  it("and whose first place is lost, is mended with the second", () =>
    withReleases("compresses", 8, async (bed, releases) => {
      const holders = new Map<Digest, Digest[]>();
      for (const { block } of releases) {
        for (const { digests } of (await readBlockIndex(bed.store.blocks, block)).frames)
          for (const chunk of splitDigests(digests))
            holders.set(chunk, [...(holders.get(chunk) ?? []), block]);
      }
      const twice = must(
        [...holders.values()].find((blocks) => new Set(blocks).size === 2),
        "something was re-based",
      );
      const lost = must(
        releases.find(({ block }) => block === twice[0]),
        "a release's block",
      );
      remove(bed, lost.block);
      // The plans of who lies there were written anew when the chunks were stored once more.
      for (const release of releases) await assertReadable(bed, release);
      fs.writeFileSync(planOf(bed, lost.version), lost.plan);
      await assertRefused(bed, lost, "OBJECT_MISSING", lost.block);
      const storedBytes = await pushAgain(bed, lost);
      assert.ok(storedBytes < 5000, `${storedBytes} bytes were stored: more than a plan`);
      await assertReadable(bed, lost);
    }));
});
