/** BlockAPI of the first AetherFS. proto/aetherfs/block/v1/api.proto */
import type { HandlerContext, MethodImpl } from "@connectrpc/connect";
import { AetherError } from "../../base/errors.ts";
import { KiB } from "../../base/limits.ts";
import { formatSignature, parseSignature } from "../../dataset/view/signature.ts";
import { Uploads } from "../../dataset/view/uploads.ts";
import type { FoundBlock, Views } from "../../dataset/view/views.ts";
import type { Digest } from "../../format/digest.ts";
import { BlockAPI, type UploadRequest } from "../../gen/aetherfs/block/v1/api_pb.ts";
import { rpcService, type RpcService } from "../../rpc/rpc-service.ts";
import type { Services } from "../services.ts";
import { blockCaller } from "./block-caller.ts";

/** Bytes of one part of a download, as the first AetherFS sends them. */
const PART_BYTES = 64 * KiB;
const SIGNATURE_HEADER = "x-afs-block-signature";
const SIZE_HEADER = "x-afs-block-size";

type Methods = typeof BlockAPI.method;

/** Blocks of fixed size over the versions of a store (docs/decisions/0007). A block is there for who may read a dataset that has it, or uploaded it. */
export function blockService(services: Services, views: Views): RpcService {
  const parts = { services, views, uploads: new Uploads(services.engine) };
  return rpcService(BlockAPI, { lookup: lookup(parts), download: download(parts), upload: upload(parts) });
}

interface Parts {
  readonly services: Services;
  readonly views: Views;
  readonly uploads: Uploads;
}

function lookup(parts: Parts): MethodImpl<Methods["lookup"]> {
  return async (request, context) => {
    await requireBlock(parts, parseSignature(request.signature), context);
    return {};
  };
}

function download(parts: Parts): MethodImpl<Methods["download"]> {
  return async function* (request, context) {
    const block = await requireBlock(parts, parseSignature(request.signature), context);
    const offset = Number(request.offset);
    if (offset < 0 || request.size < 0n) {
      throw new AetherError("ARGUMENT_INVALID", "the offset and the size of a part are no negative numbers");
    }
    if (offset > block.bytes) {
      throw new AetherError("RANGE_INVALID", `the block has ${block.bytes} bytes, and none at ${offset}`, {
        data: { bytes: block.bytes },
      });
    }
    // The first AetherFS's readers ask for as much as they want, and take it that a block ends where it ends.
    const end = request.size === 0n ? block.bytes : Math.min(block.bytes, offset + Number(request.size));
    for await (const piece of block.read(offset, end)) {
      for (let at = 0; at < piece.byteLength; at += PART_BYTES)
        yield { part: piece.subarray(at, at + PART_BYTES) };
    }
  };
}

function upload({ services, views, uploads }: Parts): MethodImpl<Methods["upload"]> {
  return async (requests, context) => {
    const { signal } = context;
    const caller = await blockCaller(services, context);
    const signature = parseSignature(header(context, SIGNATURE_HEADER));
    const size = header(context, SIZE_HEADER);
    const bytes = /^\d{1,15}$/.test(size) ? Number(size) : undefined;
    if (bytes === undefined)
      throw new AetherError("ARGUMENT_INVALID", `${SIZE_HEADER} is not a number of bytes`);
    if ((await views.find(signature, caller, { signal })) !== undefined) {
      throw new AetherError("BLOCK_EXISTS", "the block is there already: nothing need be sent", {
        data: { signature: formatSignature(signature) },
      });
    }
    const declared = { signature, bytes, holder: caller.name };
    await uploads.take(declared, partsOf(requests), { signal });
    return { signature: formatSignature(signature) };
  };
}

async function* partsOf(requests: AsyncIterable<UploadRequest>): AsyncGenerator<Uint8Array> {
  for await (const { part } of requests) yield part;
}

function header(context: HandlerContext, name: string): string {
  const value = context.requestHeader.get(name);
  if (value !== null) return value;
  throw new AetherError("ARGUMENT_INVALID", `the call says nothing in ${name}: it must declare the block`);
}

async function requireBlock(
  { services, views }: Parts,
  signature: Digest,
  context: HandlerContext,
): Promise<FoundBlock> {
  const caller = await blockCaller(services, context);
  const found = await views.find(signature, caller, { signal: context.signal });
  if (found !== undefined) return found;
  throw new AetherError(
    "BLOCK_NOT_FOUND",
    "no dataset that you may read has this block, nor did you upload it",
    {
      data: { signature: formatSignature(signature) },
    },
  );
}
