import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { Readable } from "node:stream";
import { after, afterEach, beforeEach, describe, it } from "node:test";
import { AetherError, type ErrorCode } from "../../../base/errors.ts";
import { MiB } from "../../../base/limits.ts";
import { zipOf, type ZipMember } from "../../testing/archives.ts";
import { openPushBed, type PushBed } from "../../testing/push-bed.ts";
import { WorkerPool } from "../../workers/pool.ts";

const pool = new WorkerPool(2);
after(() => pool.close());

let bed: PushBed;
beforeEach(async () => {
  bed = await openPushBed(pool);
});
afterEach(() => bed.close());

/** Pushes the bytes as a stream. */
function pushBytes(
  bytes: Uint8Array,
  options: Parameters<PushBed["push"]>[0] = {},
): ReturnType<PushBed["push"]> {
  return bed.push({ source: "-", input: Readable.from([bytes]), ...options });
}

async function refusal(bytes: Uint8Array, code: ErrorCode, message: RegExp): Promise<void> {
  const isExpected = (error: unknown): boolean => {
    assert.ok(error instanceof AetherError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  };
  const file = path.join(path.dirname(bed.source), "an archive.zip");
  fs.writeFileSync(file, bytes);
  await assert.rejects(bed.push({ source: file }), isExpected);
  assert.deepEqual(fs.readdirSync(path.join(bed.cacheDir, "spool")), []);
  assert.deepEqual([...bed.files("blocks", "manifests", "plans").keys()], []);
}

const file = (name: string, more: Partial<ZipMember> = {}): ZipMember => ({ name, bytes: "bytes", ...more });
const SYMLINK_MODE = 0o120777;
const text = file("text");

const REFUSED: readonly (readonly [what: string, archive: Buffer, code: ErrorCode, message: RegExp])[] = [
  ["an absolute path", zipOf([file("/etc/passwd")]), "PATH_INVALID", /absolute/],
  ["a path up", zipOf([file("../up")]), "PATH_INVALID", /"\.\."/],
  ["a path of another system", zipOf([file("a\\b")]), "SOURCE_UNSUPPORTED", /"\/" between/],
  ["a NUL in a name", zipOf([file("a\0b")]), "PATH_INVALID", /NUL/],
  ["an empty name", zipOf([file("")]), "PATH_INVALID", /empty/],
  [
    "a name of Latin-1",
    zipOf([file("a", { name: Buffer.from("f\xfcr", "latin1") })]),
    "SOURCE_UNSUPPORTED",
    /UTF-8/,
  ],
  ["a name twice", zipOf([text, text]), "SOURCE_UNSUPPORTED", /twice/],
  ["a file below a file", zipOf([file("a"), file("a/b")]), "SOURCE_UNSUPPORTED", /below "a"/],
  [
    "a file behind a link out",
    zipOf([file("a", { mode: SYMLINK_MODE, bytes: "/tmp" }), file("a/b")]),
    "SOURCE_UNSUPPORTED",
    /below "a"/,
  ],
  ["a link to nothing", zipOf([file("a", { mode: SYMLINK_MODE, bytes: "" })]), "SOURCE_UNSUPPORTED", /empty/],
  [
    "a link whose target is too long",
    zipOf([file("a", { mode: SYMLINK_MODE, bytes: Buffer.alloc(MiB, "a") })]),
    "SOURCE_UNSUPPORTED",
    /too long/,
  ],
  ["a device", zipOf([file("a", { mode: 0o060644 })]), "SOURCE_UNSUPPORTED", /a device/],
  ["a folder with bytes", zipOf([file("a/")]), "SOURCE_UNSUPPORTED", /own/],
  ["an encrypted file", zipOf([file("a", { flags: 0x801 })]), "SOURCE_UNSUPPORTED", /password/],
  ["a method that nobody knows", zipOf([file("a", { method: 77 })]), "SOURCE_UNSUPPORTED", /method 77/],
  ["headers of two names", zipOf([file("a", { localName: "b" })]), "SOURCE_UNREADABLE", /differ/],
  ["a wrong CRC-32", zipOf([file("a", { crc: 1 })]), "SOURCE_UNREADABLE", /CRC-32/],
  [
    "a wrong CRC-32 of a stored file",
    zipOf([file("a", { crc: 1, method: 0 })]),
    "SOURCE_UNREADABLE",
    /CRC-32/,
  ],
  ["a size that is less", zipOf([file("a", { size: 3 })]), "SOURCE_UNREADABLE", /damaged/],
  ["a size that is more", zipOf([file("a", { size: 0xfffffff0 })]), "SOURCE_UNREADABLE", /damaged/],
  ["a stored size that is more", zipOf([file("a", { size: 99, method: 0 })]), "SOURCE_UNREADABLE", /damaged/],
  ["a header that lies elsewhere", zipOf([file("a", { localOffset: 7 })]), "SOURCE_UNREADABLE", /damaged/],
  [
    "a header beyond its end",
    zipOf([file("a", { localOffset: 0xfffffff0 })]),
    "SOURCE_UNREADABLE",
    /damaged/,
  ],
  [
    "bytes after its end",
    Buffer.concat([zipOf([text]), Buffer.from("more")]),
    "SOURCE_UNREADABLE",
    /damaged/,
  ],
  ["no directory", Buffer.from("PK\x03\x04 and nothing else"), "SOURCE_UNREADABLE", /damaged/],
  ["nothing in it", Buffer.alloc(0), "SOURCE_UNREADABLE", /damaged/],
];

describe("a push of a zip archive", () => {
  for (const [what, archive, code, message] of REFUSED) {
    it(`with ${what}, is refused with ${code}`, () => refusal(archive, code, message));
  }

  it("cut anywhere, is refused", async () => {
    const whole = zipOf([file("a/b"), file("c", { bytes: "c".repeat(600), mode: 0o100600 })]);
    for (let length = 0; length < whole.byteLength; length += 5) {
      await assert.rejects(pushBytes(whole.subarray(0, length)), { name: "AetherError" }, `${length} bytes`);
    }
  });

  it("whose members all are one and the same stored bytes, is refused at the limit", async () => {
    const bomb = Array.from({ length: 50 }, () => file("same", { bytes: Buffer.alloc(MiB), localOffset: 0 }));
    await assert
      .rejects(pushBytes(zipOf(bomb.slice(0, 1))), { code: "SOURCE_UNSUPPORTED" })
      .catch(() => undefined);
    await assert.rejects(pushBytes(zipOf(bomb), { spoolBytes: MiB }), { code: "LIMIT_EXCEEDED" });
  });

  it("that unpacks to more than the limit, is refused before it takes more", async () => {
    const bomb = zipOf([file("zeros", { bytes: Buffer.alloc(8 * MiB) })]);
    await assert.rejects(pushBytes(bomb, { spoolBytes: 2 * MiB }), { code: "LIMIT_EXCEEDED" });
    await pushBytes(bomb, { spoolBytes: 9 * MiB });
  });

  it("with what a dataset cannot hold, leaves that out when told to", async () => {
    const archive = zipOf([text, file("secret", { flags: 0x801 }), file("../up"), file("a\\b")]);
    const { skipped, files } = await pushBytes(archive, { skipUnreadable: true });
    assert.equal(files, 1);
    assert.deepEqual(
      skipped.map((skip) => skip.path),
      ["secret", "../up", "a\\b"],
    );
  });
});
