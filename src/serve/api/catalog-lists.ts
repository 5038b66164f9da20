/** Lists of the catalog, in pages. */
import type { MethodImpl } from "@connectrpc/connect";
import { history, listDatasets, listTags, requireDataset } from "../../dataset/datasets.ts";
import { entries, getEntry, listFolder, type PlacedEntry } from "../../dataset/version/entries.ts";
import { openVersion, type Version } from "../../dataset/version/version.ts";
import { AetherError } from "../../base/errors.ts";
import { parseDatasetName, parseTag } from "../../format/reference.ts";
import type { CatalogAPI } from "../../gen/aetherfs/hub/v1/catalog_pb.ts";
import type { Services } from "../services.ts";
import { allow, identify, visible } from "./caller.ts";
import { entryBytes, entryOf, historyEntryBytes, historyEntryOf } from "./catalog-messages.ts";
import { ownVersion, type Catalog } from "./catalog.ts";
import { positionOf, readPage } from "./page.ts";

type Methods = typeof CatalogAPI.method;

/** CatalogAPI.ListDatasets. */
export function listNames(services: Services): MethodImpl<Methods["listDatasets"]> {
  return async (request, context) => {
    const identity = await identify(services, context);
    const position = positionOf("datasets", request);
    const after = position === undefined ? undefined : parseDatasetName(position);
    const names = listDatasets(services.engine, { after, signal: context.signal });
    const form = {
      list: "datasets",
      message: (name: string) => name,
      position: (name: string) => name,
      bytes: (name: string) => name.length,
    };
    const page = await readPage(visible(services, identity, names), request, form);
    return { names: page.items, nextPageToken: page.nextPageToken };
  };
}

/** CatalogAPI.ListTags. */
export function listPointers(services: Services): MethodImpl<Methods["listTags"]> {
  return async (request, context) => {
    const { name } = await allow(services, context, "read", request.name);
    const position = positionOf("tags", request);
    const after = position === undefined ? undefined : parseTag(position);
    const page = await readPage(listTags(services.engine, name, { after, signal: context.signal }), request, {
      list: "tags",
      message: ({ tag, record }) => ({ tag, entry: historyEntryOf(record) }),
      position: ({ tag }) => tag,
      bytes: ({ tag, record }) => tag.length + historyEntryBytes(record),
    });
    return { tags: page.items, nextPageToken: page.nextPageToken };
  };
}

/** CatalogAPI.ListHistory. */
export function listChanges(services: Services): MethodImpl<Methods["listHistory"]> {
  return async (request, context) => {
    const { name } = await allow(services, context, "read", request.name);
    const position = positionOf("history", request);
    const before = position === undefined ? undefined : Number(position);
    if (before !== undefined && !Number.isSafeInteger(before)) {
      throw new AetherError("ARGUMENT_INVALID", "the page token names no change of a tag");
    }
    const changes = history(services.engine, name, parseTag(request.tag), { before, signal: context.signal });
    const page = await readPage(changes, request, {
      list: "history",
      message: historyEntryOf,
      position: ({ number }) => String(number),
      bytes: historyEntryBytes,
    });
    return { entries: page.items, nextPageToken: page.nextPageToken };
  };
}

/** CatalogAPI.ListEntries: seeks to where a page begins, and leaps over what lies below a folder's folders. */
export function listPaths(catalog: Catalog): MethodImpl<Methods["listEntries"]> {
  return async (request, context) => {
    const { signal } = context;
    const { name } = await allow(catalog, context, "read", request.name);
    const dataset = await requireDataset(catalog.engine, name, { signal });
    const digest = await ownVersion(catalog, dataset, request.digest, { signal });
    const after = positionOf("entries", request);
    const version = await openVersion(catalog.engine, digest, { signal });
    const batches = request.recursive
      ? listBelow(version, request.path, after)
      : listFolder(version, request.path, { after, signal });
    const page = await readPage(flat(batches), request, {
      list: "entries",
      message: ({ entry }) => entryOf(entry),
      position: ({ entry }) => entry.path,
      bytes: ({ entry }) => entryBytes(entry),
    });
    return { entries: page.items, nextPageToken: page.nextPageToken };
  };
}

/** All that lies below a folder ("" is the top), from the first after the path `after`. */
async function* listBelow(
  version: Version,
  folder: string,
  after: string | undefined,
): AsyncGenerator<PlacedEntry[]> {
  if (folder !== "" && (await getEntry(version, folder)).entry.kind !== "directory") {
    throw new AetherError("PATH_NOT_FOUND", `${JSON.stringify(folder)} is not a folder of the version`, {
      data: { path: folder },
    });
  }
  const prefix = folder === "" ? "" : `${folder}/`;
  const first = prefix === "" ? undefined : prefix;
  const from = after?.startsWith(prefix) === true ? `${after}\0` : first;
  for await (const batch of entries(version, { from })) {
    const inside = batch.filter(({ entry }) => entry.path.startsWith(prefix));
    if (inside.length > 0) yield inside;
    if (inside.length < batch.length) return;
  }
}

async function* flat<T>(batches: AsyncIterable<readonly T[]>): AsyncGenerator<T> {
  for await (const batch of batches) yield* batch;
}
