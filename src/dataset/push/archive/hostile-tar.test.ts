import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { Readable } from "node:stream";
import { after, afterEach, beforeEach, describe, it } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { KiB, MiB } from "../../../base/limits.ts";
import { AetherError, type ErrorCode } from "../../../base/errors.ts";
import { paxHeader, tarMember, tarOf, type TarMember } from "../../testing/archives.ts";
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
  await assert.rejects(pushBytes(bytes), isExpected);
  const file = path.join(path.dirname(bed.source), "in place.tar");
  fs.writeFileSync(file, bytes);
  await assert.rejects(bed.push({ source: file }), isExpected);
  assert.deepEqual(fs.readdirSync(path.join(bed.cacheDir, "spool")), []);
  assert.deepEqual([...bed.files("blocks", "manifests", "plans").keys()], []);
}

const file = (name: string, more: Partial<TarMember> = {}): TarMember => ({ name, bytes: "bytes", ...more });
const link = (name: string, target: string, type = "2"): TarMember => ({ name, type, link: target });
const folder = (name: string): TarMember => ({ name, type: "5", mode: 0o755 });
const minus = (value: bigint): Uint8Array => {
  const field = Buffer.alloc(12, 0xff);
  field.writeBigInt64BE(value, 4);
  return field;
};
const text = file("text");

const REFUSED: readonly (readonly [what: string, archive: Buffer, code: ErrorCode, message: RegExp])[] = [
  ["an absolute path", tarOf(file("/etc/passwd")), "PATH_INVALID", /absolute/],
  ["a path up", tarOf(file("../up")), "PATH_INVALID", /"\.\."/],
  ["a path down and up", tarOf(file("a/../../up")), "PATH_INVALID", /"\.\."/],
  ["an absolute folder", tarOf(folder("///")), "PATH_INVALID", /absolute/],
  ["an empty segment", tarOf(file("a//b")), "PATH_INVALID", /empty segment/],
  ["a NUL in a pax path", tarOf(paxHeader({ path: "a\0b" }), text), "PATH_INVALID", /NUL/],
  [
    "a path of 5,000 bytes",
    tarOf(paxHeader({ path: "a/".repeat(2500) + "b" }), text),
    "PATH_INVALID",
    /4096 bytes/,
  ],
  ["a file behind a link out", tarOf(link("a", "/tmp"), file("a/b")), "SOURCE_UNSUPPORTED", /below "a"/],
  ["a link in place of a folder", tarOf(file("a/b"), link("a", "/tmp")), "SOURCE_UNSUPPORTED", /two kinds/],
  ["a file below a file", tarOf(file("a"), file("a/b/c")), "SOURCE_UNSUPPORTED", /below "a"/],
  ["a file in place of a folder", tarOf(folder("a/"), file("a")), "SOURCE_UNSUPPORTED", /two kinds/],
  ["a name twice", tarOf(text, file("text", { bytes: "more" })), "SOURCE_UNSUPPORTED", /twice/],
  ["a name twice, spelled in two ways", tarOf(text, file("./text")), "SOURCE_UNSUPPORTED", /twice/],
  ["a hard link out", tarOf(link("a", "/etc/passwd", "1")), "SOURCE_UNSUPPORTED", /hard link/],
  ["a hard link up", tarOf(link("a", "../b", "1")), "SOURCE_UNSUPPORTED", /hard link/],
  ["a hard link to itself", tarOf(link("a", "a", "1")), "SOURCE_UNSUPPORTED", /hard link/],
  ["a hard link to what follows", tarOf(link("a", "text", "1"), text), "SOURCE_UNSUPPORTED", /before it/],
  ["a hard link to a folder", tarOf(folder("b"), link("a", "b", "1")), "SOURCE_UNSUPPORTED", /hard link/],
  [
    "a hard link with bytes",
    tarOf(text, file("a", { type: "1", link: "text" })),
    "SOURCE_UNSUPPORTED",
    /own/,
  ],
  ["a folder with bytes", tarOf(file("a/", { type: "5" })), "SOURCE_UNSUPPORTED", /own/],
  ["a link to nothing", tarOf(link("a", "")), "SOURCE_UNSUPPORTED", /empty/],
  ["a pipe", tarOf(link("a", "", "6")), "SOURCE_UNSUPPORTED", /a pipe/],
  ["a device", tarOf(link("a", "", "3")), "SOURCE_UNSUPPORTED", /a device/],
  ["a type that nobody knows", tarOf(link("a", "", "Z")), "SOURCE_UNSUPPORTED", /seldom/],
  ["a sparse file of GNU's", tarOf(file("a", { type: "S" })), "SOURCE_UNSUPPORTED", /sparse/],
  [
    "a sparse file of pax",
    tarOf(paxHeader({ "GNU.sparse.major": "1" }), text),
    "SOURCE_UNSUPPORTED",
    /sparse/,
  ],
  ["a volume that goes on", tarOf(file("a", { type: "M" })), "SOURCE_UNSUPPORTED", /volume/],
  [
    "a name of Latin-1",
    tarOf(file("a", { name: Buffer.from("f\xfcr", "latin1") })),
    "SOURCE_UNSUPPORTED",
    /UTF-8/,
  ],
  ["a time that is none", tarOf(paxHeader({ mtime: "now" }), text), "SOURCE_UNSUPPORTED", /number/],
  ["a time out of range", tarOf(paxHeader({ mtime: "9".repeat(15) }), text), "SOURCE_UNSUPPORTED", /time/],
  ["a size of 8 GiB", tarOf(file("a", { size: 8 * 2 ** 30 - 1 })), "SOURCE_UNREADABLE", /truncated/],
  [
    "a size of 2^80",
    tarOf(file("a", { size: Buffer.from("80".padEnd(24, "7f"), "hex") })),
    "SOURCE_UNREADABLE",
    /./,
  ],
  ["a negative size", tarOf(file("a", { size: minus(-5n) })), "SOURCE_UNREADABLE", /./],
  ["a pax size beyond all", tarOf(paxHeader({ size: "9".repeat(40) }), text), "SOURCE_UNREADABLE", /./],
  ["a pax header of 5 MiB", tarOf(file("x", { type: "x", size: 5 * MiB })), "SOURCE_UNREADABLE", /max size/],
  ["a checksum that is wrong", tarOf(text, tarMember(text).fill("x", 0, 4)), "SOURCE_UNREADABLE", /damaged/],
  ["no end mark", tarMember(text), "SOURCE_UNREADABLE", /end is missing/],
  [
    "archives that were joined",
    Buffer.concat([tarOf(text), tarOf(file("b"))]),
    "SOURCE_UNREADABLE",
    /end mark/,
  ],
  [
    "bytes after its end mark",
    Buffer.concat([tarOf(text), Buffer.from("x".repeat(512))]),
    "SOURCE_UNREADABLE",
    /./,
  ],
  ["a pax header at its end", tarOf(text, paxHeader({ path: "a" })), "SOURCE_UNREADABLE", /end mark/],
];

describe("a push of a tar archive", () => {
  for (const [what, archive, code, message] of REFUSED) {
    it(`with ${what}, is refused with ${code}`, () => refusal(archive, code, message));
  }

  it("cut anywhere, is refused, however it is compressed", async () => {
    const whole = tarOf(
      folder("a"),
      file("a/b"),
      paxHeader({ path: "a/c" }),
      file("c", { bytes: "c".repeat(600) }),
    );
    const unmarked = whole.byteLength - 1024;
    for (let length = 1; length <= unmarked; length += length % 512 === 0 ? 1 : 511) {
      await assert.rejects(pushBytes(whole.subarray(0, length)), { name: "AetherError" }, `${length} bytes`);
    }
    for (const packed of [gzipSync(whole), zstdCompressSync(whole)]) {
      for (let length = 0; length < packed.byteLength; length += 7) {
        await assert.rejects(
          pushBytes(packed.subarray(0, length)),
          { name: "AetherError" },
          `${length} bytes`,
        );
      }
    }
  });

  it("with something after its compressed bytes, is refused", async () => {
    for (const packed of [gzipSync(tarOf(text)), zstdCompressSync(tarOf(text))]) {
      const bytes = Buffer.concat([packed, Buffer.from("something")]);
      await assert.rejects(pushBytes(bytes), { code: "SOURCE_UNREADABLE" });
    }
  });

  it("that unpacks to more than the limit, is refused before it takes more", async () => {
    const bomb = gzipSync(tarOf(file("zeros", { bytes: Buffer.alloc(8 * MiB) })));
    await assert.rejects(pushBytes(bomb, { spoolBytes: 2 * MiB }), { code: "LIMIT_EXCEEDED" });
    await pushBytes(bomb, { spoolBytes: 9 * MiB });
  });

  it("whose paths imply more folders than the limit holds, is refused", async () => {
    const members = Array.from({ length: 20 }, (_, index) => [
      paxHeader({ path: `${index}/${"a/".repeat(1900)}b` }),
      tarMember(text),
    ]).flat();
    await assert.rejects(pushBytes(tarOf(...members), { spoolBytes: MiB }), { code: "LIMIT_EXCEEDED" });
  });

  it("with what a dataset cannot hold, leaves that out when told to, and what is excluded anyway", async () => {
    const archive = tarOf(text, link("pipe", "", "6"), file("../up"), link("out", "/etc/passwd", "1"));
    const { skipped, files } = await pushBytes(archive, { skipUnreadable: true });
    assert.equal(files, 1);
    assert.deepEqual(
      skipped.map((skip) => skip.path),
      ["pipe", "../up", "out"],
    );
    const excluded = await pushBytes(tarOf(text, link("pipe", "", "6")), { exclude: ["pipe"] });
    assert.deepEqual([excluded.files, excluded.skipped], [1, []]);
  });

  it("that changes while it is read in place, is refused with SOURCE_CHANGED", async () => {
    const archive = path.join(path.dirname(bed.source), "changing.tar");
    fs.writeFileSync(archive, tarOf(file("a", { bytes: Buffer.alloc(64 * KiB) })));
    const onProgress = (): void => {
      fs.appendFileSync(archive, Buffer.alloc(512));
    };
    await assert.rejects(bed.push({ source: archive, onProgress }), { code: "SOURCE_CHANGED" });
  });

  it("that never ends, is given up when it is aborted, and its stream is closed", async () => {
    for (const head of [Buffer.alloc(0), tarMember(text), gzipSync(tarMember(text)).subarray(0, 30)]) {
      const input = new Readable({ read: () => undefined });
      if (head.byteLength > 0) input.push(head);
      const controller = new AbortController();
      const pushed = bed.push({ source: "-", input, signal: controller.signal });
      setTimeout(() => {
        controller.abort(new AetherError("CANCELLED", "enough"));
      }, 50);
      await assert.rejects(pushed, { code: "CANCELLED" });
      assert.ok(input.destroyed);
    }
  });
});
