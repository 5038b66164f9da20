/**
 * Manifests' pages on this machine, kept from pull to pull so that an update fetches only those that changed. A hint: it
 * may be deleted at any time, and what it gives is verified by its digest.
 *
 * The file: one record after another, each a kind (1: page, 2: bundle), a digest, a length and bytes; a bundle is the
 * SHA-256 of what follows, its root and its pages, each with a length before. Integers are 32 bits, little-endian.
 */
import fs from "node:fs";
import { concatBytes } from "../../base/bytes.ts";
import { MiB } from "../../base/limits.ts";
import { DIGEST_BYTES, digestBytes, digestFromBytes, digestOf, type Digest } from "../../format/digest.ts";
import type { ManifestBundle } from "../../format/manifest.ts";
import { PAGE_BYTES_MAX } from "../../format/page.ts";

const RECORD_KINDS = { page: 1, bundle: 2 } as const;
const HEADER_BYTES = 1 + DIGEST_BYTES + 4;
const BUNDLE_BYTES_MAX = MiB;
/** Pages of one file at most: some 60 bytes of memory each. */
const PAGES_MAX = 1_000_000;

interface Place {
  readonly offset: number;
  readonly bytes: number;
}

/** Reads and extends one file; synchronous, a few kilobytes at a time. */
export class PageFile {
  readonly #fd: number;
  readonly #pages = new Map<Digest, Place>();
  readonly #bundles = new Map<Digest, Place>();
  #endOffset = 0;
  #isFull = false;

  /** Opens an existing file for reading (one that is damaged counts up to the damage), or makes one. */
  constructor(file: string, flags: "r" | "wx+") {
    this.#fd = fs.openSync(file, flags, 0o600);
    const stats = fs.fstatSync(this.#fd);
    if (flags === "r" && stats.isFile()) this.#scan(stats.size);
  }

  /** Whether the page is there, or was. */
  has(digest: Digest): boolean {
    return this.#pages.has(digest);
  }

  /** A page's bytes when they are there and are what they should be. */
  find(digest: Digest): Uint8Array | undefined {
    const bytes = this.#read(this.#pages.get(digest));
    return bytes !== undefined && digestOf(bytes) === digest ? bytes : undefined;
  }

  /** Adds a page; does nothing when there is no room for it. */
  keep(digest: Digest, bytes: Uint8Array): void {
    if (this.#isFull || this.#pages.has(digest) || this.#pages.size >= PAGES_MAX) return;
    try {
      this.#pages.set(digest, this.#append(RECORD_KINDS.page, digest, bytes));
    } catch {
      // A full disk: what is not kept is fetched again.
      this.#isFull = true;
    }
  }

  /** A version's bundle when it is as it was kept: with a damaged page in it, the version could not be read. */
  findBundle(version: Digest): ManifestBundle | undefined {
    const bytes = this.#read(this.#bundles.get(version));
    if (bytes === undefined || bytes.byteLength < DIGEST_BYTES) return undefined;
    const body = Buffer.from(bytes.subarray(DIGEST_BYTES));
    if (digestOf(body) !== digestFromBytes(bytes)) return undefined;
    const [root, ...pages] = splitParts(body);
    return root !== undefined && digestOf(root) === version ? { root, pages } : undefined;
  }

  keepBundle(version: Digest, bundle: ManifestBundle): void {
    const parts = [bundle.root, ...bundle.pages].flatMap((part) => [lengthBytes(part.byteLength), part]);
    const body = concatBytes(parts);
    const bytes = concatBytes([digestBytes(digestOf(body)), body]);
    this.#bundles.set(version, this.#append(RECORD_KINDS.bundle, version, bytes));
  }

  close(): void {
    fs.closeSync(this.#fd);
  }

  #append(kind: number, digest: Digest, bytes: Uint8Array): Place {
    const head = concatBytes([Buffer.of(kind), digestBytes(digest), lengthBytes(bytes.byteLength)]);
    fs.writevSync(this.#fd, [head, bytes], this.#endOffset);
    const place = { offset: this.#endOffset + HEADER_BYTES, bytes: bytes.byteLength };
    this.#endOffset = place.offset + place.bytes;
    return place;
  }

  #read(place: Place | undefined): Uint8Array | undefined {
    if (place === undefined) return undefined;
    const bytes = Buffer.allocUnsafeSlow(place.bytes);
    return fs.readSync(this.#fd, bytes, 0, place.bytes, place.offset) === place.bytes ? bytes : undefined;
  }

  #scan(sizeBytes: number): void {
    const head = Buffer.alloc(HEADER_BYTES);
    for (let offset = 0; offset + HEADER_BYTES <= sizeBytes && this.#pages.size < PAGES_MAX;) {
      if (fs.readSync(this.#fd, head, 0, HEADER_BYTES, offset) !== HEADER_BYTES) return;
      const kind = head.readUInt8(0);
      const bytes = head.readUInt32LE(1 + DIGEST_BYTES);
      const isPage = kind === RECORD_KINDS.page;
      if (!isPage && kind !== RECORD_KINDS.bundle) return;
      if (bytes > (isPage ? PAGE_BYTES_MAX : BUNDLE_BYTES_MAX)) return;
      const place = { offset: offset + HEADER_BYTES, bytes };
      (isPage ? this.#pages : this.#bundles).set(digestFromBytes(head, 1), place);
      offset = place.offset + bytes;
    }
  }
}

function splitParts(bytes: Buffer): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let offset = 0; offset + 4 <= bytes.byteLength;) {
    const length = bytes.readUInt32LE(offset);
    parts.push(bytes.subarray(offset + 4, offset + 4 + length));
    offset += 4 + length;
  }
  return parts;
}

function lengthBytes(length: number): Uint8Array {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32LE(length);
  return bytes;
}
