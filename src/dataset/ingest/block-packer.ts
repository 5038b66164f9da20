/** Packs frames into blocks and sends these to the store. */
import { createHash, type Hash } from "node:crypto";
import { concatBytes, totalBytes } from "../../base/bytes.ts";
import { BLOCK_FRAMES_MAX, encodeBlock, type FrameInfo } from "../../format/block.ts";
import { digestBytes, digestFromBytes, type Digest } from "../../format/digest.ts";
import { HEADER_BYTES } from "../../format/header.ts";

/** A block that was sealed, and its parts in order. */
export interface SealedBlock {
  readonly digest: Digest;
  readonly parts: readonly Uint8Array[];
  readonly bytes: number;
  readonly frames: readonly FrameInfo[];
  readonly offsets: readonly number[];
}

/** A frame's bytes and what the index says of them. */
export interface PackedFrame {
  readonly info: FrameInfo;
  readonly stored: Uint8Array;
}

/** The digests of chunks as a frame's index entry has them. */
export function joinDigests(digests: readonly Digest[]): Uint8Array {
  return concatBytes(digests.map(digestBytes));
}

/** Fills one block after another. Hashing goes along with the frames, so that sealing takes no long turn. */
export class BlockPacker {
  readonly #domain: string;
  readonly #blockBytes: number;
  #frames: FrameInfo[] = [];
  #offsets: number[] = [];
  #parts: Uint8Array[] = [];
  #bytes = 0;
  #hasher: Hash | undefined;

  /** Blocks end at about `blockBytes` of frames. */
  constructor(domain: string, blockBytes: number) {
    this.#domain = domain;
    this.#blockBytes = blockBytes;
  }

  /** Adds a frame; gives the block that this filled, if it did. */
  add(frame: PackedFrame): SealedBlock | undefined {
    const hasher = (this.#hasher ??= this.#begin());
    hasher.update(frame.stored);
    this.#frames.push(frame.info);
    this.#offsets.push(this.#bytes);
    this.#parts.push(frame.stored);
    this.#bytes += frame.stored.byteLength;
    const full = this.#bytes >= this.#blockBytes || this.#frames.length === BLOCK_FRAMES_MAX;
    return full ? this.seal() : undefined;
  }

  /** The block so far, or undefined when there is none. */
  seal(): SealedBlock | undefined {
    if (this.#hasher === undefined) return undefined;
    const { tail } = encodeBlock(this.#domain, this.#frames);
    this.#hasher.update(tail);
    const parts = [...this.#parts, tail];
    const sealed = {
      digest: digestFromBytes(this.#hasher.digest()),
      parts,
      bytes: totalBytes(parts),
      frames: this.#frames,
      offsets: this.#offsets,
    };
    this.#hasher = undefined;
    this.#frames = [];
    this.#offsets = [];
    this.#parts = [];
    return sealed;
  }

  #begin(): Hash {
    const { head } = encodeBlock(this.#domain, []);
    this.#parts = [head];
    this.#bytes = HEADER_BYTES;
    return createHash("sha256").update(head);
  }
}
