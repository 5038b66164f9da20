/** How a version's stream is cut. docs/format.md §4 */
import { AetherError } from "../base/errors.ts";

/** Content-defined (FastCDC) or fixed cutting, and the average (or the fixed) size in bytes. */
export interface ChunkingParameters {
  readonly kind: "cdc" | "fixed";
  /** Of `cdc` a power of two; bytes of a chunk on average, or exactly. */
  readonly averageBytes: number;
}

/** The bounds that follow from the parameters, in bytes. A chunk is shorter than `minBytes` only at a segment's end. */
export interface ChunkBounds {
  readonly minBytes: number;
  readonly averageBytes: number;
  readonly maxBytes: number;
}

/** The averages that a producer may choose, in bytes. */
export const CHUNK_AVERAGE_MIN = 4 * 1024;
export const CHUNK_AVERAGE_MAX = 4 * 1024 * 1024;
/** No chunk of any version is longer: four times the largest average. */
export const CHUNK_BYTES_MAX = 4 * CHUNK_AVERAGE_MAX;

/** What a first version gets when nobody says otherwise. */
export const DEFAULT_CHUNKING: ChunkingParameters = { kind: "cdc", averageBytes: 64 * 1024 };

/** The parameters, when they are allowed. Errors: ARGUMENT_INVALID. */
export function checkChunking(parameters: ChunkingParameters): ChunkingParameters {
  const { kind, averageBytes } = parameters;
  const inRange =
    Number.isSafeInteger(averageBytes) &&
    averageBytes >= CHUNK_AVERAGE_MIN &&
    averageBytes <= CHUNK_AVERAGE_MAX;
  const powerOfTwo = inRange && (averageBytes & (averageBytes - 1)) === 0;
  if (!inRange || (kind === "cdc" && !powerOfTwo)) {
    const form = kind === "cdc" ? "a power of two from" : "from";
    throw new AetherError("ARGUMENT_INVALID", `a chunk size is ${form} 4 KiB to 4 MiB, not ${averageBytes}`);
  }
  return parameters;
}

/** docs/format.md §4.1: `min = avg/2`, `max = 4·avg`; fixed chunks are all of one size. */
export function chunkBounds(parameters: ChunkingParameters): ChunkBounds {
  const { kind, averageBytes } = parameters;
  if (kind === "fixed") return { minBytes: averageBytes, averageBytes, maxBytes: averageBytes };
  return { minBytes: averageBytes / 2, averageBytes, maxBytes: averageBytes * 4 };
}

/** `cdc:65536` or `fixed:1048576`. */
export function formatChunking(parameters: ChunkingParameters): string {
  return `${parameters.kind}:${parameters.averageBytes}`;
}

/** The inverse of formatChunking. Errors: ARGUMENT_INVALID. */
export function parseChunking(text: string): ChunkingParameters {
  const match = /^(cdc|fixed):([1-9]\d{0,9})$/.exec(text);
  if (match === null)
    throw new AetherError("ARGUMENT_INVALID", `"${text.slice(0, 50)}" is not cdc:<bytes> or fixed:<bytes>`);
  return checkChunking({ kind: match[1] as "cdc" | "fixed", averageBytes: Number(match[2]) });
}

/** Whether two versions were cut alike, so that equal segments have equal chunks. */
export function sameChunking(a: ChunkingParameters, b: ChunkingParameters): boolean {
  return a.kind === b.kind && a.averageBytes === b.averageBytes;
}
