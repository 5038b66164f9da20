/** A hub's datasets as a whole, as records; what it answers is checked. proto/aetherfs/hub/v1/catalog.proto */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { checkSettings, type DatasetChange, type DatasetSettings } from "../../dataset/dataset-settings.ts";
import type { RetentionReview } from "../../dataset/retention-review.ts";
import { formatChunking, parseChunking } from "../../format/chunking.ts";
import { parseDigest } from "../../format/digest.ts";
import type { DatasetDeletion, DatasetRecord, Retention } from "../../format/record.ts";
import { parseDatasetName, parseTag } from "../../format/reference.ts";
import type {
  Dataset,
  DatasetChangeResponse,
  DatasetSettingsSchema,
  Deletion,
  Retention as RetentionMessage,
  ReviewRetentionResponse,
} from "../../gen/aetherfs/hub/v1/catalog_pb.ts";

const STATES = ["deleted", "removing", "removed"] as const satisfies readonly DatasetDeletion["state"][];

/** A dataset's record. Throws whatever fits. */
export function datasetRecordOf(dataset: Dataset | undefined): DatasetRecord {
  if (dataset === undefined) throw new Error("a dataset is missing");
  const { name, incarnation, domain, created, chunking, immutableTags, retention, deleted } = dataset;
  return {
    ...{ name: parseDatasetName(name), incarnation, domain, created, immutableTags },
    chunking: chunking === "" ? null : parseChunking(chunking),
    retention: retention === undefined ? null : retentionOf(retention),
    deleted: deleted === undefined ? null : deletionOf(deleted),
  };
}

/** What became of a dataset. */
export function datasetChangeOf({ dataset, changed }: DatasetChangeResponse): DatasetChange {
  return { record: datasetRecordOf(dataset), changed };
}

/** What a retention would keep and let go. */
export function reviewOf(review: ReviewRetentionResponse): RetentionReview {
  return {
    dataset: datasetRecordOf(review.dataset),
    tags: Number(review.tags),
    kept: Number(review.kept),
    released: Number(review.released),
    versions: review.versions.map(({ digest, tag, number, time, files, bytes }) => ({
      ...{ version: parseDigest(digest), tag: parseTag(tag), number: Number(number), time },
      ...{ files: Number(files), bytes: Number(bytes) },
    })),
  };
}

/** Settings as a request has them. Errors: those of checkSettings. */
export function settingsMessageOf(settings: DatasetSettings): MessageInitShape<typeof DatasetSettingsSchema> {
  checkSettings(settings);
  const { chunking, immutableTags, keepLast, keepWithinSeconds, keepTags } = settings;
  return {
    ...(chunking !== undefined && { chunking: chunking === null ? "" : formatChunking(chunking) }),
    ...(immutableTags !== undefined && { immutableTags: { patterns: [...immutableTags] } }),
    ...(keepLast !== undefined && { keepLast: BigInt(keepLast ?? 0) }),
    ...(keepWithinSeconds !== undefined && { keepWithinSeconds: BigInt(keepWithinSeconds ?? 0) }),
    ...(keepTags !== undefined && { keepTags: { patterns: [...keepTags] } }),
  };
}

function retentionOf({ keepLast, keepWithinSeconds, keepTags }: RetentionMessage): Retention {
  return {
    keepLast: keepLast === undefined ? null : Number(keepLast),
    keepWithinSeconds: keepWithinSeconds === undefined ? null : Number(keepWithinSeconds),
    keepTags,
  };
}

function deletionOf({ time, publisher, state }: Deletion): DatasetDeletion {
  const known = STATES.find((one) => one === state);
  if (known === undefined) throw new Error(`"${state}" is no state of a deletion`);
  return { time, publisher, state: known };
}
