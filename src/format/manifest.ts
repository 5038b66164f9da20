/** A manifest: the root of a version, and the object that stores it. docs/format.md §6 */
import { constants, zstdCompressSync } from "node:zlib";
import { assert } from "../base/assert.ts";
import { AetherError } from "../base/errors.ts";
import { equalBytes } from "../base/bytes.ts";
import { KiB } from "../base/limits.ts";
import { checkChunking, chunkBounds, type ChunkingParameters } from "./chunking.ts";
import { digestBytes, digestFromBytes, DIGEST_BYTES, type Digest } from "./digest.ts";
import { CODECS, DEPTH_MAX, decodeFrame, type Codec } from "./frame.ts";
import { HEADER_BYTES, checkHeader, encodeHeader } from "./header.ts";
import { PAGE_BYTES_MAX, TREE_LEVELS_MAX } from "./page.ts";
import type { TreeRef } from "./tree.ts";
import { WireReader, WireWriter } from "./wire.ts";

/** The root: a version's digest is that of its encoded bytes. */
export interface ManifestRoot {
  readonly chunking: ChunkingParameters;
  readonly files: number;
  readonly directories: number;
  readonly symlinks: number;
  /** Bytes of the stream: of all files together. */
  readonly bytes: number;
  /** undefined in a version without entries. */
  readonly entries: TreeRef | undefined;
  readonly times: TreeRef | undefined;
  /** undefined in a version without a byte. */
  readonly chunks: TreeRef | undefined;
}

/** Pages that come to less than this lie in the manifest object itself. */
export const INLINE_BYTES_MAX = 64 * KiB;
const ROOT_BYTES_MAX = 4 * KiB;
const BUNDLE_BYTES_MAX = INLINE_BYTES_MAX + 16 * KiB;
/** A page has no fewer bytes, so a bundle holds no more pages. */
const PAGE_COUNT_MAX = 4096;
const MANIFEST_REVISION = 1;
const COMPRESSION_LEVEL = 9;

/** The root's canonical bytes. */
export function encodeRoot(root: ManifestRoot): Uint8Array {
  const writer = new WireWriter()
    .uint(1, MANIFEST_REVISION)
    .uint(2, root.chunking.kind === "cdc" ? 1 : 2)
    .uint(3, root.chunking.averageBytes)
    .uint(4, root.files)
    .uint(5, root.directories)
    .uint(6, root.symlinks)
    .uint(7, root.bytes);
  for (const [field, tree] of [
    [8, root.entries],
    [9, root.times],
    [10, root.chunks],
  ] as const) {
    if (tree !== undefined) writer.element(field, encodeTreeRef(tree));
  }
  return writer.finish();
}

/** The root in these bytes, which are its canonical ones. Errors: OBJECT_INVALID, FORMAT_UNSUPPORTED. */
export function decodeRoot(bytes: Uint8Array): ManifestRoot {
  const reader = new WireReader(bytes, "a manifest's root");
  const revision = reader.uint(1);
  if (revision !== MANIFEST_REVISION) {
    throw new AetherError("FORMAT_UNSUPPORTED", `a manifest has revision ${revision}`);
  }
  const kind = reader.uint(2, 2) === 2 ? "fixed" : "cdc";
  const chunking = { kind, averageBytes: reader.uint(3) } as const;
  const root = {
    chunking: decodeChunking(chunking),
    files: reader.uint(4),
    directories: reader.uint(5),
    symlinks: reader.uint(6),
    bytes: reader.uint(7),
    entries: decodeTreeRef(reader.elements(8, 1)[0]),
    times: decodeTreeRef(reader.elements(9, 1)[0]),
    chunks: decodeTreeRef(reader.elements(10, 1)[0]),
  };
  reader.end();
  if (!isConsistent(root) || !equalBytes(encodeRoot(root), bytes))
    throw invalid("its root contradicts itself");
  return root;
}

/** docs/format.md §6.2 */
function isConsistent(root: ManifestRoot): boolean {
  const entryCount = root.files + root.directories + root.symlinks;
  const chunkCount = root.chunks?.items ?? 0;
  return (
    (root.entries?.items ?? 0) === entryCount &&
    (root.times?.items ?? 0) === entryCount &&
    (root.files > 0 || root.bytes === 0) &&
    chunkCount <= root.bytes &&
    chunkCount * chunkBounds(root.chunking).maxBytes >= root.bytes
  );
}

function decodeChunking(chunking: ChunkingParameters): ChunkingParameters {
  try {
    return checkChunking(chunking);
  } catch (cause) {
    throw new AetherError("OBJECT_INVALID", "a manifest is malformed: its chunking parameters", { cause });
  }
}

function encodeTreeRef(tree: TreeRef): Uint8Array {
  return new WireWriter().bytes(1, digestBytes(tree.digest)).uint(2, tree.level).uint(3, tree.items).finish();
}

function decodeTreeRef(bytes: Uint8Array | undefined): TreeRef | undefined {
  if (bytes === undefined) return undefined;
  const reader = new WireReader(bytes, "a manifest's root");
  const digest = reader.bytes(1);
  const level = reader.uint(2, TREE_LEVELS_MAX);
  const items = reader.uint(3);
  reader.end();
  if (digest.byteLength !== DIGEST_BYTES || items === 0) throw invalid("a tree's reference");
  return { digest: digestFromBytes(digest), level, items };
}

/** What a manifest object holds: the root's bytes, and the pages that lie with it, in no order that means anything. */
export interface ManifestBundle {
  readonly root: Uint8Array;
  readonly pages: readonly Uint8Array[];
}

/** The bundle that a manifest object may be encoded against. */
export interface ManifestBase {
  readonly version: Digest;
  /** Its own depth: 0 when it needs no other. */
  readonly depth: number;
  readonly bundle: ManifestBundle;
}

/** A manifest object taken apart; the bundle needs the base's when there is one. */
export interface ManifestObject {
  readonly codec: Codec;
  readonly bundleBytes: number;
  readonly base: Digest | undefined;
  readonly depth: number;
  readonly payload: Uint8Array;
}

/** The manifest object of a bundle; as a delta when a base is given and it is the shorter form. */
export function encodeManifest(bundle: ManifestBundle, base?: ManifestBase): Uint8Array {
  const bytes = encodeBundle(bundle);
  const plain = compress(bytes);
  const delta =
    base !== undefined && base.depth < DEPTH_MAX ? compress(bytes, encodeBundle(base.bundle)) : undefined;
  const message = new WireWriter();
  if (base !== undefined && delta !== undefined && delta.byteLength + DIGEST_BYTES < plain.byteLength) {
    message.uint(1, CODECS.delta).uint(2, bytes.byteLength).bytes(3, digestBytes(base.version));
    message.uint(4, base.depth + 1).bytes(5, delta);
  } else {
    message.uint(1, CODECS.zstd).uint(2, bytes.byteLength).bytes(5, plain);
  }
  return Buffer.concat([encodeHeader("manifest"), message.finish()]);
}

/** Takes a manifest object apart. Errors: OBJECT_INVALID, FORMAT_UNSUPPORTED. */
export function decodeManifestObject(bytes: Uint8Array): ManifestObject {
  checkHeader(bytes, "manifest");
  const reader = new WireReader(bytes.subarray(HEADER_BYTES), "a manifest object");
  const codec = reader.uint(1, CODECS.delta) as Codec;
  const bundleBytes = reader.uint(2, BUNDLE_BYTES_MAX);
  const base = reader.bytes(3);
  const depth = reader.uint(4, DEPTH_MAX);
  const payload = reader.bytes(5);
  reader.end();
  const isDelta = codec === CODECS.delta;
  if (base.byteLength !== (isDelta ? DIGEST_BYTES : 0) || isDelta !== depth > 0) {
    throw invalid("its base and its codec disagree");
  }
  return { codec, bundleBytes, base: isDelta ? digestFromBytes(base) : undefined, depth, payload };
}

/**
 * The bundle of a manifest object; `base` is the bundle of the version that it names, if it names one. The digests of root
 * and pages are the caller's to verify. Errors: OBJECT_CORRUPT, OBJECT_INVALID.
 */
export function decodeBundle(object: ManifestObject, base?: ManifestBundle): ManifestBundle {
  assert((base === undefined) === (object.base === undefined), "a base for an object that names one");
  const dictionary = base === undefined ? undefined : encodeBundle(base);
  const bytes = decodeFrame(object.codec, object.payload, object.bundleBytes, dictionary);
  const reader = new WireReader(bytes, "a manifest's bundle");
  const root = reader.bytes(1);
  const pages = reader.elements(2, PAGE_COUNT_MAX);
  reader.end();
  if (root.byteLength === 0 || root.byteLength > ROOT_BYTES_MAX) throw invalid("its root's size");
  if (pages.some((page) => page.byteLength > PAGE_BYTES_MAX)) throw invalid("a page's size");
  return { root, pages };
}

function encodeBundle(bundle: ManifestBundle): Uint8Array {
  const writer = new WireWriter().bytes(1, bundle.root);
  for (const page of bundle.pages) writer.element(2, page);
  return writer.finish();
}

function compress(bytes: Uint8Array, dictionary?: Uint8Array): Uint8Array {
  return zstdCompressSync(bytes, {
    params: { [constants.ZSTD_c_compressionLevel]: COMPRESSION_LEVEL },
    ...(dictionary === undefined ? {} : { dictionary }),
  });
}

function invalid(why: string): AetherError {
  return new AetherError("OBJECT_INVALID", `a manifest is malformed: ${why}`);
}
