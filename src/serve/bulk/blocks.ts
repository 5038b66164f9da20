/** Blocks for readers of datasets, in ranges. docs/protocol.md §3 */
import { AetherError, codeOf } from "../../base/errors.ts";
import type { ByteRange } from "../../base/byte-range.ts";
import { MiB } from "../../base/limits.ts";
import { requireDataset } from "../../dataset/datasets.ts";
import { BlockDomains } from "../../dataset/version/block-domains.ts";
import { digestFromHex, formatDigest, type Digest } from "../../format/digest.ts";
import { parseDatasetName } from "../../format/reference.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { HttpRequest, HttpResponse } from "../http-handler.ts";
import type { Services } from "../services.ts";
import { blockRange } from "./block-range.ts";

/** What is read from the store at a time, and held of one answer. */
const PIECE_BYTES = MiB;

/** Answers for the block of these digits. Errors: PATH_NOT_FOUND, PATH_INVALID, RANGE_INVALID, DATASET_NOT_FOUND, those of access and store. */
type BlockAnswer = (request: HttpRequest, response: HttpResponse, hex: string) => Promise<void>;

/** Makes the answer to `GET /bulk/v1/blocks/<hex>?dataset=<name>`. */
export function createBlockReader(services: Services): BlockAnswer {
  const { blocks } = services.engine.store;
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
    else await send(services, response, block, { start, end }, gone);
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

/** One piece is read while the one before is on its way. */
async function send(
  { engine }: Services,
  response: HttpResponse,
  block: Digest,
  { start, end }: ByteRange,
  signal: AbortSignal,
): Promise<void> {
  const read = (from: number): Promise<Uint8Array> =>
    engine.store.blocks.read(block, { start: from, end: Math.min(from + PIECE_BYTES, end) }, { signal });
  let next = read(start);
  for (let at = start; at < end; at += PIECE_BYTES) {
    const piece = await next;
    if (at + PIECE_BYTES < end) next = read(at + PIECE_BYTES);
    next.catch(() => undefined);
    if (!(await write(response, piece, signal))) return;
  }
  response.end();
}

/** False when the client has gone. */
async function write(response: HttpResponse, piece: Uint8Array, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return false;
  if (response.write(piece)) return true;
  await new Promise<void>((resolve) => {
    const go = (): void => {
      response.off("drain", go);
      signal.removeEventListener("abort", go);
      resolve();
    };
    response.once("drain", go);
    signal.addEventListener("abort", go, { once: true });
  });
  return !signal.aborted;
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
