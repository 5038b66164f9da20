/**
 * The small JSON records of a store: what names and orders versions. docs/format.md §8. A record's first three members
 * are its header (§3): `format`, `requires`, `key`.
 */
import { AetherError } from "../base/errors.ts";
import { DOMAIN_LENGTH_MAX, MESSAGE_LENGTH_MAX } from "../base/limits.ts";
import { formatDigest, type Digest } from "./digest.ts";
import type { ChunkingParameters } from "./chunking.ts";
import { formatChunking } from "./chunking.ts";
import { encodeRecord, RECORD_BYTES_MAX, RecordMembers } from "./record-members.ts";
import { parseDatasetName, parseTag, type DatasetName, type Tag } from "./reference.ts";

export { RECORD_BYTES_MAX } from "./record-members.ts";

/** What a folder must hold to be a store. */
export interface StoreRecord {
  /** 32 hex digits: tells this store from another at the same place. */
  readonly id: string;
}

/** A dataset's identity and settings. */
export interface DatasetRecord {
  readonly name: DatasetName;
  /** 32 hex digits: a dataset that was deleted and made again is another one. */
  readonly incarnation: string;
  /** Where its content is deduplicated, by default its scope (or "" without one). */
  readonly domain: string;
  /** RFC 3339. */
  readonly created: string;
  /** Chunking of new versions; null: inherit the predecessor's, else the default. */
  readonly chunking: ChunkingParameters | null;
  /** Tags that match one of these patterns (`*` stands for any run of characters) never move once set. */
  readonly immutableTags: readonly string[];
  /** What of its tags' histories stays; null: all. */
  readonly retention: Retention | null;
  /** Null: it is not deleted. */
  readonly deleted: DatasetDeletion | null;
}

/** What of the histories of a dataset's tags stays: an entry that any member keeps. docs/format.md §8.2 */
export interface Retention {
  /** The newest so many versions of each tag, from 1 to KEEP_LAST_MAX; null: this keeps nothing. */
  readonly keepLast: number | null;
  /** Versions that a tag pointed at within so many seconds before now; null: this keeps nothing. */
  readonly keepWithinSeconds: number | null;
  /** All of the tags that match one of these patterns (as in `immutableTags`). */
  readonly keepTags: readonly string[];
}

/** That a dataset is deleted. */
export interface DatasetDeletion {
  /** RFC 3339, for people. */
  readonly time: string;
  /** Who deleted it. */
  readonly publisher: string;
  /**
   * deleted: it may be brought back. removing: its records are being removed, there is no way back. removed: nothing else of
   * it is left, and another dataset may take its name, in place of this record.
   */
  readonly state: "deleted" | "removing" | "removed";
}

/** What a tag's change made of it. docs/format.md §8.3 */
export type TagState = "announced" | "staged" | "pinned" | "deleted";

/** One change of a tag: `history/<tag>/<number>`. Creating it is what moves the tag. */
export interface HistoryRecord {
  readonly number: number;
  readonly state: TagState;
  /** The version the tag points at; of a deletion, the one it pointed at. */
  readonly digest: Digest;
  /** The version before, or null. */
  readonly previous: Digest | null;
  /** RFC 3339, by the publisher's clock: for people, never for ordering. */
  readonly time: string;
  readonly publisher: string;
  readonly message: string;
  readonly labels: Readonly<Record<string, string>>;
  /** 32 hex digits; tells a retry whose first response was lost from a conflict. */
  readonly writeId: string;
  /** Totals of the version, so that lists need not open its manifest. */
  readonly files: number;
  readonly bytes: number;
}

/** A hint where a tag's history ends, and how far its events are written. Readers probe `number + 1`. */
export interface TagHint {
  readonly number: number;
  readonly digest: Digest;
  readonly state: TagState;
  /** Sequence of the event that announced `number`. */
  readonly event: number;
  /** What opening the version begins with; undefined: nobody said it. */
  readonly opening?: TagOpening | undefined;
}

/** What a version's first pages are found by, so that who reads the hint need not wait for it: a copy, which may be out of date. */
export interface TagOpening {
  /** The root's bytes, at most OPENING_BYTES_MAX: the version's digest proves them. */
  readonly root: Uint8Array;
  /** The plan object of the version as it was when the tag moved, as long at most: it proves nothing. */
  readonly plan: Uint8Array;
}

/** Bytes of each part of an opening. */
export const OPENING_BYTES_MAX = 4096;

/** One entry of a dataset's event sequence: `events/<sequence>`. */
export interface EventRecord {
  readonly sequence: number;
  readonly kind: "tag";
  readonly tag: Tag;
  /** The history entry that it announces. */
  readonly number: number;
  readonly state: TagState;
  readonly digest: Digest;
  readonly time: string;
}

/** A claim on blocks: prune leaves them alone while the lease's `beat` still moves. docs/format.md §8.5 */
export interface LeaseRecord {
  readonly id: string;
  readonly holder: string;
  /** RFC 3339, for people. */
  readonly created: string;
  /** How long the holder may be silent, in seconds of the reader's own clock. */
  readonly ttlSeconds: number;
  /** Raised by each renewal. */
  readonly beat: number;
  /** Blocks that stay. */
  readonly blocks: readonly Digest[];
  /** Versions of which everything stays. */
  readonly versions: readonly Digest[];
  /**
   * The newest epoch that its holder knew of when it began, 0 when none: no later one is swept while the lease lives.
   * null: it names every block that its holder needs, and holds up nothing. docs/format.md §9.1
   */
  readonly epoch: number | null;
}

/** The bytes of the store's own record. */
export function encodeStore(record: StoreRecord): Uint8Array {
  return encodeRecord("store", { id: record.id });
}

/** Reads the store's own record. Errors: OBJECT_INVALID, FORMAT_UNSUPPORTED when a newer AetherFS wrote it. */
export function decodeStore(bytes: Uint8Array): StoreRecord {
  const members = RecordMembers.decode("store", bytes);
  return { id: members.text("id", 64) };
}

/** Versions of a tag that `keepLast` may keep. */
export const KEEP_LAST_MAX = 100_000;
/** Patterns that a list of a dataset's record may have, and the characters of one. */
export const PATTERNS_MAX = 100;
export const PATTERN_LENGTH_MAX = 1024;

/** The feature that a deleted dataset's record requires of its readers: to keep away from it. docs/format.md §8.2 */
const FEATURE_DELETED = 1;

/** The bytes of a dataset's record. Members that AetherFS did not always have are left out while they are null. */
export function encodeDataset(record: DatasetRecord): Uint8Array {
  const { retention, deleted, ...rest } = record;
  const chunking = record.chunking === null ? null : formatChunking(record.chunking);
  const later = { ...(retention !== null && { retention }), ...(deleted !== null && { deleted }) };
  return encodeRecord("dataset", { ...rest, chunking, ...later }, deleted === null ? 0 : FEATURE_DELETED);
}

/** Reads a dataset's record. Errors: OBJECT_INVALID, FORMAT_UNSUPPORTED when a newer AetherFS wrote it. */
export function decodeDataset(bytes: Uint8Array): DatasetRecord {
  const members = RecordMembers.decode("dataset", bytes, RECORD_BYTES_MAX, [FEATURE_DELETED]);
  const deleted = members.itemOrNull("deleted", readDeletion);
  if ((deleted === null) !== (members.requires === 0)) {
    throw new AetherError("OBJECT_INVALID", "a dataset record says two things about its deletion");
  }
  return {
    name: members.parsed("name", parseDatasetName),
    incarnation: members.text("incarnation", 64),
    domain: members.text("domain", DOMAIN_LENGTH_MAX),
    created: members.text("created", 64),
    chunking: members.chunking(),
    immutableTags: members.texts("immutableTags", PATTERNS_MAX, PATTERN_LENGTH_MAX),
    retention: members.itemOrNull("retention", readRetention),
    deleted,
  };
}

/** Reads a retention inside of a record. Errors: OBJECT_INVALID. */
export function readRetention(members: RecordMembers): Retention {
  const keepLast = members.countOrNull("keepLast");
  if (keepLast !== null && (keepLast < 1 || keepLast > KEEP_LAST_MAX)) {
    throw new AetherError("OBJECT_INVALID", `a dataset record keeps the last ${keepLast} versions`);
  }
  return {
    keepLast,
    keepWithinSeconds: members.countOrNull("keepWithinSeconds"),
    keepTags: members.texts("keepTags", PATTERNS_MAX, PATTERN_LENGTH_MAX),
  };
}

function readDeletion(members: RecordMembers): DatasetDeletion {
  return {
    time: members.text("time", 64),
    publisher: members.text("publisher"),
    state: members.choice("state", ["deleted", "removing", "removed"]),
  };
}

/** The bytes of an entry of a history. */
export function encodeHistory(record: HistoryRecord): Uint8Array {
  const previous = record.previous === null ? null : formatDigest(record.previous);
  return encodeRecord("history", { ...record, digest: formatDigest(record.digest), previous });
}

/** Reads an entry of a history. Errors: OBJECT_INVALID, FORMAT_UNSUPPORTED when a newer AetherFS wrote it. */
export function decodeHistory(bytes: Uint8Array): HistoryRecord {
  const members = RecordMembers.decode("history", bytes);
  return {
    number: members.count("number"),
    state: members.state(),
    digest: members.digest("digest"),
    previous: members.digestOrNull("previous"),
    time: members.text("time", 64),
    publisher: members.text("publisher"),
    message: members.text("message", MESSAGE_LENGTH_MAX),
    labels: members.labels(),
    writeId: members.text("writeId", 64),
    files: members.count("files"),
    bytes: members.count("bytes"),
  };
}

/** The bytes of a tag's hint. */
export function encodeHint({ opening, ...hint }: TagHint): Uint8Array {
  const later = opening && { root: base64(opening.root), plan: base64(opening.plan) };
  return encodeRecord("hint", { ...hint, digest: formatDigest(hint.digest), ...later });
}

/** Reads a tag's hint. Errors: OBJECT_INVALID, FORMAT_UNSUPPORTED when a newer AetherFS wrote it. */
export function decodeHint(bytes: Uint8Array): TagHint {
  const members = RecordMembers.decode("hint", bytes);
  return {
    number: members.count("number"),
    digest: members.digest("digest"),
    state: members.state(),
    event: members.count("event"),
    ...(members.has("root") && {
      opening: {
        root: members.bytes("root", OPENING_BYTES_MAX),
        plan: members.bytes("plan", OPENING_BYTES_MAX),
      },
    }),
  };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

/** The bytes of an event. */
export function encodeEvent(record: EventRecord): Uint8Array {
  return encodeRecord("event", { ...record, digest: formatDigest(record.digest) });
}

/** Reads an event. Errors: OBJECT_INVALID, FORMAT_UNSUPPORTED when a newer AetherFS wrote it. */
export function decodeEvent(bytes: Uint8Array): EventRecord {
  const members = RecordMembers.decode("event", bytes);
  if (members.text("kind") !== "tag") {
    throw new AetherError("FORMAT_UNSUPPORTED", "an event record is of a kind that a newer AetherFS writes");
  }
  return {
    sequence: members.count("sequence"),
    kind: "tag",
    tag: members.parsed("tag", parseTag),
    number: members.count("number"),
    state: members.state(),
    digest: members.digest("digest"),
    time: members.text("time", 64),
  };
}

/** The bytes of a lease. */
export function encodeLease({ epoch, ...record }: LeaseRecord): Uint8Array {
  return encodeRecord("lease", {
    ...record,
    // What was written before there were epochs has no such member.
    ...(epoch === 0 ? {} : { epoch }),
    blocks: record.blocks.map(formatDigest),
    versions: record.versions.map(formatDigest),
  });
}

/** Blocks that one lease may name: with 72 bytes each they stay within RECORD_BYTES_MAX. */
export const LEASE_BLOCKS_MAX = 100_000;
export const LEASE_VERSIONS_MAX = 1000;

/** Reads a lease. Errors: OBJECT_INVALID, FORMAT_UNSUPPORTED when a newer AetherFS wrote it. */
export function decodeLease(bytes: Uint8Array): LeaseRecord {
  const members = RecordMembers.decode("lease", bytes);
  return {
    id: members.text("id", 64),
    holder: members.text("holder"),
    created: members.text("created", 64),
    ttlSeconds: members.count("ttlSeconds"),
    beat: members.count("beat"),
    blocks: members.digests("blocks", LEASE_BLOCKS_MAX),
    versions: members.digests("versions", LEASE_VERSIONS_MAX),
    epoch: members.has("epoch") ? members.countOrNull("epoch") : 0,
  };
}
