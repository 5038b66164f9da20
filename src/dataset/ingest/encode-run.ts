/** Encoding a run of chunks that lies in memory of its own, as a delta or plain. docs/format.md §5.1 */
import { must } from "../../base/assert.ts";
import type { FrameBase } from "../../format/block.ts";
import { DEFAULT_COMPRESSION_LEVEL } from "../../format/frame.ts";
import type { ChunkItem } from "../../format/page.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { ReadEngine } from "../engine.ts";
import { isDelta, packRequests, unpackItems, type EncodedItem } from "../workers/encode-task.ts";
import type { IngestFrame } from "./ingest.ts";

/** What a run may be encoded against: what its frame will say, and the bytes. */
export interface RunBase {
  readonly frame: FrameBase;
  /** The beginning of it that readers most likely have, when that is not all. */
  readonly near?: FrameBase | undefined;
  readonly dictionary: Uint8Array;
}

/**
 * The run as one delta frame, or, where that is not clearly shorter (and where there is no base), each of its chunks as a
 * plain one. `bytes` are the chunks', one after another: a few MiB at most.
 */
export async function encodeRun(
  engine: Pick<ReadEngine, "pool">,
  run: { readonly chunks: readonly ChunkItem[]; readonly bytes: Uint8Array },
  base: RunBase | undefined,
  options: CallOptions,
): Promise<IngestFrame[]> {
  const { chunks, bytes } = run;
  const memory = new SharedArrayBuffer(bytes.byteLength);
  new Uint8Array(memory).set(bytes);
  let at = 0;
  const chunkEnds = chunks.map(({ length }) => (at += length));
  const request = {
    start: 0,
    end: bytes.byteLength,
    chunkEnds,
    dictionary: base?.dictionary,
    nearBytes: base?.near?.bytes,
  };
  const input = packRequests(memory, DEFAULT_COMPRESSION_LEVEL, [request]);
  const items = unpackItems(await engine.pool.run("encodeFrames", input, options));
  return items.map((item) => ({
    codec: item.codec,
    chunks: isDelta(item) ? chunks : [must(chunks[item.chunk], "an item is a chunk's")],
    stored: new Uint8Array(memory, item.start, item.storedBytes),
    base: usedBase(item, base?.frame, base?.near),
  }));
}

/** What an item was encoded against: the whole base, or the near part of it; undefined of a plain one. */
export function usedBase(
  item: EncodedItem,
  whole: FrameBase | undefined,
  near: FrameBase | undefined,
): FrameBase | undefined {
  if (!isDelta(item)) return undefined;
  return near !== undefined && item.dictionaryBytes === near.bytes ? near : whole;
}
