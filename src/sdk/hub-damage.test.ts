/** A hub whose store lost or damaged what deltas lie on. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { must } from "../base/assert.ts";
import { AetherError, type ErrorCode } from "../base/errors.ts";
import { collect, noise } from "../dataset/testing/engine.ts";
import { parseChunking } from "../format/chunking.ts";
import type { Digest } from "../format/digest.ts";
import { parseDatasetName, parseTag } from "../format/reference.ts";
import type { Client } from "./client.ts";
import { withHubBed, type HubBed } from "./testing/hub-bed.ts";

const NAME = parseDatasetName("@acme/x");
const OTHER = parseDatasetName("@acme/other");
const TAG = parseTag("latest");
const TIME = 1_700_000_000;

interface Release {
  readonly version: Digest;
  readonly bytes: Buffer;
  /** The file of the block that its push made. */
  readonly block: string;
}

function contentOf(release: number): Buffer {
  const bytes = Buffer.from(noise(1, 60_000));
  for (let edit = 1; edit <= release; edit++) {
    for (let at = 100; at < bytes.byteLength - 900; at += 3000) bytes.write(`edit ${edit}`, at + edit * 40);
  }
  return bytes;
}

function blocksOf(bed: HubBed): string[] {
  const found = fs.globSync("**/*", { cwd: bed.path("store/aetherfs/v1/blocks"), withFileTypes: true });
  return found.filter((item) => item.isFile()).map((item) => path.join(item.parentPath, item.name));
}

async function pushBytes(bed: HubBed, client: Client, bytes: Buffer): Promise<Digest> {
  const source = bed.write("source", { data: bytes });
  // As old at every push: else the same content would be another version.
  fs.utimesSync(path.join(source, "data"), TIME, TIME);
  const chunking = parseChunking("cdc:4096");
  return (await client.push({ source, tags: [{ name: NAME, tag: TAG }], publisher: "", chunking })).digest;
}

async function pushReleases(bed: HubBed, client: Client): Promise<[Release, Release, Release]> {
  const releases: Release[] = [];
  for (let release = 0; release < 3; release++) {
    const known = new Set(blocksOf(bed));
    const bytes = contentOf(release);
    const version = await pushBytes(bed, client, bytes);
    const block = must(
      blocksOf(bed).find((file) => !known.has(file)),
      "a block was written",
    );
    assert.ok(fs.statSync(block).size < 20_000 || release === 0, "later releases are deltas");
    releases.push({ version, bytes, block });
  }
  return releases as [Release, Release, Release];
}

let targets = 0;

async function assertReadable(bed: HubBed, client: Client, { version, bytes }: Release): Promise<void> {
  const target = bed.path(`target-${targets++}`);
  await client.verify(NAME, version);
  const opened = await client.openVersion(NAME, version);
  assert.ok((await collect(client.cat(opened, "data"))).equals(bytes));
  await client.pull({ name: NAME, version, target });
  assert.ok(fs.readFileSync(path.join(target, "data")).equals(bytes));
}

async function assertRefused(
  bed: HubBed,
  client: Client,
  { version }: Release,
  code: ErrorCode,
  block: string,
): Promise<void> {
  const target = bed.path(`target-${targets++}`);
  const digest = path.basename(path.dirname(block)) + path.basename(block);
  const isAboutIt = (error: unknown): boolean => {
    assert.ok(error instanceof AetherError, String(error));
    assert.deepEqual([error.code, error.data["block"]], [code, `sha256:${digest}`], error.message);
    return true;
  };
  await assert.rejects(client.verify(NAME, version), isAboutIt);
  const opened = await client.openVersion(NAME, version);
  await assert.rejects(collect(client.cat(opened, "data")), isAboutIt);
  await assert.rejects(client.pull({ name: NAME, version, target }), isAboutIt);
  assert.equal(fs.existsSync(path.join(target, "data")), false);
}

const DAMAGES: readonly (readonly [string, ErrorCode, (file: string) => void])[] = [
  [
    "lost",
    "OBJECT_MISSING",
    (file) => {
      fs.rmSync(file);
    },
  ],
  [
    "damaged",
    "OBJECT_CORRUPT",
    (file) => {
      const bytes = fs.readFileSync(file);
      bytes[64] = (bytes[64] ?? 0) ^ 0x10;
      fs.writeFileSync(file, bytes);
    },
  ],
];

for (const [what, code, damage] of DAMAGES) {
  describe(`a hub whose store ${what} a block`, () => {
    for (const which of ["the base", "the deltas"] as const) {
      it(`of ${which}, tells its clients, serves the rest, and is mended by pushing again`, () =>
        withHubBed(async (bed) => {
          const client = bed.client();
          const releases = await pushReleases(bed, client);
          const [first, second, third] = releases;
          const consumer = bed.path("consumer");
          await client.pull({ name: NAME, version: first.version, target: consumer });
          const source = bed.write("other", { "other.bin": noise(9, 50_000) });
          const other = await client.push({ source, tags: [{ name: OTHER, tag: TAG }], publisher: "" });
          const { block } = which === "the base" ? first : second;
          damage(block);
          for (const release of which === "the base" ? releases : [second, third])
            await assertRefused(bed, client, release, code, block);
          await client.verify(OTHER, other.digest);
          if (which === "the base") {
            await client.pull({ name: NAME, version: second.version, target: consumer });
            assert.ok(fs.readFileSync(path.join(consumer, "data")).equals(second.bytes));
          } else await assertReadable(bed, client, first);
          // A damaged block is as long as it was, and looked at by nobody who pushes: it is taken away.
          fs.rmSync(block, { force: true });
          for (const release of [third, second, first]) {
            assert.equal(await pushBytes(bed, client, release.bytes), release.version);
            await assertReadable(bed, client, release);
          }
          for (const release of releases) await assertReadable(bed, client, release);
        }));
    }
  });
}
