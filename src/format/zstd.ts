/**
 * zstd with a context that is used again. `zlib.zstdCompressSync` builds a stream and a context for each call, which costs
 * a chunk of 64 KiB a third of its compression and more than half of its decompression (docs/decisions/0005). Node's
 * streams have the calls that are needed, but do not document them; where a Node lacks them, or they do not do what they
 * should, the documented functions serve. Synchronous, and one context a thread: for workers.
 */
import {
  constants,
  createZstdCompress,
  createZstdDecompress,
  zstdCompressSync,
  zstdDecompressSync,
} from "node:zlib";
import { assert } from "../base/assert.ts";

/** log2 of the bytes that a zstd frame may refer back: what the longest chunk needs. Bounds a decoder's memory. */
export const WINDOW_LOG_MAX = 24;

/** The parts of a zlib stream that are used. */
interface NativeStream {
  readonly _handle: {
    writeSync(
      flush: number,
      input: Uint8Array,
      inputOffset: number,
      inputBytes: number,
      output: Uint8Array,
      outputOffset: number,
      outputBytes: number,
    ): void;
    reset(): void;
  };
  /** After a write: bytes of output left, bytes of input left. */
  readonly _writeState: Uint32Array;
  readonly destroyed: boolean;
}

/** A context of zlib's that takes one frame after another. */
class NativeContext {
  readonly #stream: NativeStream;

  constructor(stream: unknown) {
    this.#stream = stream as NativeStream;
    // A failed write destroys the stream, which then says so; run() tells the caller.
    (stream as { on(event: "error", listener: () => void): void }).on("error", () => undefined);
  }

  /** Turns the whole input into one whole output and gives its length; undefined when that did not come about. */
  run(flush: number, input: Uint8Array, output: Uint8Array): number | undefined {
    const { _handle: handle, _writeState: state } = this.#stream;
    handle.reset();
    handle.writeSync(flush, input, 0, input.byteLength, output, 0, output.byteLength);
    const [outputLeft, inputLeft] = state;
    if (this.#stream.destroyed || inputLeft !== 0 || outputLeft === undefined) return undefined;
    return output.byteLength - outputLeft;
  }
}

const SAMPLE = Buffer.from("one two three one two three one two three");

/** zstd's bound on the compressed length of `bytes` (ZSTD_compressBound), and room to see that all was written. */
export function compressBound(bytes: number): number {
  return bytes + (bytes >>> 8) + 1024;
}

const compressors = new Map<number, NativeContext | null>();
let decompressor: NativeContext | null | undefined;

/**
 * Compresses `input` into `output` (of compressBound bytes at least) as one frame that says its content's size, and gives
 * the frame's length; undefined when this Node has no context to use again, or it failed.
 */
export function compressInto(input: Uint8Array, output: Uint8Array, level: number): number | undefined {
  assert(output.byteLength >= compressBound(input.byteLength), "the output has room for any frame");
  let context = compressors.get(level);
  if (context === undefined) {
    context = openCompressor(level);
    compressors.set(level, context);
  }
  const length = attempt(context, constants.ZSTD_e_end, input, output);
  if (length === undefined) compressors.set(level, null);
  return length;
}

/**
 * Decompresses `input` into `output` and gives the length; undefined when the documented functions must tell: input that
 * is not a frame, or is longer than `output`, or a Node that has no context to use again.
 */
export function decompressInto(input: Uint8Array, output: Uint8Array): number | undefined {
  if (decompressor === undefined) decompressor = openDecompressor();
  const length = attempt(decompressor, constants.ZSTD_e_continue, input, output);
  // A context that has seen something wrong is not used again.
  if (length === undefined && decompressor !== null) decompressor = undefined;
  return length;
}

function attempt(
  context: NativeContext | null,
  flush: number,
  input: Uint8Array,
  output: Uint8Array,
): number | undefined {
  try {
    return context?.run(flush, input, output);
  } catch {
    return undefined;
  }
}

/** A context that has shown on a sample that it works, or null. */
function openCompressor(level: number): NativeContext | null {
  const params = { [constants.ZSTD_c_compressionLevel]: level };
  const context = new NativeContext(createZstdCompress({ params }));
  const output = new Uint8Array(compressBound(SAMPLE.byteLength));
  // Twice: a context that keeps something of the frame before would show it in the second.
  for (let round = 0; round < 2; round++) {
    const length = attempt(context, constants.ZSTD_e_end, SAMPLE, output);
    if (length === undefined || !zstdDecompressSync(output.subarray(0, length)).equals(SAMPLE)) return null;
  }
  return context;
}

/** As openCompressor. */
function openDecompressor(): NativeContext | null {
  const params = { [constants.ZSTD_d_windowLogMax]: WINDOW_LOG_MAX };
  const context = new NativeContext(createZstdDecompress({ params }));
  const frame = zstdCompressSync(SAMPLE);
  const output = Buffer.alloc(SAMPLE.byteLength);
  for (let round = 0; round < 2; round++) {
    const length = attempt(context, constants.ZSTD_e_continue, frame, output.fill(0));
    if (length !== SAMPLE.byteLength || !output.equals(SAMPLE)) return null;
  }
  return context;
}
