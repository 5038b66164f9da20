/** Decoding and verifying frames in a thread. */
import { hash } from "node:crypto";
import { AetherError } from "../../base/errors.ts";
import { decodeFrame, type Codec } from "../../format/frame.ts";
import type { TaskResult } from "./tasks.ts";

/** A chunk expected in a frame's decoded bytes. */
export interface ExpectedChunk {
  readonly digest: string;
  readonly offset: number;
  readonly bytes: number;
}

/** A frame to decode. */
export interface DecodeRequest {
  readonly codec: Codec;
  readonly stored: Uint8Array;
  readonly decodedBytes: number;
  readonly dictionary: Uint8Array | undefined;
  /** Chunks to verify and to return. */
  readonly chunks: readonly ExpectedChunk[];
}

/** The chunks' bytes of all requests, in order, each verified against its digest. Errors: OBJECT_CORRUPT. */
export function decodeFrames(input: { readonly requests: readonly DecodeRequest[] }): TaskResult<Uint8Array[]> {
  const output: Uint8Array[] = [];
  for (const request of input.requests) {
    const decoded = decodeFrame(request.codec, request.stored, request.decodedBytes, request.dictionary);
    for (const chunk of request.chunks) {
      const bytes = decoded.subarray(chunk.offset, chunk.offset + chunk.bytes);
      verifyChunk(bytes, chunk);
      output.push(new Uint8Array(bytes));
    }
  }
  return { output, transfer: output.map((bytes) => bytes.buffer as ArrayBuffer) };
}

/** Fails unless the bytes are the chunk. Errors: OBJECT_CORRUPT. */
export function verifyChunk(bytes: Uint8Array, chunk: ExpectedChunk): void {
  if (bytes.byteLength === chunk.bytes && hash("sha256", bytes, "hex") === chunk.digest) return;
  throw new AetherError("OBJECT_CORRUPT", `a stored chunk does not match its digest sha256:${chunk.digest}`, {
    data: { digest: `sha256:${chunk.digest}` },
  });
}
