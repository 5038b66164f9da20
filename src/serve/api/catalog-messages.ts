/** What the catalog tells, as messages. proto/aetherfs/hub/v1/catalog.proto */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { TagCommit } from "../../dataset/tags.ts";
import { formatDigest } from "../../format/digest.ts";
import type { Entry } from "../../format/entry.ts";
import type { EventRecord, HistoryRecord } from "../../format/record.ts";
import type {
  EntrySchema,
  EventSchema,
  HistoryEntrySchema,
  TagChangeResponseSchema,
} from "../../gen/aetherfs/hub/v1/catalog_pb.ts";

/** A change of a tag. */
export function historyEntryOf(record: HistoryRecord): MessageInitShape<typeof HistoryEntrySchema> {
  const { number, digest, previous, files, bytes, ...rest } = record;
  return {
    ...rest,
    number: BigInt(number),
    digest: formatDigest(digest),
    previous: previous === null ? "" : formatDigest(previous),
    files: BigInt(files),
    bytes: BigInt(bytes),
  };
}

/** About how many bytes the message of a change has. */
export function historyEntryBytes({ message, publisher, labels }: HistoryRecord): number {
  const words = Object.entries(labels).flat();
  return 256 + 3 * [message, publisher, ...words].reduce((sum, word) => sum + word.length, 0);
}

/** What became of a change that was asked for. */
export function tagChangeOf({ record, moved }: TagCommit): MessageInitShape<typeof TagChangeResponseSchema> {
  return { entry: historyEntryOf(record), moved };
}

/** A file, folder or symlink of a version. */
export function entryOf(entry: Entry): MessageInitShape<typeof EntrySchema> {
  const { path, kind, mode, mtime } = entry;
  const common = { path, kind, mode, mtimeSeconds: BigInt(mtime.seconds), mtimeNanos: mtime.nanos };
  if (entry.kind === "file")
    return { ...common, size: BigInt(entry.size), digest: formatDigest(entry.digest) };
  return entry.kind === "symlink" ? { ...common, target: entry.target } : common;
}

/** About how many bytes the message of an entry has. */
export function entryBytes(entry: Entry): number {
  const targetLength = entry.kind === "symlink" ? entry.target.length : 0;
  return 128 + 3 * (entry.path.length + targetLength);
}

/** A change of a dataset. */
export function eventOf(event: EventRecord): MessageInitShape<typeof EventSchema> {
  const { sequence, tag, number, state, digest, time } = event;
  return {
    sequence: BigInt(sequence),
    tag,
    number: BigInt(number),
    state,
    digest: formatDigest(digest),
    time,
  };
}
