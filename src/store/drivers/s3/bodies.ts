/** Bytes on their way to and from a server. */
import { Readable } from "node:stream";
import { concatBytes, copyBytes, totalBytes } from "../../../base/bytes.ts";
import { AetherError } from "../../../base/errors.ts";
import { KiB, MiB } from "../../../base/limits.ts";

/** Up to this, a copy is cheaper than many writes. */
const COPY_BYTES_MAX = MiB;
/** Smaller parts are sent together. */
const PART_BYTES_MIN = 64 * KiB;

/** A body of the parts' concatenation. It can be sent once. */
export function bodyOf(parts: readonly Uint8Array[]): Uint8Array | Readable {
  const [first] = parts;
  if (first !== undefined && parts.length === 1) return first;
  if (totalBytes(parts) <= COPY_BYTES_MAX) return concatBytes(parts);
  return Readable.from(batched(parts), { objectMode: true });
}

function* batched(parts: readonly Uint8Array[]): Generator<Uint8Array> {
  let batch: Uint8Array[] = [];
  for (const part of parts) {
    batch.push(part);
    if (totalBytes(batch) < PART_BYTES_MIN) continue;
    yield batch.length === 1 ? part : concatBytes(batch);
    batch = [];
  }
  if (batch.length > 0) yield concatBytes(batch);
}

/** The pieces of `parts` that make up the bytes from `start` to `end` of their concatenation: no copies. */
export function sliceParts(parts: readonly Uint8Array[], start: number, end: number): Uint8Array[] {
  const slices: Uint8Array[] = [];
  let offset = 0;
  for (const part of parts) {
    const from = Math.max(start - offset, 0);
    const to = Math.min(end - offset, part.byteLength);
    if (from < to) slices.push(part.subarray(from, to));
    offset += part.byteLength;
  }
  return slices;
}

/** Fills `target` from the stream, which must have exactly that many bytes. Errors: STORE_UNAVAILABLE; the signal's reason. */
export async function readInto(stream: Readable, target: Uint8Array, signal: AbortSignal): Promise<void> {
  let done = 0;
  await readChunks(stream, signal, (chunk) => {
    if (chunk.byteLength > target.byteLength - done) throw wrongLength("more", target.byteLength);
    copyBytes(chunk, target, done);
    done += chunk.byteLength;
    return true;
  });
  if (done < target.byteLength) throw wrongLength("fewer", target.byteLength);
}

/** All bytes of a stream that does not say how many they are; undefined when they are more than `bytesMax`. */
export async function readUpTo(
  stream: Readable,
  bytesMax: number,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  await readChunks(stream, signal, (chunk) => {
    bytes += chunk.byteLength;
    if (bytes > bytesMax) return false;
    chunks.push(chunk);
    return true;
  });
  return bytes > bytesMax ? undefined : concatBytes(chunks);
}

/** Gives each chunk to `take` as long as it returns true. The stream is at its end, or destroyed, when it resolves or rejects. */
async function readChunks(
  stream: Readable,
  signal: AbortSignal,
  take: (chunk: Uint8Array) => boolean,
): Promise<void> {
  const stop = (): void => {
    stream.destroy(signal.reason as Error);
  };
  signal.addEventListener("abort", stop, { once: true });
  try {
    signal.throwIfAborted();
    for await (const chunk of stream) {
      if (!take(chunk as Uint8Array)) break;
    }
  } finally {
    signal.removeEventListener("abort", stop);
    stream.destroy();
  }
}

function wrongLength(how: "more" | "fewer", bytes: number): AetherError {
  return new AetherError(
    "STORE_UNAVAILABLE",
    `the server sent ${how} than the ${bytes} bytes that it announced`,
  );
}
