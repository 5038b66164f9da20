/** CatalogAPI: datasets, tags, histories, entries, differences, events. proto/aetherfs/hub/v1/catalog.proto */
import type { MethodImpl } from "@connectrpc/connect";
import { AetherError } from "../../base/errors.ts";
import { requireDataset } from "../../dataset/datasets.ts";
import { DatasetVersions, type DatasetIdentity } from "../../dataset/dataset-versions.ts";
import { diffVersions } from "../../dataset/diff.ts";
import { watchEvents } from "../../dataset/events.ts";
import { resolve } from "../../dataset/resolve.ts";
import { formatDigest, type Digest } from "../../format/digest.ts";
import { DEFAULT_TAG, parseTag } from "../../format/reference.ts";
import { CatalogAPI } from "../../gen/aetherfs/hub/v1/catalog_pb.ts";
import { rpcService, type RpcService } from "../../rpc/rpc-service.ts";
import type { CallOptions } from "../../store/block-store.ts";
import { NUMBER_MAX } from "../../store/keys.ts";
import type { Services } from "../services.ts";
import { allow } from "./caller.ts";
import { deleteTag, rollbackTag, setTag } from "./catalog-changes.ts";
import { listChanges, listNames, listPaths, listPointers } from "./catalog-lists.ts";
import { eventOf, historyEntryOf } from "./catalog-messages.ts";
import { bringBackDataset, changeDataset, getDataset, removeDataset, review } from "./catalog-settings.ts";
import { ownVersion, type Catalog } from "./catalog.ts";

/** Paths of one answer to Diff. */
const DIFF_PATHS_MAX = 20_000;

type Methods = typeof CatalogAPI.method;

/** The catalog of a hub. Each call asks services.access; lists come in pages (page.ts). */
export function catalogService(services: Services): RpcService {
  const catalog = { ...services, versions: new DatasetVersions(services.engine.store.datasets) };
  return rpcService(CatalogAPI, {
    listDatasets: listNames(services),
    listTags: listPointers(services),
    resolve: resolveReference(catalog),
    listHistory: listChanges(services),
    setTag: setTag(services),
    rollback: rollbackTag(services),
    deleteTag: deleteTag(services),
    getDataset: getDataset(services),
    updateDataset: changeDataset(services),
    reviewRetention: review(services),
    deleteDataset: removeDataset(services),
    undeleteDataset: bringBackDataset(services),
    listEntries: listPaths(catalog),
    diff: diff(catalog),
    watchEvents: watch(services),
  });
}

function resolveReference(catalog: Catalog): MethodImpl<Methods["resolve"]> {
  return async (request, context) => {
    const { signal } = context;
    const { name } = await allow(catalog, context, "read", request.name);
    if (request.digest !== "") {
      if (request.tag !== "") throw new AetherError("ARGUMENT_INVALID", "name a tag or a digest, not both");
      const dataset = await requireDataset(catalog.engine, name, { signal });
      const version = await ownVersion(catalog, dataset, request.digest, { signal });
      return { name, digest: formatDigest(version) };
    }
    const asked = request.tag === "" ? DEFAULT_TAG : parseTag(request.tag);
    const reference = { host: undefined, name, tag: asked, digest: undefined };
    const { version, tag, record } = await resolve(catalog.engine, reference, { signal });
    const answer = { name, digest: formatDigest(version), tag: tag ?? "" };
    return record === undefined ? answer : { ...answer, entry: historyEntryOf(record) };
  };
}

function diff(catalog: Catalog): MethodImpl<Methods["diff"]> {
  return async (request, context) => {
    const { signal } = context;
    const { name } = await allow(catalog, context, "read", request.name);
    const dataset = await requireDataset(catalog.engine, name, { signal });
    const from = await versionOf(catalog, dataset, request.from, { signal });
    const to = await versionOf(catalog, dataset, request.to, { signal });
    const result = await diffVersions(catalog.engine, from, to, { signal, pathsMax: DIFF_PATHS_MAX });
    const { added, removed, changed, renamed, updateBytes } = result;
    return {
      added: [...added],
      removed: [...removed],
      changed: [...changed],
      renamed: [...renamed],
      updateBytes: BigInt(updateBytes),
    };
  };
}

/** What a digest, or a tag, of the dataset means now. */
async function versionOf(
  catalog: Catalog,
  dataset: DatasetIdentity,
  text: string,
  options: CallOptions,
): Promise<Digest> {
  if (text.includes(":")) return await ownVersion(catalog, dataset, text, options);
  const { name } = dataset;
  const reference = { host: undefined, name, tag: parseTag(text), digest: undefined };
  return (await resolve(catalog.engine, reference, options)).version;
}

function watch(services: Services): MethodImpl<Methods["watchEvents"]> {
  return async function* (request, context) {
    const { engine, stopping } = services;
    const { name } = await allow(services, context, "read", request.name);
    if (request.sequence > BigInt(NUMBER_MAX)) {
      throw new AetherError("ARGUMENT_INVALID", `no event has the number ${request.sequence}`);
    }
    const events = watchEvents(engine, name, {
      sequence: request.sequence === 0n ? undefined : Number(request.sequence),
      tag: request.tag === "" ? undefined : parseTag(request.tag),
      untilNow: request.untilNow,
      signal: AbortSignal.any([context.signal, stopping]),
    });
    try {
      for await (const event of events) yield eventOf(event);
    } catch (error) {
      if (!stopping.aborted) throw error;
      throw new AetherError(
        "HUB_UNAVAILABLE",
        "the hub stops: go on after the last event, there or elsewhere",
        {
          cause: error,
        },
      );
    }
  };
}
