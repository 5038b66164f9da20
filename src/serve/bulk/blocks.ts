/** Blocks for readers of datasets, in ranges. docs/protocol.md §3 */
import { AetherError, codeOf } from "../../base/errors.ts";
import type { ByteRange } from "../../base/byte-range.ts";
import { requireDataset } from "../../dataset/datasets.ts";
import { BlockDomains } from "../../dataset/version/block-domains.ts";
import { digestFromHex, formatDigest, type Digest } from "../../format/digest.ts";
import { parseDatasetName } from "../../format/reference.ts";
import { Buffers } from "../../dataset/read/buffers.ts";
import type { CallOptions, RangeReader } from "../../store/block-store.ts";
import { Body } from "../body.ts";
import type { HttpRequest, HttpResponse } from "../http-handler.ts";
import type { Services } from "../services.ts";
import { blockRange } from "./block-range.ts";

/** The share of the engine's memory for what answers are read into; with less at hand each is read in smaller parts. */
const BUFFERS_SHARE = 1 / 8;

/** Answers for the block of these digits. Errors: PATH_NOT_FOUND, PATH_INVALID, RANGE_INVALID, DATASET_NOT_FOUND, those of access and store. */
type BlockAnswer = (request: HttpRequest, response: HttpResponse, hex: string) => Promise<void>;

/** Makes the answer to `GET /bulk/v1/blocks/<hex>?dataset=<name>`. */
export function createBlockReader(services: Services): BlockAnswer {
  const { memoryBytes, store } = services.engine;
  const { blocks } = store;
  const buffers = new Buffers(memoryBytes * BUFFERS_SHARE);
  const domains = new BlockDomains(blocks);
  return async (request, response, hex) => {
    const gone = goneSignal(response);
    const block = await findBlock(services, domains, request, hex, { signal: gone });
    const sizeBytes = await blocks.stat(block, { signal: gone });
    if (sizeBytes === undefined) throw notThere(block);
    const etag = `"${block}"`;
    response.setHeader("etag", etag);
    response.setHeader("accept-ranges", "bytes");
    response.setHeader("cache-control", "private, max-age=31536000, immutable");
    if (matches(request.headers["if-none-match"], etag)) {
      response.writeHead(304);
      response.end();
      return;
    }
    const range = rangeOf(request, response, etag, sizeBytes);
    const { start, end } = range ?? { start: 0, end: sizeBytes };
    response.setHeader("content-type", "application/octet-stream");
    response.setHeader("x-content-type-options", "nosniff");
    response.setHeader("content-length", end - start);
    if (range !== undefined) response.setHeader("content-range", `bytes ${start}-${end - 1}/${sizeBytes}`);
    response.writeHead(range === undefined ? 200 : 206);
    if (request.method === "HEAD") response.end();
    else await new Body(response).send(pieces(blocks, buffers, block, { start, end }, gone));
  };
}

/** The block, once the caller may read the dataset and the block lies in its domain. */
async function findBlock(
  services: Services,
  domains: BlockDomains,
  request: HttpRequest,
  hex: string,
  options: CallOptions,
): Promise<Digest> {
  const { access, engine } = services;
  const query = new URL(request.url ?? "", "http://hub").searchParams;
  const name = parseDatasetName(query.get("dataset") ?? "");
  const identity = await access.identify(request.headers);
  await access.check(identity, "read", name);
  const block = digestFromHex(hex);
  if (block === undefined)
    throw new AetherError("PATH_INVALID", "a block is named by 64 lower-case hex digits");
  const dataset = await requireDataset(engine, name, options);
  // Others may wait for the same answer: it is not broken off with this request.
  const domain = await domains.get(block).catch((error: unknown) => {
    if (codeOf(error) === "OBJECT_MISSING") throw notThere(block);
    throw error;
  });
  if (domain !== dataset.domain) throw notThere(block);
  return block;
}

function rangeOf(
  request: HttpRequest,
  response: HttpResponse,
  etag: string,
  sizeBytes: number,
): ByteRange | undefined {
  const condition = request.headers["if-range"];
  if (condition !== undefined && condition !== etag) return undefined;
  try {
    return blockRange(request.headers.range, sizeBytes);
  } catch (error) {
    response.setHeader("content-range", `bytes */${sizeBytes}`);
    throw error;
  }
}

/** A part of a block on its way from the store, and memory for it. */
interface Reading {
  readonly end: number;
  readonly memory: Buffer;
  readonly bytes: Promise<Uint8Array>;
}

/** The block's bytes of a range. One piece, which holds until the next is asked for, is read while the one before is on its way. */
async function* pieces(
  blocks: RangeReader,
  buffers: Buffers,
  block: Digest,
  { start, end }: ByteRange,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const read = (from: number): Reading => {
    const memory = buffers.take(end - from);
    const range = { start: from, end: Math.min(from + memory.byteLength, end) };
    const bytes = blocks.read(block, range, { signal, into: memory });
    // Seen when its turn comes; until then a failure is no unhandled one.
    bytes.catch(() => undefined);
    return { end: range.end, memory, bytes };
  };
  let next: Reading | undefined = start < end ? read(start) : undefined;
  try {
    while (next !== undefined) {
      const bytes = await next.bytes;
      const { memory, end: at }: Reading = next;
      next = at < end ? read(at) : undefined;
      let isSent = false;
      try {
        yield bytes;
        isSent = true;
      } finally {
        buffers.give(memory, isSent);
      }
    }
  } finally {
    // It may still be written to.
    if (next !== undefined) buffers.give(next.memory, false);
  }
}

/** Aborts when the client goes before the answer is through. */
function goneSignal(response: HttpResponse): AbortSignal {
  const gone = new AbortController();
  response.once("close", () => {
    if (!response.writableFinished) gone.abort(new AetherError("CANCELLED", "the client has gone"));
  });
  return gone.signal;
}

function matches(header: string | undefined, etag: string): boolean {
  const tags = header?.split(",").map((tag) => tag.trim().replace(/^W\//, ""));
  return tags?.some((tag) => tag === etag || tag === "*") ?? false;
}

function notThere(block: Digest): AetherError {
  const data = { block: formatDigest(block) };
  return new AetherError("PATH_NOT_FOUND", "the dataset has no such block: read its plan again", { data });
}
