import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from "node:zlib";
import { requirePeer } from "../../../test/peers.ts";
import { systemClock } from "../../base/clock.ts";
import { KiB, MiB } from "../../base/limits.ts";
import { noise } from "../../dataset/testing/engine.ts";
import { digestOf } from "../../format/digest.ts";
import { code, codingOf } from "../codings.ts";
import { openFsBed, type FsBed } from "./testing/fs-bed.ts";

const run = promisify(execFile);
const TEXT = Buffer.from("many of the same lines, all alike\n".repeat(20_000));
const DECODERS = { gzip: gunzipSync, br: brotliDecompressSync, zstd: zstdDecompressSync } as const;

describe("the coding of an answer", () => {
  it("is the one that the client weighs highest, of those that save something", () => {
    const long = Array.from({ length: 5000 }, (_, index) => `c${index}`).join();
    assert.equal(codingOf(long, true), "identity");
    assert.equal(codingOf(undefined, true), "identity");
    for (const [header, worth, not] of [
      ["", "identity", "identity"],
      ["gzip, deflate, br, zstd", "zstd", "identity"],
      ["gzip, deflate, br", "br", "identity"],
      ["GZIP", "gzip", "identity"],
      ["x-gzip", "gzip", "identity"],
      ["gzip;q=1.0, br;q=0.5", "gzip", "identity"],
      ["gzip;q=0.5, identity", "identity", "identity"],
      ["gzip;q=0.5, identity;q=0.4", "gzip", "identity"],
      ["*", "zstd", "identity"],
      ["*;q=0", undefined, undefined],
      ["*;q=0, gzip", "gzip", "gzip"],
      ["zstd;q=0, *", "br", "identity"],
      ["identity;q=0", undefined, undefined],
      ["identity;q=0, compress", undefined, undefined],
      ["identity;q=0, br", "br", "br"],
      ["gzip;q=0, br;q=0.000", "identity", "identity"],
      ["gzip;q=2, br;q=-1, zstd;q=0.1234, x;q", "identity", "identity"],
    ] as const) {
      assert.equal(codingOf(header, true), worth, header);
      assert.equal(codingOf(header, false), not, header);
    }
  });
});

describe("coding", () => {
  it("of what the client does not take, asks for no more than a bounded part of it, and ends with the client", async () => {
    for (const coding of ["gzip", "br", "zstd"] as const) {
      let given = 0;
      let isLeft = false;
      async function* endless(): AsyncGenerator<Uint8Array> {
        try {
          for (;;) {
            given += 64 * KiB;
            yield noise(given, 64 * KiB);
          }
        } finally {
          isLeft = true;
        }
      }
      const coded = code(endless(), coding);
      await coded.next();
      for (let turn = 0; turn < 20; turn++) await systemClock.sleep(5);
      assert.ok(given <= 8 * MiB, `${coding}: ${given} bytes`);
      await coded.return(undefined);
      assert.ok(isLeft);
    }
  });

  it("of content that breaks off, breaks off", async () => {
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield noise(2, 1000);
      throw new Error("broke off");
    }
    for (let time = 0; time < 50; time++) {
      await assert.rejects(async () => {
        for await (const piece of code(failing(), "zstd")) assert.ok(piece.byteLength > 0);
      }, /broke off/);
    }
  });
});

describe("a text under /fs", () => {
  let bed: FsBed;
  before(async () => {
    bed = await openFsBed();
    bed.push.write("text.csv", TEXT);
    bed.push.write("data.json", JSON.stringify(Array.from({ length: 1000 }, (_, index) => index)));
    bed.push.write("page.xht", `<p>${"x".repeat(5000)}</p>`);
    bed.push.write("short.txt", "short");
    bed.push.write("large.txt", Buffer.alloc(17 * MiB, "large "));
    bed.push.write("noise.bin", noise(5, 100_000));
    bed.push.write("empty.txt", "");
    await bed.publish("set:v1");
  });
  after(async () => {
    await bed.close();
  });

  it("in each coding that the client takes, is the same text, with an entity tag of its own", async () => {
    const tags = new Set<string | undefined>();
    for (const coding of ["gzip", "br", "zstd"] as const) {
      const headers = { "accept-encoding": coding };
      const answer = await bed.raw("/fs/set/v1/text.csv", headers);
      assert.deepEqual([answer.status, answer.headers["content-encoding"]], [200, coding]);
      assert.ok(DECODERS[coding](answer.body).equals(TEXT));
      assert.ok(answer.body.byteLength < TEXT.byteLength / 10);
      assert.equal(answer.headers.vary, "accept-encoding");
      assert.equal(answer.headers["content-length"], undefined);
      assert.equal(
        answer.headers["repr-digest"],
        undefined,
        "the digest is of the text, not of this form of it",
      );
      const { etag = "" } = answer.headers;
      assert.match(etag, /^W\/"/);
      tags.add(etag);
      const again = await bed.raw("/fs/set/v1/text.csv", { ...headers, "if-none-match": etag });
      assert.deepEqual([again.status, again.headers.etag], [304, etag]);
      const other = await bed.raw("/fs/set/v1/text.csv", { "if-none-match": etag });
      assert.equal(other.status, 200, "another form of it");
    }
    const plain = await bed.raw("/fs/set/v1/text.csv");
    assert.equal(plain.headers.vary, "accept-encoding");
    tags.add(plain.headers.etag);
    assert.equal(tags.size, 4);
  });

  it("asked for in part, or under a strong condition, comes as it is", async () => {
    const coded = { "accept-encoding": "gzip, br, zstd" };
    const etag = `"${digestOf(TEXT)}"`;
    const part = await bed.raw("/fs/set/v1/text.csv", { ...coded, range: "bytes=10-19" });
    assert.deepEqual([part.status, part.headers["content-encoding"]], [206, undefined]);
    assert.ok(part.body.equals(TEXT.subarray(10, 20)));
    const matched = await bed.raw("/fs/set/v1/text.csv", { ...coded, "if-match": etag });
    assert.deepEqual([matched.status, matched.headers.etag], [200, etag]);
    const only = { "accept-encoding": "gzip, identity;q=0", range: "bytes=10-19" };
    const whole = await bed.raw("/fs/set/v1/text.csv", only);
    assert.deepEqual([whole.status, whole.headers["content-encoding"]], [200, "gzip"]);
    assert.ok(gunzipSync(whole.body).equals(TEXT));
  });

  it("that is short or large, and what is no text, comes as it is, unless the client does not take that", async () => {
    for (const [file, coding] of [
      ["data.json", "gzip"],
      ["page.xht", "gzip"],
      ["short.txt", undefined],
      ["large.txt", undefined],
      ["noise.bin", undefined],
      ["empty.txt", undefined],
    ] as const) {
      const answer = await bed.raw(`/fs/set/v1/${file}`, { "accept-encoding": "gzip" });
      assert.equal(answer.headers["content-encoding"], coding, file);
      const forced = await bed.raw(`/fs/set/v1/${file}`, { "accept-encoding": "gzip, identity;q=0" });
      assert.equal(forced.headers["content-encoding"], "gzip", file);
      const plain = await bed.raw(`/fs/set/v1/${file}`);
      assert.ok(gunzipSync(forced.body).equals(plain.body), file);
      const nothing = await bed.raw(`/fs/set/v1/${file}`, { "accept-encoding": "identity;q=0" });
      assert.equal(nothing.status, 406, file);
    }
  });

  it("read by curl, which decodes, is the same text; so are lists", async (t) => {
    if (!requirePeer(t, "curl")) return;
    const words = ["-sS", "-f", "--compressed", `${bed.url}/fs/set/v1/text.csv`];
    const { stdout } = await run("curl", words, { encoding: "buffer", maxBuffer: 2 * TEXT.byteLength });
    assert.ok(stdout.equals(TEXT));
    const list = await bed.raw("/fs/set/v1/", { "accept-encoding": "br", accept: "application/json" });
    assert.deepEqual(
      [list.headers["content-encoding"], list.headers.vary],
      ["br", "accept, accept-encoding"],
    );
    const { entries } = JSON.parse(brotliDecompressSync(list.body).toString()) as { entries: object[] };
    assert.equal(entries.length, 7);
  });
});
