/** DatasetAPI of the first AetherFS. proto/aetherfs/dataset/v1/api.proto */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { HandlerContext, MethodImpl } from "@connectrpc/connect";
import { AetherError } from "../../base/errors.ts";
import { listDatasets, listTags } from "../../dataset/datasets.ts";
import { resolve } from "../../dataset/resolve.ts";
import { BlockPublisher } from "../../dataset/view/publish-blocks.ts";
import { formatSignature, parseSignature } from "../../dataset/view/signature.ts";
import type { StreamFile } from "../../dataset/view/stream-files.ts";
import type { View, Views } from "../../dataset/view/views.ts";
import type { Digest } from "../../format/digest.ts";
import { parseDatasetName, parseTag, type DatasetName } from "../../format/reference.ts";
import {
  DatasetAPI,
  TagSchema,
  type Dataset,
  type DatasetSchema,
  type Tag,
} from "../../gen/aetherfs/dataset/v1/api_pb.ts";
import { rpcService, type RpcService } from "../../rpc/rpc-service.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { Services } from "../services.ts";
import { blockCaller } from "./block-caller.ts";
import { allow, identify, visible } from "./caller.ts";
import { positionOf, readPage } from "./page.ts";
import { subscribe } from "./subscribe.ts";

type Methods = typeof DatasetAPI.method;

/** Datasets over blocks of fixed size (docs/decisions/0007). */
export function datasetService(services: Services, views: Views): RpcService {
  return rpcService(DatasetAPI, {
    list: list(services),
    listTags: tags(services),
    lookup: lookup(services, views),
    publish: publish(services, views),
    subscribe: subscribe(services, (name, version, options) => shown(views, name, version, options)),
  });
}

function list(services: Services): MethodImpl<Methods["list"]> {
  return async (request, context) => {
    const identity = await identify(services, context);
    const position = positionOf("datasets", request);
    const after = position === undefined ? undefined : parseDatasetName(position);
    const names = listDatasets(services.engine, { after, signal: context.signal });
    const page = await readPage(visible(services, identity, names), request, {
      list: "datasets",
      message: (name: DatasetName) => create(TagSchema, { name }),
      position: (name) => name,
      bytes: (name) => name.length,
    });
    return { datasets: page.items, nextPageToken: page.nextPageToken };
  };
}

function tags(services: Services): MethodImpl<Methods["listTags"]> {
  return async (request, context) => {
    const { name } = await allow(services, context, "read", request.name);
    const position = positionOf("tags", request);
    const after = position === undefined ? undefined : parseTag(position);
    const pointers = listTags(services.engine, name, { after, signal: context.signal });
    const page = await readPage(pointers, request, {
      list: "tags",
      message: ({ tag }) => create(TagSchema, { name, version: tag }),
      position: ({ tag }) => tag,
      bytes: ({ tag }) => name.length + tag.length,
    });
    return { tags: page.items, nextPageToken: page.nextPageToken };
  };
}

function lookup(services: Services, views: Views): MethodImpl<Methods["lookup"]> {
  return async (request, context) => {
    const { signal } = context;
    const { name, tag } = await allowTag(services, context, "read", request.tag);
    const reference = { host: undefined, name, tag, digest: undefined };
    const { version } = await resolve(services.engine, reference, { signal });
    return { dataset: await shown(views, name, version, { signal }) };
  };
}

function publish(services: Services, views: Views): MethodImpl<Methods["publish"]> {
  const publisher = new BlockPublisher(services.engine, views);
  return async (request, context) => {
    const { dataset } = request;
    if (dataset === undefined) throw new AetherError("ARGUMENT_INVALID", "say which dataset to publish");
    const named = [];
    for (const tag of request.tags) named.push(await allowTag(services, context, "write", tag));
    const caller = await blockCaller(services, context);
    const { blockSize: blockBytes, blocks } = dataset;
    const files = dataset.files.map(streamFileOf);
    const signatures = blocks.map(parseSignature);
    await publisher.publish({ files, blockBytes, blocks: signatures }, named, caller, {
      signal: context.signal,
    });
    return {};
  };
}

function streamFileOf({ name, size, lastModified }: Dataset["files"][number]): StreamFile {
  const { seconds = 0n, nanos = 0 } = lastModified ?? {};
  return { path: name, size: Number(size), mtime: { seconds: Number(seconds), nanos } };
}

async function shown(
  views: Views,
  name: DatasetName,
  version: Digest,
  options: CallOptions,
): Promise<MessageInitShape<typeof DatasetSchema>> {
  return datasetOf(await views.get(name, version, options));
}

function datasetOf({ layout, files }: View): MessageInitShape<typeof DatasetSchema> {
  return {
    blockSize: layout.blockBytes,
    blocks: layout.blocks.map(formatSignature),
    files: files.map(({ entry: { path, size, mtime } }) => ({
      name: path,
      size: BigInt(size),
      lastModified: { seconds: BigInt(mtime.seconds), nanos: mtime.nanos },
    })),
  };
}

async function allowTag(
  services: Services,
  context: HandlerContext,
  action: "read" | "write",
  tag: Tag | undefined,
) {
  if (tag === undefined) throw new AetherError("ARGUMENT_INVALID", "say which dataset, and which tag of it");
  const { name } = await allow(services, context, action, tag.name);
  return { name, tag: parseTag(tag.version) };
}
