/** Finding chunks in files of a pull's target, in a thread. */
import fs from "node:fs";
import { hash } from "node:crypto";
import path from "node:path";
import { MiB } from "../../base/limits.ts";
import { chunkBounds, type ChunkingParameters } from "../../format/chunking.ts";
import { Chunker, createChunkerMemory } from "../../format/chunker.ts";
import type { ChunkItem } from "../../format/page.ts";
import type { Digest } from "../../format/digest.ts";
import { readPieces } from "../pull/local-pieces.ts";
import type { TaskResult } from "./tasks.ts";

/** A chunk and where it begins in its file. */
export interface FileChunk extends ChunkItem {
  readonly offset: number;
}

/** The first `chunksMax` chunks of a file that is a segment of its own; none when it cannot be read. */
export function cutFile(input: {
  readonly file: string;
  readonly chunking: ChunkingParameters;
  readonly chunksMax: number;
}): TaskResult<FileChunk[]> {
  const output: FileChunk[] = [];
  try {
    const fd = fs.openSync(
      input.file,
      fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK,
    );
    try {
      for (const chunk of cutOpen(fd, input.chunking)) {
        if (output.length === input.chunksMax) break;
        output.push(chunk);
      }
    } finally {
      fs.closeSync(fd);
    }
  } catch {
    // What cannot be read cannot be reused: it is fetched.
  }
  return { output, transfer: [] };
}

function* cutOpen(fd: number, chunking: ChunkingParameters): Generator<FileChunk> {
  const bufferBytes = Math.max(4 * MiB, 2 * chunkBounds(chunking).maxBytes);
  const memory = createChunkerMemory(bufferBytes);
  const bytes = Buffer.from(memory.memory.buffer, memory.dataOffset, bufferBytes);
  const chunker = new Chunker(chunking, memory);
  let filled = 0;
  let offset = 0;
  for (let ended = false; !ended;) {
    const read = fs.readSync(fd, bytes, filled, bufferBytes - filled, null);
    filled += read;
    ended = read === 0;
    if (!ended && filled < bufferBytes) continue;
    let start = 0;
    for (const end of chunker.cut(memory.dataOffset, memory.dataOffset + filled, ended)) {
      const chunk = bytes.subarray(start, end - memory.dataOffset);
      // Hashed from a copy: the hash refuses shared memory.
      yield { digest: hash("sha256", Buffer.from(chunk), "hex") as Digest, length: chunk.byteLength, offset };
      offset += chunk.byteLength;
      start += chunk.byteLength;
    }
    bytes.copyWithin(0, start, filled);
    filled -= start;
  }
}

/** Which of the chunks lie at their offsets in a file of the target. */
export function probeChunks(input: {
  readonly target: string;
  readonly path: string;
  readonly chunks: readonly FileChunk[];
}): TaskResult<boolean[]> {
  const output = input.chunks.map(({ digest, length, offset }) => {
    const piece = { path: input.path, offset, bytes: length };
    return readPieces(path.resolve(input.target), [piece], digest) !== undefined;
  });
  return { output, transfer: [] };
}
