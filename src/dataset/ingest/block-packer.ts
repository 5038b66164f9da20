/** Packs frames into blocks and sends these to the store. */
import { createHash, type Hash } from "node:crypto";
import { must } from "../../base/assert.ts";
import { concatBytes } from "../../base/bytes.ts";
import { MiB } from "../../base/limits.ts";
import { BLOCK_FRAMES_MAX, encodeBlock, type FrameInfo } from "../../format/block.ts";
import { DIGEST_BYTES, digestBytes, digestFromBytes, type Digest } from "../../format/digest.ts";
import { HEADER_BYTES } from "../../format/header.ts";

/** A block that was sealed, and its parts in order. */
export interface SealedBlock {
  readonly digest: Digest;
  readonly parts: readonly Uint8Array[];
  readonly bytes: number;
  readonly frames: readonly FrameInfo[];
  readonly offsets: readonly number[];
  /** The memory that the parts lie in: recycle() takes it back. */
  readonly buffer: Buffer;
}

/** The digests of chunks as a frame's index entry has them. */
export function joinDigests(digests: readonly Digest[]): Uint8Array {
  return concatBytes(digests.map(digestBytes));
}

/** The digests that stand one after another; the length is the caller's to check. */
export function splitDigests(joined: Uint8Array): Digest[] {
  const digests: Digest[] = [];
  for (let offset = 0; offset < joined.byteLength; offset += DIGEST_BYTES) {
    digests.push(digestFromBytes(joined, offset));
  }
  return digests;
}

/**
 * Frames that lie behind those in order, and their order among themselves: who reads the one kind does not read over the other.
 */
const LAST_ORDER = { entries: 0, times: 1, chunks: 2, reBased: 3 } as const;
/** Deltas of pages, by their kind, and what re-basing makes. */
export type LastKind = keyof typeof LAST_ORDER;

/** Room for the frame that fills a block up, and for index and footer as a rule. */
const SLACK_BYTES = 2 * MiB;
/** A block's index takes about this at most: half of what readers allow. */
const INDEX_BYTES_MAX = 16 * MiB;
/** What an entry of the index takes beside its digests, and what each length in it does. */
const ENTRY_BYTES = 32;
const LENGTH_BYTES = 4;
/** Buffers that wait to be used again: what is on its way to the store, and one more. */
const SPARE_MAX = 2;

/**
 * Fills one block after another, in buffers that are used again: a sealed block's must be given back by recycle().
 * Hashing goes along with the frames, so that sealing takes no long turn.
 */
export class BlockPacker {
  readonly #domain: string;
  readonly #blockBytes: number;
  readonly #spare: Buffer[] = [];
  #frames: FrameInfo[] = [];
  #offsets: number[] = [];
  #buffer: Buffer | undefined;
  #bytes = 0;
  /** Frames for the block's end, and their bytes. */
  #last: { readonly info: FrameInfo; readonly stored: Uint8Array; readonly kind: LastKind }[] = [];
  #lastBytes = 0;
  #indexBytes = 0;
  #hasher: Hash | undefined;

  /** Blocks end at about `blockBytes` of frames. */
  constructor(domain: string, blockBytes: number) {
    this.#domain = domain;
    this.#blockBytes = blockBytes;
  }

  /** Whether the frame must wait for the block to be sealed. */
  isFull(storedBytes: number): boolean {
    const frames = this.#frames.length + this.#last.length;
    if (frames === 0) return false;
    const bytes = this.#bytes + this.#lastBytes;
    const room = (this.#buffer?.byteLength ?? 0) - bytes;
    const isLong = bytes >= this.#blockBytes || this.#indexBytes >= INDEX_BYTES_MAX;
    return isLong || frames === BLOCK_FRAMES_MAX || storedBytes > room;
  }

  /** Adds a frame, which isFull() has let in: copies its bytes. */
  add(info: FrameInfo, stored: Uint8Array): void {
    this.#begin(stored.byteLength);
    this.#append(info, stored);
    this.#indexBytes += entryBytes(info);
  }

  /** As add(), for a frame that is to lie behind those. It is held apart until the block is sealed: for small ones. */
  addLast(info: FrameInfo, stored: Uint8Array, kind: LastKind): void {
    this.#begin(stored.byteLength);
    this.#last.push({ info, stored: new Uint8Array(stored), kind });
    this.#lastBytes += stored.byteLength;
    this.#indexBytes += entryBytes(info);
  }

  #append(info: FrameInfo, stored: Uint8Array): void {
    must(this.#buffer, "a block was begun").set(stored, this.#bytes);
    this.#hasher?.update(stored);
    this.#frames.push(info);
    this.#offsets.push(this.#bytes);
    this.#bytes += stored.byteLength;
  }

  /** The block so far, or undefined when there is none. */
  seal(): SealedBlock | undefined {
    if (this.#hasher === undefined || this.#buffer === undefined) return undefined;
    this.#last.sort((one, other) => LAST_ORDER[one.kind] - LAST_ORDER[other.kind]);
    for (const { info, stored } of this.#last) this.#append(info, stored);
    this.#last = [];
    this.#lastBytes = 0;
    const { tail } = encodeBlock(this.#domain, this.#frames);
    this.#hasher.update(tail);
    const sealed = {
      digest: digestFromBytes(this.#hasher.digest()),
      parts: [this.#buffer.subarray(0, this.#bytes), tail],
      bytes: this.#bytes + tail.byteLength,
      frames: this.#frames,
      offsets: this.#offsets,
      buffer: this.#buffer,
    };
    this.#hasher = undefined;
    this.#buffer = undefined;
    this.#frames = [];
    this.#offsets = [];
    return sealed;
  }

  /** Takes a sealed block's memory back: its parts are void. */
  recycle(sealed: SealedBlock): void {
    if (this.#spare.length < SPARE_MAX) this.#spare.push(sealed.buffer);
  }

  /** Begins a block when there is none. */
  #begin(firstBytes: number): void {
    if (this.#buffer !== undefined) return;
    const { head } = encodeBlock(this.#domain, []);
    const neededBytes = Math.max(this.#blockBytes + SLACK_BYTES, HEADER_BYTES + firstBytes);
    const spare = this.#spare.pop();
    const fits = spare !== undefined && spare.byteLength >= neededBytes;
    this.#buffer = fits ? spare : Buffer.allocUnsafeSlow(neededBytes);
    this.#buffer.set(head, 0);
    this.#bytes = HEADER_BYTES;
    this.#indexBytes = 0;
    this.#hasher = createHash("sha256").update(head);
  }
}

function entryBytes({ digests, lengths, base }: FrameInfo): number {
  const counts = lengths.length + (base?.lengths.length ?? 0);
  return ENTRY_BYTES + digests.byteLength + (base?.digests.byteLength ?? 0) + counts * LENGTH_BYTES;
}
