/** Vectors of roots and manifest objects. docs/format.md §6.2, §6.5 */
import { zstdCompressSync } from "node:zlib";
import { digestOf } from "../../src/format/digest.ts";
import { encodeHeader } from "../../src/format/header.ts";
import {
  encodeManifest,
  encodeRoot,
  type ManifestBundle,
  type ManifestRoot,
} from "../../src/format/manifest.ts";
import type { TreeRef } from "../../src/format/tree.ts";
import { hex, noise, plain, rawMessage, refused, seededBytes, seededDigest } from "./case.ts";
import type { Pinned, RawFields, VectorCase } from "./case.ts";

const EMPTY: ManifestRoot = {
  chunking: { kind: "cdc", averageBytes: 65536 },
  files: 0,
  directories: 0,
  symlinks: 0,
  bytes: 0,
  entries: undefined,
  times: undefined,
  chunks: undefined,
};

function tree(index: number, items: number, level = 0): TreeRef {
  return { digest: seededDigest("aetherfs root", index), level, items };
}

const FULL: ManifestRoot = {
  ...EMPTY,
  chunking: { kind: "fixed", averageBytes: 1_000_000 },
  files: 70_000,
  directories: 300,
  symlinks: 2,
  bytes: 5_000_000_000,
  entries: tree(1, 70_302, 2),
  times: tree(2, 70_302, 1),
  chunks: tree(3, 6_000, 1),
};

function valid(name: string, description: string, root: ManifestRoot): VectorCase {
  const bytes = encodeRoot(root);
  const content = { description, bytes: hex(bytes), digest: digestOf(bytes), expect: { value: plain(root) } };
  return { path: `root/${name}.json`, content };
}

/** Roots: valid ones, and one fault each in a root of one file of ten bytes. */
export function rootCases(): VectorCase[] {
  const ref = (index: number, fields: RawFields): Buffer =>
    rawMessage({ 1: seededBytes("aetherfs root", index) }, fields);
  const sound: RawFields = {
    1: 1,
    2: 1,
    3: 65536,
    4: 1,
    7: 10,
    8: ref(1, { 3: 1 }),
    9: ref(2, { 3: 1 }),
    10: ref(3, { 3: 1 }),
  };
  const broken = (
    name: string,
    description: string,
    changes: RawFields,
    error = "OBJECT_INVALID",
  ): VectorCase => {
    return refused(`root/${name}.json`, description, rawMessage({ ...sound, ...changes }), error);
  };
  const missing = (name: string, description: string, field: number): VectorCase =>
    broken(name, description, { [field]: undefined });
  return [
    valid("empty", "a version without entries", EMPTY),
    valid("one-folder", "a folder alone has no chunks", {
      ...EMPTY,
      directories: 1,
      entries: tree(1, 1),
      times: tree(2, 1),
    }),
    valid("one-empty-file", "an empty file has no chunks", {
      ...EMPTY,
      files: 1,
      entries: tree(1, 1),
      times: tree(2, 1),
    }),
    valid("full", "every field", FULL),
    broken("revision", "revision 2", { 1: 2 }, "FORMAT_UNSUPPORTED"),
    broken("revision-missing", "no revision", { 1: undefined }, "FORMAT_UNSUPPORTED"),
    missing("chunking-missing", "no kind of chunking", 2),
    broken("chunking-unknown", "chunking of kind 3", { 2: 3 }),
    broken("average-no-power", "cdc with an average that is no power of two", { 3: 65537 }),
    broken("average-small", "an average of 2 KiB", { 3: 2048 }),
    broken("average-large", "an average of 8 MiB", { 3: 2 ** 23 }),
    missing("files-none", "bytes and an entry, but no file, folder or symlink", 4),
    broken("files-two", "two files, one entry", { 4: 2 }),
    broken("files-none-but-bytes", "a folder with bytes", { 4: undefined, 5: 1 }),
    broken("files-huge", "2^53 − 1 files", { 4: Number.MAX_SAFE_INTEGER }),
    missing("bytes-none", "chunks, but no byte", 7),
    broken("bytes-beyond-chunks", "more bytes than one chunk can have", { 7: 262_145 }),
    missing("entries-missing", "no tree of entries", 8),
    missing("times-missing", "no tree of times", 9),
    missing("chunks-missing", "no tree of chunks", 10),
    broken("chunks-beyond-bytes", "eleven chunks of ten bytes", { 10: ref(3, { 3: 11 }) }),
    broken("tree-empty", "a tree without items", { 9: ref(2, {}) }),
    broken("tree-without-digest", "a tree without a digest", { 9: rawMessage({ 3: 1 }) }),
    broken("tree-short-digest", "a digest of 31 bytes", {
      9: rawMessage({ 1: seededBytes("x", 1).subarray(1), 3: 1 }),
    }),
    broken("tree-deep", "a tree of level 11", { 9: ref(2, { 2: 11, 3: 1 }) }),
    broken("tree-unknown-field", "an unknown field in a tree", { 9: ref(2, { 3: 1, 4: 1 }) }),
    broken("field-unknown", "field 11", { 11: 1 }),
  ];
}

function object(fields: RawFields): Buffer {
  return Buffer.concat([encodeHeader("manifest"), rawMessage(fields)]);
}

/** Manifest objects: plain, as a delta, and malformed. The stored bytes stay pinned. */
export function manifestCases(pinned: Pinned): VectorCase[] {
  const bundle: ManifestBundle = {
    root: encodeRoot(FULL),
    pages: [noise("aetherfs page 1", 500), Buffer.alloc(300, 7)],
  };
  const successor: ManifestBundle = {
    root: encodeRoot({ ...FULL, symlinks: 3, entries: tree(4, 70_303), times: tree(5, 70_303) }),
    pages: bundle.pages,
  };
  const version = digestOf(bundle.root);
  const body = rawMessage({ 1: bundle.root }, ...bundle.pages.map((page): RawFields => ({ 2: page })));
  const packed = zstdCompressSync(body);
  const made = (
    name: string,
    description: string,
    make: () => Uint8Array,
    value: ManifestBundle,
    base?: ManifestBundle,
  ): VectorCase => {
    const path = `manifest/${name}.json`;
    const bytes = pinned(path) ?? make();
    return {
      path,
      content: { description, base: plain(base), bytes: hex(bytes), expect: { value: plain(value) } },
    };
  };
  const broken = (
    name: string,
    description: string,
    fields: RawFields,
    error = "OBJECT_INVALID",
  ): VectorCase => {
    const path = `manifest/${name}.json`;
    return refused(path, description, pinned(path) ?? object(fields), error);
  };
  const raw = (inner: Uint8Array): RawFields => ({ 2: inner.byteLength, 5: inner });
  return [
    made("zstd", "compressed", () => encodeManifest(bundle), bundle),
    made(
      "raw",
      "not compressed: no writer of ours writes it, every reader reads it",
      () => object(raw(body)),
      bundle,
    ),
    made(
      "delta",
      "against the manifest of the version before",
      () => encodeManifest(successor, { version, depth: 0, bundle }),
      successor,
      bundle,
    ),
    broken("codec-unknown", "codec 3", { 1: 3, 2: body.byteLength, 5: packed }),
    broken("base-missing", "a delta on nothing", { 1: 2, 2: body.byteLength, 4: 1, 5: packed }),
    broken("base-of-plain", "a base of a plain object", {
      1: 1,
      2: body.byteLength,
      3: digestRaw(),
      4: 1,
      5: packed,
    }),
    broken("depth-missing", "a delta of depth 0", { 1: 2, 2: body.byteLength, 3: digestRaw(), 5: packed }),
    broken("depth-over", "a delta of depth 4", { 1: 2, 2: body.byteLength, 3: digestRaw(), 4: 4, 5: packed }),
    broken("bundle-huge", "a bundle of 1 GiB", { 1: 1, 2: 2 ** 30, 5: packed }),
    broken(
      "bundle-longer",
      "a bundle that decodes to one byte more than it says",
      { 1: 1, 2: body.byteLength - 1, 5: packed },
      "OBJECT_CORRUPT",
    ),
    broken(
      "bundle-shorter",
      "a bundle that decodes to one byte less than it says",
      { 1: 1, 2: body.byteLength + 1, 5: packed },
      "OBJECT_CORRUPT",
    ),
    broken(
      "payload-damaged",
      "a payload that is no zstd frame",
      { 1: 1, 2: body.byteLength, 5: noise("x", 64) },
      "OBJECT_CORRUPT",
    ),
    broken("payload-missing", "no payload", { 1: 1, 2: body.byteLength }, "OBJECT_CORRUPT"),
    broken("root-missing", "a bundle without a root", raw(rawMessage({ 2: Buffer.alloc(40, 1) }))),
    broken("root-huge", "a root of 4,097 bytes", raw(rawMessage({ 1: Buffer.alloc(4097, 1) }))),
    broken(
      "page-huge",
      "a page of 65,537 bytes",
      raw(rawMessage({ 1: bundle.root, 2: Buffer.alloc(65_537, 1) })),
    ),
    broken("field-unknown", "a bundle with a field 3", raw(rawMessage({ 1: bundle.root, 3: 1 }))),
  ];
}

function digestRaw(): Buffer {
  return seededBytes("aetherfs manifest", 1);
}
