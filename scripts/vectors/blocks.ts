/** Vectors of blocks. docs/format.md §5 */
import { decodeIndex, encodeBlock, type FrameInfo } from "../../src/format/block.ts";
import { concatBytes } from "../../src/base/bytes.ts";
import { digestBytes, digestOf } from "../../src/format/digest.ts";
import { encodeDelta, encodePlain } from "../../src/format/frame.ts";
import { HEADER_BYTES, encodeHeader } from "../../src/format/header.ts";
import { hex, noise, plain, rawMessage, refused, seededBytes } from "./case.ts";
import type { Pinned, RawFields, VectorCase } from "./case.ts";

interface Made {
  readonly info: FrameInfo;
  readonly stored: Uint8Array;
}

const PROSE = Buffer.from("All is in order here; all was in order there; so it stays in order. ".repeat(12));
const CHUNKS = {
  noise: noise("aetherfs block", 200),
  prose: PROSE,
  changed: Buffer.concat([PROSE.subarray(0, 400), Buffer.from("But not here."), PROSE.subarray(400)]),
  more: Buffer.concat([PROSE.subarray(100, 300), noise("aetherfs block 2", 20)]),
};

/** The frames of the valid block, compressed anew. */
function frames(): Made[] {
  const info = (chunks: readonly Uint8Array[]): Pick<FrameInfo, "digests" | "lengths"> => ({
    digests: joined(chunks),
    lengths: chunks.map((chunk) => chunk.byteLength),
  });
  const plainFrame = (chunk: Uint8Array, isPage: boolean): Made => {
    const { codec, stored } = encodePlain(chunk, 3);
    const more = { base: undefined, depth: 0, decodeBytes: 0, isPage };
    return { stored, info: { codec, storedBytes: stored.byteLength, ...info([chunk]), ...more } };
  };
  const delta = (
    chunks: readonly Uint8Array[],
    bases: readonly Uint8Array[],
    from: number,
    to: number,
    costs: { depth: number; decodeBytes: number },
  ): Made => {
    const dictionary = concatBytes(bases).subarray(from, to);
    const { codec, stored } = encodeDelta(concatBytes(chunks), dictionary, 3);
    const base = { ...info(bases), offset: from, bytes: to - from };
    return {
      stored,
      info: { codec, storedBytes: stored.byteLength, ...info(chunks), base, ...costs, isPage: false },
    };
  };
  const { noise: random, prose, changed, more } = CHUNKS;
  const page = Buffer.alloc(100, 5);
  const firstBytes = changed.byteLength + more.byteLength + prose.byteLength;
  const last = Buffer.concat([changed, Buffer.from("End.")]);
  return [
    plainFrame(random, false),
    plainFrame(prose, false),
    delta([changed, more], [random, prose], 200, 200 + prose.byteLength, {
      depth: 1,
      decodeBytes: firstBytes + 200,
    }),
    plainFrame(page, true),
    delta([last], [changed], 0, changed.byteLength, {
      depth: 2,
      decodeBytes: last.byteLength + firstBytes + 200,
    }),
  ];
}

function joined(chunks: readonly Uint8Array[]): Buffer {
  return Buffer.concat(chunks.map((chunk) => digestBytes(digestOf(chunk))));
}

/** The stored bytes of each frame as they were made first. */
function pinnedFrames(bytes: Uint8Array): Made[] {
  const index = decodeIndex(bytes.subarray(0, HEADER_BYTES), bytes, bytes.byteLength);
  return index.frames.map((info, number) => {
    const offset = index.offsets[number] ?? 0;
    return { info, stored: bytes.subarray(offset, offset + info.storedBytes) };
  });
}

function valid(
  name: string,
  description: string,
  domain: string,
  made: readonly Made[],
  chunks: readonly Uint8Array[],
): VectorCase {
  const { head, tail } = encodeBlock(
    domain,
    made.map(({ info }) => info),
  );
  const bytes = Buffer.concat([head, ...made.map(({ stored }) => stored), tail]);
  let offset = HEADER_BYTES;
  const offsets = made.map(({ stored }) => (offset += stored.byteLength) - stored.byteLength);
  const value = { domain, frames: made.map(({ info }) => info), offsets };
  const content = { description, bytes: hex(bytes), digest: digestOf(bytes), chunks: chunks.map(hex) };
  return { path: `block/${name}.json`, content: { ...content, expect: { value: plain(value) } } };
}

function blockOf(
  index: Uint8Array,
  stored: Uint8Array,
  indexBytes = index.byteLength,
  magic = 0x58464541,
): Buffer {
  const footer = Buffer.alloc(8);
  footer.writeUInt32LE(indexBytes, 0);
  footer.writeUInt32LE(magic, 4);
  return Buffer.concat([encodeHeader("block"), stored, index, footer]);
}

/** One fault each in the index entry of a frame of eight stored bytes. */
function frameCases(): VectorCase[] {
  const stored = noise("aetherfs frame", 8);
  const one = seededBytes("aetherfs frame", 1);
  const sound: RawFields = { 2: 8, 3: one, 4: [8] };
  const soundDelta: RawFields = { 1: 2, 2: 8, 3: one, 4: [8], 5: one, 6: [9], 8: 9, 9: 1, 10: 17 };
  const of =
    (base: RawFields) =>
    (name: string, description: string, changes: RawFields): VectorCase => {
      const fields = { ...base, ...changes };
      const index = rawMessage({ 1: Buffer.from("@earth"), 2: rawMessage(fields) });
      return refused(`block/frame-${name}.json`, description, blockOf(index, stored), "OBJECT_INVALID");
    };
  const plainFrame = of(sound);
  const delta = of(soundDelta);
  return [
    plainFrame("codec-unknown", "codec 3", { 1: 3 }),
    plainFrame("empty", "no stored byte", { 2: undefined }),
    plainFrame("raw-longer", "a raw frame of other length than its chunk", { 4: [9] }),
    plainFrame("two-chunks", "a plain frame of two chunks", { 3: Buffer.concat([one, one]), 4: [4, 4] }),
    plainFrame("chunk-huge", "a chunk of more than 16 MiB", { 1: 1, 4: [2 ** 24 + 1] }),
    plainFrame("chunk-empty", "a chunk of no bytes", { 1: 1, 4: [0] }),
    plainFrame("digest-short", "a digest of 31 bytes", { 3: one.subarray(1) }),
    plainFrame("page-huge", "a page of more than 64 KiB", { 1: 1, 4: [65_537], 11: 1 }),
    plainFrame("plain-with-base", "a plain frame with a base", { 5: one, 6: [9], 8: 9 }),
    plainFrame("plain-with-base-bytes", "a plain frame with a part of a base", { 8: 9 }),
    plainFrame("plain-with-depth", "a plain frame of depth 1", { 9: 1 }),
    plainFrame("field-unknown", "field 12", { 12: 1 }),
    delta("delta-without-base", "a delta on nothing", { 5: undefined, 6: undefined, 8: undefined }),
    delta("delta-depth-none", "a delta of depth 0", { 9: undefined }),
    delta("delta-depth-over", "a delta of depth 4", { 9: 4 }),
    delta("delta-decode-short", "less to decode than the frame itself has", { 10: 7 }),
    delta("delta-decode-over", "more than 4 MiB to decode", { 10: 2 ** 22 + 1 }),
    delta("delta-long", "a delta of more than 1 MiB", { 4: [2 ** 20 + 1], 10: 2 ** 21 }),
    delta("delta-base-past-end", "a range past the end of the base", { 7: 1 }),
    delta("delta-base-huge", "a dictionary of more than 1 MiB", { 6: [2 ** 21], 8: 2 ** 20 + 1 }),
    delta("delta-base-empty-chunk", "a base chunk of no bytes", { 5: Buffer.concat([one, one]), 6: [9, 0] }),
  ];
}

/** Blocks: one of frames of every kind, an empty one, and malformed ones. Compressed frames stay pinned. */
export function blockCases(pinned: Pinned): VectorCase[] {
  const old = pinned("block/frames.json");
  const made = old === undefined ? frames() : pinnedFrames(old);
  const { noise: random, prose, changed, more } = CHUNKS;
  const chunks = [
    random,
    prose,
    changed,
    more,
    Buffer.alloc(100, 5),
    Buffer.concat([changed, Buffer.from("End.")]),
  ];
  const stored = noise("aetherfs frame", 8);
  const frame = rawMessage({ 2: 8, 3: seededBytes("aetherfs frame", 1), 4: [8] });
  const index = rawMessage({ 1: Buffer.from("@earth"), 2: frame });
  const broken = (
    name: string,
    description: string,
    bytes: Uint8Array,
    error = "OBJECT_INVALID",
  ): VectorCase => refused(`block/${name}.json`, description, bytes, error);
  return [
    valid(
      "frames",
      "raw, zstd, a page, a delta of two chunks, and a delta on a delta",
      "@earth",
      made,
      chunks,
    ),
    valid("empty", "no frame", "", [], []),
    ...frameCases(),
    broken("footer-magic", "another magic in the footer", blockOf(index, stored, undefined, 0)),
    broken("footer-cut-off", "seven bytes", blockOf(index, stored).subarray(0, 7)),
    broken("index-longer", "an index longer than the block", blockOf(index, stored, 1000)),
    broken(
      "index-shorter",
      "an index that begins later than it does",
      blockOf(index, stored, index.byteLength - 1),
    ),
    broken("index-huge", "an index of 4 GiB", blockOf(index, stored, 2 ** 32 - 1)),
    broken(
      "gap",
      "a byte between the frames and the index",
      blockOf(index, Buffer.concat([stored, Buffer.alloc(1)])),
    ),
    broken("frames-past-end", "frames that reach into the index", blockOf(index, stored.subarray(1))),
    broken(
      "domain-not-utf8",
      "a domain that is not UTF-8",
      blockOf(rawMessage({ 1: Buffer.from("ff", "hex"), 2: frame }), stored),
    ),
    broken(
      "domain-long",
      "a domain of 257 characters",
      blockOf(rawMessage({ 1: Buffer.alloc(257, 97), 2: frame }), stored),
    ),
    broken(
      "version",
      "format version 2",
      Buffer.concat([Buffer.from("414546530102", "hex"), blockOf(index, stored).subarray(6)]),
      "FORMAT_UNSUPPORTED",
    ),
  ];
}
