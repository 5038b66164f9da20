/** A dataset as a whole: its settings, its retention, its deletion. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { MethodImpl } from "@connectrpc/connect";
import { AetherError } from "../../base/errors.ts";
import { updateDataset, type DatasetChange, type DatasetSettings } from "../../dataset/dataset-settings.ts";
import { requireDataset } from "../../dataset/datasets.ts";
import { deleteDataset, undeleteDataset } from "../../dataset/deletion.ts";
import { reviewRetention } from "../../dataset/retention-review.ts";
import { formatChunking, parseChunking } from "../../format/chunking.ts";
import { formatDigest } from "../../format/digest.ts";
import type { DatasetRecord, Retention } from "../../format/record.ts";
import type {
  CatalogAPI,
  DatasetChangeResponseSchema,
  DatasetSchema,
  DatasetSettings as SettingsMessage,
  RetentionSchema,
} from "../../gen/aetherfs/hub/v1/catalog_pb.ts";
import type { Services } from "../services.ts";
import { allow } from "./caller.ts";

type Methods = typeof CatalogAPI.method;

/** CatalogAPI.GetDataset. */
export function getDataset(services: Services): MethodImpl<Methods["getDataset"]> {
  return async (request, context) => {
    const { name } = await allow(services, context, "read", request.name);
    return datasetOf(await requireDataset(services.engine, name, { signal: context.signal }));
  };
}

/** CatalogAPI.UpdateDataset. */
export function changeDataset(services: Services): MethodImpl<Methods["updateDataset"]> {
  return async (request, context) => {
    const { name } = await allow(services, context, "write", request.name);
    const settings = settingsOf(request.settings);
    return datasetOf(await updateDataset(services.engine, name, settings, { signal: context.signal }));
  };
}

/** CatalogAPI.ReviewRetention. */
export function review(services: Services): MethodImpl<Methods["reviewRetention"]> {
  return async (request, context) => {
    const { name } = await allow(services, context, "read", request.name);
    const settings = settingsOf(request.settings);
    const found = await reviewRetention(services.engine, name, settings, { signal: context.signal });
    return {
      dataset: datasetOf(found.dataset),
      tags: BigInt(found.tags),
      kept: BigInt(found.kept),
      released: BigInt(found.released),
      versions: found.versions.map(({ version, tag, number, time, files, bytes }) => ({
        ...{ digest: formatDigest(version), tag, number: BigInt(number), time },
        ...{ files: BigInt(files), bytes: BigInt(bytes) },
      })),
    };
  };
}

/** CatalogAPI.DeleteDataset. */
export function removeDataset(services: Services): MethodImpl<Methods["deleteDataset"]> {
  return async (request, context) => {
    const { name, identity } = await allow(services, context, "write", request.name);
    const publisher = request.publisher || identity.name;
    return changeOf(await deleteDataset(services.engine, name, { publisher, signal: context.signal }));
  };
}

/** CatalogAPI.UndeleteDataset. */
export function bringBackDataset(services: Services): MethodImpl<Methods["undeleteDataset"]> {
  return async (request, context) => {
    const { name } = await allow(services, context, "write", request.name);
    return changeOf(await undeleteDataset(services.engine, name, { signal: context.signal }));
  };
}

function changeOf({ record, changed }: DatasetChange): MessageInitShape<typeof DatasetChangeResponseSchema> {
  return { dataset: datasetOf(record), changed };
}

function datasetOf(record: DatasetRecord): MessageInitShape<typeof DatasetSchema> {
  const { name, incarnation, domain, created, chunking, immutableTags, retention, deleted } = record;
  return {
    ...{ name, incarnation, domain, created },
    chunking: chunking === null ? "" : formatChunking(chunking),
    immutableTags: [...immutableTags],
    ...(retention !== null && { retention: retentionOf(retention) }),
    ...(deleted !== null && { deleted }),
  };
}

function retentionOf(retention: Retention): MessageInitShape<typeof RetentionSchema> {
  const { keepLast, keepWithinSeconds, keepTags } = retention;
  return {
    ...(keepLast !== null && { keepLast: BigInt(keepLast) }),
    ...(keepWithinSeconds !== null && { keepWithinSeconds: BigInt(keepWithinSeconds) }),
    keepTags: [...keepTags],
  };
}

function settingsOf(settings: SettingsMessage | undefined): DatasetSettings {
  if (settings === undefined) return {};
  const { chunking, immutableTags, keepLast, keepWithinSeconds, keepTags } = settings;
  return {
    ...(chunking !== undefined && { chunking: chunking === "" ? null : parseChunking(chunking) }),
    ...(immutableTags !== undefined && { immutableTags: immutableTags.patterns }),
    ...(keepLast !== undefined && { keepLast: countOf("keep_last", keepLast) }),
    ...(keepWithinSeconds !== undefined && {
      keepWithinSeconds: countOf("keep_within_seconds", keepWithinSeconds),
    }),
    ...(keepTags !== undefined && { keepTags: keepTags.patterns }),
  };
}

/** Null for 0. Errors: ARGUMENT_INVALID. */
function countOf(what: string, value: bigint): number | null {
  if (value === 0n) return null;
  if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
  throw new AetherError("ARGUMENT_INVALID", `${what} is ${value}, which is too much`);
}
