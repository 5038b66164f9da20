/** Content codings: which one a client gets, and the content in it. RFC 9110 §8.4.1, §12.5.3 */
import type { Transform } from "node:stream";
import { constants, createBrotliCompress, createGzip, createZstdCompress } from "node:zlib";
import { KiB, MiB } from "../base/limits.ts";
import { parseWeights } from "./weights.ts";

/** A coding, or none. */
export type Coding = "zstd" | "br" | "gzip" | "identity";

/** What is left as it is: below, little is won; above, a length that is known, ranges and a digest are worth more. */
const CODED_BYTES_MIN = KiB;
const CODED_BYTES_MAX = 16 * MiB;

/** The first of those that are wanted alike is taken: it costs the least for what it saves. */
const CODINGS = ["zstd", "br", "gzip"] as const;
const TEXT =
  /^text\/|[/+](?:json|xml|yaml|toml|x-yaml|javascript|x-sh|x-tex|sql|wasm|x-ndjson|json-seq|manifest)\b|^image\/(?:svg|bmp)/;

/** Whether content of that type and size is worth coding. */
export function isWorthCoding(contentType: string, sizeBytes: number): boolean {
  return sizeBytes >= CODED_BYTES_MIN && sizeBytes <= CODED_BYTES_MAX && isText(contentType);
}

/** Whether the coding of such content depends on what the client wants. */
function isText(contentType: string): boolean {
  return TEXT.test(contentType);
}

/**
 * The coding that a header `Accept-Encoding` leads to, where `isWorth` says that one is better than none; undefined: the client
 * takes none that there is (406).
 */
export function codingOf(header: string | undefined, isWorth: boolean): Coding | undefined {
  if (header === undefined) return "identity";
  const weights = parseWeights(header);
  const others = weights.get("*");
  const weightOf = (name: string): number | undefined => weights.get(name) ?? others;
  const plain = weightOf("identity");
  let best: { readonly name: Coding; readonly weight: number } | undefined;
  for (const name of CODINGS) {
    const weight = (name === "gzip" ? weights.get("x-gzip") : undefined) ?? weightOf(name) ?? 0;
    if (weight > (best?.weight ?? 0)) best = { name, weight };
  }
  // What does not stand there is taken, but wanted the least.
  if (plain === 0) return best?.name;
  return isWorth && best !== undefined && best.weight >= (plain ?? 0) ? best.name : "identity";
}

/**
 * The content in a coding, as fast as it is asked for; with a bounded part of it in memory. A piece of `content` is done with when
 * the next is asked for. Errors: those of `content`.
 */
export async function* code(
  content: AsyncIterable<Uint8Array | string>,
  coding: Exclude<Coding, "identity">,
): AsyncGenerator<Uint8Array> {
  const coder = coderOf(coding);
  const fed = feed(coder, content);
  try {
    for await (const piece of coder) yield piece as Buffer;
  } finally {
    coder.destroy();
    await fed;
  }
}

function coderOf(coding: Exclude<Coding, "identity">): Transform {
  const { BROTLI_PARAM_QUALITY, BROTLI_PARAM_LGWIN, ZSTD_c_compressionLevel, ZSTD_c_windowLog } = constants;
  switch (coding) {
    case "gzip":
      return createGzip({ level: 4, chunkSize: 64 * KiB });
    case "br":
      return createBrotliCompress({
        chunkSize: 64 * KiB,
        params: { [BROTLI_PARAM_QUALITY]: 4, [BROTLI_PARAM_LGWIN]: 19 },
      });
    case "zstd":
      return createZstdCompress({
        chunkSize: 64 * KiB,
        params: { [ZSTD_c_compressionLevel]: 3, [ZSTD_c_windowLog]: 20 },
      });
  }
}

/** Gives all content to the coder; a failure is the coder's. */
async function feed(coder: Transform, content: AsyncIterable<Uint8Array | string>): Promise<void> {
  const closed = new Promise<void>((resolve) => coder.once("close", resolve));
  try {
    for await (const piece of content) {
      const taken = new Promise<void>((resolve) => {
        coder.write(piece, () => {
          resolve();
        });
      });
      // A coder that is destroyed may never say that it took a piece.
      await Promise.race([taken, closed]);
      if (coder.destroyed) return;
    }
    coder.end();
  } catch (error) {
    coder.destroy(error instanceof Error ? error : new Error(String(error)));
  }
}
