/** Pages: the pieces of a manifest's three lists. docs/format.md §6.3 */
import { compareUtf8, decodeUtf8 } from "../base/bytes.ts";
import { AetherError } from "../base/errors.ts";
import { KiB, PATH_BYTES_MAX } from "../base/limits.ts";
import { CHUNK_BYTES_MAX } from "./chunking.ts";
import { DIGEST_BYTES, digestBytes, digestFromBytes, type Digest } from "./digest.ts";
import {
  MODE_MAX,
  SECONDS_MAX,
  TARGET_BYTES_MAX,
  pathFault,
  unsafe,
  type Entry,
  type FileTime,
} from "./entry.ts";
import { WireReader, WireWriter, unzigzag, zigzag } from "./wire.ts";

/** The lists of a manifest: entries without their times, the times, the chunks. */
export const TREE_KINDS = { entries: 1, times: 2, chunks: 3 } as const;
export type TreeKind = keyof typeof TREE_KINDS;

/** A page's encoded bytes at most. */
export const PAGE_BYTES_MAX = 64 * KiB;
/** Items of a page at most. */
export const PAGE_ITEMS_MAX = 8192;
/** Levels of a tree at most: 64 items a page reach past 2^53 items. */
export const TREE_LEVELS_MAX = 10;

/** A chunk's name and length. */
export interface ChunkItem {
  readonly digest: Digest;
  readonly length: number;
}

/** A child page as its parent names it. */
export interface ChildItem {
  readonly digest: Digest;
  /** Items (of level 0) below it. */
  readonly items: number;
  /** Bytes of the stream below it; 0 in a tree of times. */
  readonly bytes: number;
  /** Of a tree of entries the first path below it, else "". */
  readonly firstPath: string;
}

/** An entry as the entries tree has it: its time lies in the times tree. */
export type TimelessEntry = Entry extends infer E ? (E extends Entry ? Omit<E, "mtime"> : never) : never;

const KIND_NUMBERS = { file: 0, directory: 1, symlink: 2 } as const;
const KIND_NAMES = ["file", "directory", "symlink"] as const;

function begin(kind: TreeKind, level: number): WireWriter {
  return new WireWriter().uint(1, TREE_KINDS[kind]).uint(2, level);
}

/** A leaf of the entries tree. */
export function encodeEntryPage(entries: readonly TimelessEntry[]): Uint8Array {
  const shared: number[] = [];
  const suffixes: Buffer[] = [];
  const sizes: number[] = [];
  const digests: Uint8Array[] = [];
  const targets: Buffer[] = [];
  let last = Buffer.alloc(0);
  for (const entry of entries) {
    const path = Buffer.from(entry.path);
    const prefixBytes = sharedPrefix(last, path);
    shared.push(prefixBytes);
    suffixes.push(path.subarray(prefixBytes));
    last = path;
    if (entry.kind === "file") {
      sizes.push(entry.size);
      digests.push(digestBytes(entry.digest));
    } else if (entry.kind === "symlink") targets.push(Buffer.from(entry.target));
  }
  return begin("entries", 0)
    .packed(3, shared)
    .packed(4, suffixes.map(lengthOf))
    .bytes(5, Buffer.concat(suffixes))
    .packed(
      6,
      entries.map((entry) => KIND_NUMBERS[entry.kind]),
    )
    .packed(
      7,
      entries.map((entry) => entry.mode),
    )
    .packed(8, sizes)
    .bytes(9, Buffer.concat(digests))
    .packed(10, targets.map(lengthOf))
    .bytes(11, Buffer.concat(targets))
    .finish();
}

/** A leaf of the times tree. */
export function encodeTimePage(times: readonly FileTime[]): Uint8Array {
  const nanos = times.map((time) => time.nanos);
  const seconds = times.map((time, index) => zigzag(time.seconds - (times[index - 1]?.seconds ?? 0)));
  const hasNanos = nanos.some((value) => value !== 0);
  return begin("times", 0)
    .packed(3, seconds)
    .packed(4, hasNanos ? nanos : [])
    .finish();
}

/** A leaf of the chunks tree. */
export function encodeChunkPage(chunks: readonly ChunkItem[]): Uint8Array {
  return begin("chunks", 0)
    .bytes(3, Buffer.concat(chunks.map((chunk) => digestBytes(chunk.digest))))
    .packed(
      4,
      chunks.map((chunk) => chunk.length),
    )
    .finish();
}

/** An inner page of any tree, at `level` ≥ 1. */
export function encodeInnerPage(kind: TreeKind, level: number, children: readonly ChildItem[]): Uint8Array {
  const writer = begin(kind, level)
    .bytes(3, Buffer.concat(children.map((child) => digestBytes(child.digest))))
    .packed(
      4,
      children.map((child) => child.items),
    )
    .packed(5, kind === "times" ? [] : children.map((child) => child.bytes));
  if (kind === "entries") for (const child of children) writer.element(6, Buffer.from(child.firstPath));
  return writer.finish();
}

/** A page of any kind, as its bytes say. */
export type Page =
  | { readonly kind: "entries"; readonly level: 0; readonly entries: readonly TimelessEntry[] }
  | { readonly kind: "times"; readonly level: 0; readonly times: readonly FileTime[] }
  | { readonly kind: "chunks"; readonly level: 0; readonly chunks: readonly ChunkItem[] }
  | InnerPage;

/** A page of a tree above its leaves: `level` counts from 0 at the leaves. */
export interface InnerPage {
  readonly kind: TreeKind;
  readonly level: number;
  readonly children: readonly ChildItem[];
}

/**
 * Decodes a page that is expected to be of this kind and level; its digest is the caller's to verify. Paths are held to
 * §6.1 one by one and must ascend; what holds across pages is EntrySequence's to check, and that an inner page's counts
 * are its children's is the caller's. Errors: OBJECT_INVALID, MANIFEST_UNSAFE.
 */
export function decodePage(bytes: Uint8Array, kind: TreeKind, level: number): Page {
  if (bytes.byteLength > PAGE_BYTES_MAX) throw invalid(`it has ${bytes.byteLength} bytes`);
  const reader = new WireReader(bytes, "a manifest's page");
  if (reader.uint(1) !== TREE_KINDS[kind] || reader.uint(2) !== level) {
    throw invalid("it is not the kind of page that its parent names");
  }
  const page = level > 0 ? decodeInner(reader, kind, level) : LEAF_DECODERS[kind](reader);
  reader.end();
  return page;
}

/** What a page's bytes say that it is; not that they are sound. Errors: OBJECT_INVALID. */
export function identifyPage(bytes: Uint8Array): { readonly kind: TreeKind; readonly level: number } {
  if (bytes.byteLength > PAGE_BYTES_MAX) throw invalid(`it has ${bytes.byteLength} bytes`);
  const reader = new WireReader(bytes, "a manifest's page");
  const number = reader.uint(1);
  const kind = KINDS.find((name) => TREE_KINDS[name] === number);
  if (kind === undefined) throw invalid("it is of no known kind");
  return { kind, level: reader.uint(2, TREE_LEVELS_MAX) };
}

/** The one encoding of a page: what a producer's bytes are compared with. */
export function encodePage(page: Page): Uint8Array {
  if ("children" in page) return encodeInnerPage(page.kind, page.level, page.children);
  if (page.kind === "entries") return encodeEntryPage(page.entries);
  return page.kind === "times" ? encodeTimePage(page.times) : encodeChunkPage(page.chunks);
}

const KINDS = ["entries", "times", "chunks"] as const;
const LEAF_DECODERS = { entries: decodeEntries, times: decodeTimes, chunks: decodeChunks } as const;

function decodeEntries(reader: WireReader): Page {
  const shared = reader.packed(3, PAGE_ITEMS_MAX);
  const suffixes = new Pieces(reader.packed(4, PAGE_ITEMS_MAX), reader.bytes(5));
  const kinds = reader.packed(6, PAGE_ITEMS_MAX);
  const modes = reader.packed(7, PAGE_ITEMS_MAX);
  const sizes = reader.packed(8, PAGE_ITEMS_MAX);
  const digests = reader.bytes(9);
  const targets = new Pieces(reader.packed(10, PAGE_ITEMS_MAX), reader.bytes(11));
  const count = kinds.length;
  if (count === 0 || shared.length !== count || suffixes.count !== count || modes.length !== count) {
    throw invalid("its columns differ in length");
  }
  const entries: TimelessEntry[] = [];
  let last: Buffer = Buffer.alloc(0);
  let files = 0;
  for (let index = 0; index < count; index++) {
    const raw = joinPath(last, shared[index] ?? 0, suffixes.take());
    last = raw;
    const path = decodeText(raw);
    const fault = pathFault(path);
    if (fault !== undefined) throw unsafe(path, fault);
    const mode = modes[index] ?? 0;
    if (mode > MODE_MAX) throw invalid("a mode is over 0o7777");
    const kind = KIND_NAMES[kinds[index] ?? 3];
    if (kind === "file") {
      const size = sizes[files];
      if (size === undefined || digests.byteLength < (files + 1) * DIGEST_BYTES)
        throw invalid("a file lacks a size");
      entries.push({ path, kind, mode, size, digest: digestFromBytes(digests, files * DIGEST_BYTES) });
      files++;
    } else if (kind === "symlink") entries.push({ path, kind, mode, target: decodeTarget(targets.take()) });
    else if (kind === "directory") entries.push({ path, kind, mode });
    else throw invalid("an entry is of no known kind");
  }
  if (sizes.length !== files || digests.byteLength !== files * DIGEST_BYTES)
    throw invalid("it has sizes too many");
  suffixes.end();
  targets.end();
  return { kind: "entries", level: 0, entries };
}

function joinPath(last: Buffer, sharedBytes: number, suffix: Uint8Array): Buffer {
  if (sharedBytes > last.byteLength || sharedBytes + suffix.byteLength > PATH_BYTES_MAX) {
    throw invalid("a path is longer than a path may be");
  }
  if (sharedBytes < last.byteLength && last[sharedBytes] === suffix[0])
    throw invalid("a path shares more with the one before than it says");
  const path = Buffer.concat([last.subarray(0, sharedBytes), suffix]);
  const order = last.byteLength === 0 ? -1 : Buffer.compare(last, path);
  if (order >= 0) throw unsafe(path.toString("utf8"), order === 0 ? "it stands twice" : "it is out of order");
  return path;
}

function decodeTarget(bytes: Uint8Array): string {
  const target = decodeText(bytes);
  if (target === "" || bytes.byteLength > TARGET_BYTES_MAX || target.includes("\0")) {
    throw invalid("a symlink's target is not valid");
  }
  return target;
}

function decodeTimes(reader: WireReader): Page {
  const deltas = reader.packed(3, PAGE_ITEMS_MAX);
  const nanos = reader.packed(4, PAGE_ITEMS_MAX);
  const hasNanos = nanos.length > 0;
  if (deltas.length === 0 || (hasNanos && nanos.length !== deltas.length))
    throw invalid("its columns differ in length");
  if (hasNanos && nanos.every((value) => value === 0))
    throw invalid("its nanoseconds are all zero and yet there");
  let seconds = 0;
  const times = deltas.map((delta, index) => {
    seconds += unzigzag(delta);
    const time = { seconds, nanos: nanos[index] ?? 0 };
    if (Math.abs(seconds) > SECONDS_MAX || time.nanos > 999_999_999) throw invalid("a time is out of range");
    return time;
  });
  return { kind: "times", level: 0, times };
}

function decodeChunks(reader: WireReader): Page {
  const digests = reader.bytes(3);
  const lengths = reader.packed(4, PAGE_ITEMS_MAX);
  if (lengths.length === 0 || digests.byteLength !== lengths.length * DIGEST_BYTES) {
    throw invalid("its columns differ in length");
  }
  const chunks = lengths.map((length, index) => {
    if (length === 0 || length > CHUNK_BYTES_MAX) throw invalid(`a chunk has ${length} bytes`);
    return { digest: digestFromBytes(digests, index * DIGEST_BYTES), length };
  });
  return { kind: "chunks", level: 0, chunks };
}

function decodeInner(reader: WireReader, kind: TreeKind, level: number): InnerPage {
  const digests = reader.bytes(3);
  const items = reader.packed(4, PAGE_ITEMS_MAX);
  const bytes = reader.packed(5, PAGE_ITEMS_MAX);
  const paths = reader.elements(6, PAGE_ITEMS_MAX).map(decodeText);
  const count = items.length;
  const paired =
    digests.byteLength === count * DIGEST_BYTES &&
    bytes.length === (kind === "times" ? 0 : count) &&
    paths.length === (kind === "entries" ? count : 0);
  if (count === 0 || !paired) throw invalid("its columns differ in length");
  checkFirstPaths(paths);
  const children = items.map((itemCount, index) => {
    if (itemCount === 0) throw invalid("a child is empty");
    return {
      digest: digestFromBytes(digests, index * DIGEST_BYTES),
      items: itemCount,
      bytes: bytes[index] ?? 0,
      firstPath: paths[index] ?? "",
    };
  });
  return { kind, level, children };
}

/** The paths with which the children begin ascend; that they are the children's is the caller's to check. */
function checkFirstPaths(paths: readonly string[]): void {
  for (const [index, path] of paths.entries()) {
    const fault = pathFault(path);
    if (fault !== undefined) throw unsafe(path, fault);
    const before = paths[index - 1];
    if (before !== undefined && compareUtf8(before, path) >= 0) throw unsafe(path, "it is out of order");
  }
}

/** Takes the pieces of a concatenation one after another. */
class Pieces {
  readonly count: number;
  readonly #lengths: readonly number[];
  readonly #bytes: Uint8Array;
  #index = 0;
  #offset = 0;

  constructor(lengths: readonly number[], bytes: Uint8Array) {
    this.count = lengths.length;
    this.#lengths = lengths;
    this.#bytes = bytes;
  }

  take(): Uint8Array {
    const length = this.#lengths[this.#index++];
    if (length === undefined || length > this.#bytes.byteLength - this.#offset)
      throw invalid("a text is cut off");
    this.#offset += length;
    return this.#bytes.subarray(this.#offset - length, this.#offset);
  }

  end(): void {
    if (this.#index !== this.count || this.#offset !== this.#bytes.byteLength)
      throw invalid("it has texts too many");
  }
}

function decodeText(bytes: Uint8Array): string {
  const text = decodeUtf8(bytes);
  if (text === undefined) throw invalid("a text is not UTF-8");
  return text;
}

function sharedPrefix(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.byteLength, b.byteLength);
  let index = 0;
  while (index < length && a[index] === b[index]) index++;
  return index;
}

function lengthOf(bytes: Uint8Array): number {
  return bytes.byteLength;
}

function invalid(why: string): AetherError {
  return new AetherError("OBJECT_INVALID", `a manifest's page is malformed: ${why}`);
}

/** The digest of a page's bytes is its name. */
export interface EncodedPage {
  readonly kind: TreeKind;
  readonly level: number;
  readonly digest: Digest;
  readonly bytes: Uint8Array;
}
