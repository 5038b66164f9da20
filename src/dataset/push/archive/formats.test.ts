import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { Readable } from "node:stream";
import { after, afterEach, beforeEach, describe, it } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { requirePeer } from "../../../../test/peers.ts";
import type { Entry } from "../../../format/entry.ts";
import { paxHeader, tarMember, tarOf, zipOf } from "../../testing/archives.ts";
import { openPushBed, type PushBed } from "../../testing/push-bed.ts";
import { WorkerPool } from "../../workers/pool.ts";

const pool = new WorkerPool(2);
after(() => pool.close());

let bed: PushBed;
beforeEach(async () => {
  bed = await openPushBed(pool);
});
afterEach(() => bed.close());

/** The entries of the version that a push of these bytes makes, by path, without digests. */
async function entriesOf(bytes: Uint8Array): Promise<Record<string, Partial<Entry>>> {
  const { digest } = await bed.push({ source: "-", input: Readable.from([bytes]) });
  const all = await bed.read(digest);
  return Object.fromEntries(
    all.map((entry) => {
      const { kind, mode, mtime } = entry;
      const rest =
        entry.kind === "file"
          ? { size: entry.size }
          : entry.kind === "symlink"
            ? { target: entry.target }
            : {};
      return [entry.path, { kind, mode, mtime, ...rest }];
    }),
  );
}

const seconds = (value: number, nanos = 0): Entry["mtime"] => ({ seconds: value, nanos });
const text = { name: "text", bytes: "12345" };
const TEXT: Partial<Entry> = { kind: "file", mode: 0o644, mtime: seconds(1), size: 5 };
const IMPLIED: Partial<Entry> = { kind: "directory", mode: 0o755, mtime: seconds(0) };

describe("a tar archive", () => {
  it("of the ustar format, has names of two parts", async () => {
    const long = `${"p".repeat(100)}/${"n".repeat(100)}`;
    const [prefix = "", name = ""] = long.split("/");
    assert.deepEqual(await entriesOf(tarOf({ ...text, prefix, name })), { [prefix]: IMPLIED, [long]: TEXT });
  });

  it("of v7, has no magic, and folders by a slash at the end", async () => {
    const folder = { name: "a/", type: "\0", magic: "", mode: 0o700 };
    assert.deepEqual(await entriesOf(tarOf(folder, { ...text, name: "a/b", type: "\0", magic: "" })), {
      a: { kind: "directory", mode: 0o700, mtime: seconds(1) },
      "a/b": TEXT,
    });
  });

  it("of GNU, has long names, and times before 1970", async () => {
    const long = "n".repeat(300);
    const mtime = Buffer.alloc(12, 0xff);
    mtime.writeBigInt64BE(-7n, 4);
    const magic = "ustar  \0";
    const name = { name: "././@LongLink", type: "L", bytes: `${long}\0`, magic };
    const target = { name: "././@LongLink", type: "K", bytes: `${"t".repeat(300)}\0`, magic };
    const archive = tarOf(name, { ...text, magic, mtime }, target, {
      name: "link",
      type: "2",
      link: "t",
      magic,
    });
    assert.deepEqual(await entriesOf(archive), {
      link: { kind: "symlink", mode: 0o777, mtime: seconds(1), target: "t".repeat(300) },
      [long]: { ...TEXT, mtime: seconds(-7) },
    });
  });

  it("of pax, has paths, targets and times of any length, and headers that mean nothing", async () => {
    const extra = { "LIBARCHIVE.creationtime": "5", comment: "ü\n=x" };
    const archive = tarOf(
      tarMember({ name: "pax_global_header", type: "g", bytes: "19 comment=abcdefg\n" }),
      paxHeader({ path: "ü", mtime: "1234.123456789123", ...extra }),
      text,
      paxHeader({ path: "before", mtime: "-5.5" }),
      text,
      paxHeader({ linkpath: "../../t", path: "link" }),
      { name: "x", type: "2", link: "x" },
    );
    assert.deepEqual(await entriesOf(archive), {
      before: { ...TEXT, mtime: seconds(-6, 500_000_000) },
      link: { kind: "symlink", mode: 0o777, mtime: seconds(1), target: "../../t" },
      ü: { ...TEXT, mtime: seconds(1234, 123456789) },
    });
  });

  it("with hard links, gives each its bytes", async () => {
    const hard = { name: "./a/again", type: "1", link: "./text", mode: 0o600 };
    assert.deepEqual(
      await entriesOf(tarOf({ ...text, name: "./text" }, hard, { ...hard, name: "b", link: "a/again" })),
      {
        a: IMPLIED,
        "a/again": { ...TEXT, mode: 0o600 },
        b: { ...TEXT, mode: 0o600 },
        text: TEXT,
      },
    );
  });

  it("with its root, a folder twice, and what an interrupted pull left, holds none of these", async () => {
    const folder = { name: "a/", type: "5", mode: 0o700 };
    const left = [
      { name: ".aetherfs-pull", type: "5" },
      { ...text, name: ".aetherfs-pull/x" },
    ];
    const archive = tarOf({ name: "./", type: "5" }, { ...text, name: "./a/b" }, folder, ...left, {
      ...folder,
      mode: 0o711,
    });
    assert.deepEqual(await entriesOf(archive), {
      a: { kind: "directory", mode: 0o711, mtime: seconds(1) },
      "a/b": TEXT,
    });
  });

  it("in several gzip members or zstd frames, is one archive", async () => {
    const archive = tarOf({ ...text, bytes: "x".repeat(5000) });
    const parts = [archive.subarray(0, 700), archive.subarray(700)];
    for (const pack of [gzipSync, zstdCompressSync]) {
      const entries = await entriesOf(Buffer.concat(parts.map((part) => pack(part))));
      assert.deepEqual(entries, { text: { ...TEXT, size: 5000 } });
    }
  });

  it("of an empty folder, makes an empty version", async () => {
    assert.deepEqual(await entriesOf(Buffer.alloc(10240)), {});
  });

  it("by name only, or by content only, is taken for what its content shows", async () => {
    const folder = path.dirname(bed.source);
    const push = async (name: string, bytes: Uint8Array): Promise<number> => {
      fs.writeFileSync(path.join(folder, name), bytes);
      const { digest } = await bed.push({ source: path.join(folder, name) });
      return (await bed.read(digest)).filter((entry) => entry.path === "text").length;
    };
    assert.equal(await push("really-gzip.tar", gzipSync(tarOf(text))), 1);
    assert.equal(await push("really-plain.TGZ", tarOf(text)), 1);
    assert.equal(await push("really-zip.tar.zst", zipOf([text])), 1);
    // A file like any other: it may be a document that merely is a zip inside.
    assert.equal(await push("model.npz", zipOf([text])), 0);
    await assert.rejects(push("text.tar", Buffer.from("no tar")), { code: "SOURCE_UNREADABLE" });
  });
});

describe("a zip archive", () => {
  it("without modes and with times of MS-DOS only, has defaults, and those times as UTC", async () => {
    const archive = zipOf([{ name: "a/" }, text]);
    const mtime = seconds(1_700_000_000);
    assert.deepEqual(await entriesOf(archive), {
      a: { kind: "directory", mode: 0o755, mtime },
      text: { ...TEXT, mtime },
    });
  });

  it("of Unix, has modes, symlinks, and times of its extended timestamps", async () => {
    const extra = Buffer.from([0x55, 0x54, 5, 0, 1, 5, 0, 0, 0]);
    const archive = zipOf([
      { ...text, mode: 0o100751, extra },
      { name: "link", bytes: "../out", mode: 0o120777, method: 0, extra },
    ]);
    assert.deepEqual(await entriesOf(archive), {
      link: { kind: "symlink", mode: 0o777, mtime: seconds(5), target: "../out" },
      text: { ...TEXT, mode: 0o751, mtime: seconds(5) },
    });
  });

  it("written as a stream, with lengths after the bytes, is read", async (test) => {
    if (requirePeer(test, "zip") === undefined) return;
    bed.write("a/text", "12345");
    const archive = execFileSync("sh", ["-ec", "zip -qr - . | cat"], { cwd: bed.source });
    assert.deepEqual(Object.keys(await entriesOf(archive)), ["a", "a/text"]);
  });

  it("of Python's zipfile, in zip64 and with non-ASCII names, is read; with bzip2 it is refused", async (test) => {
    const python = requirePeer(test, "python3");
    if (python === undefined) return;
    const make = (method: string): Buffer =>
      execFileSync(python, [
        "-c",
        `import io, sys, zipfile
buffer = io.BytesIO()
with zipfile.ZipFile(buffer, "w", zipfile.${method}) as archive:
    with archive.open(zipfile.ZipInfo("ü/text"), "w", force_zip64=True) as member: member.write(b"12345")
    archive.writestr("more", "more")
sys.stdout.buffer.write(buffer.getvalue())`,
      ]);
    const names = Object.keys(await entriesOf(make("ZIP_DEFLATED")));
    assert.deepEqual(names, ["more", "ü", "ü/text"]);
    await assert.rejects(entriesOf(make("ZIP_BZIP2")), { code: "SOURCE_UNSUPPORTED" });
  });

  it("within an archive, stays a file", async () => {
    const inner = zipOf([text]);
    const entries = await entriesOf(zipOf([{ name: "inner.zip", bytes: inner }]));
    assert.deepEqual(Object.keys(entries), ["inner.zip"]);
  });
});
