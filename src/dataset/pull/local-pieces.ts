/** Chunks that lie in files of the target already. */
import fs from "node:fs";
import { hash } from "node:crypto";
import path from "node:path";
import type { Digest } from "../../format/digest.ts";

/** A piece of a file in the target. */
export interface LocalPiece {
  /** Relative to the target. */
  readonly path: string;
  readonly offset: number;
  readonly bytes: number;
}

/** The pieces' concatenation when it is the chunk, else undefined: a hint may be wrong. Synchronous: for threads. */
export function readPieces(
  target: string,
  pieces: readonly LocalPiece[],
  digest: Digest,
): Uint8Array | undefined {
  const bytes = Buffer.allocUnsafeSlow(pieces.reduce((sum, piece) => sum + piece.bytes, 0));
  let at = 0;
  for (const piece of pieces) {
    if (!readPiece(path.join(target, piece.path), piece, bytes.subarray(at, at + piece.bytes)))
      return undefined;
    at += piece.bytes;
  }
  return hash("sha256", bytes, "hex") === digest ? bytes : undefined;
}

function readPiece(file: string, piece: LocalPiece, into: Buffer): boolean {
  let fd: number;
  try {
    fd = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK);
  } catch {
    return false;
  }
  try {
    let done = 0;
    while (done < into.byteLength) {
      const bytes = fs.readSync(fd, into, done, into.byteLength - done, piece.offset + done);
      if (bytes === 0) return false;
      done += bytes;
    }
    return true;
  } catch {
    return false;
  } finally {
    fs.closeSync(fd);
  }
}
