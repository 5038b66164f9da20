/**
 * The small JSON records of a store: what names and orders versions. docs/format.md §8. A record's first three members
 * are its header (§3): `format`, `requires`, `key`.
 */
import { AetherError } from "../base/errors.ts";
import { DOMAIN_LENGTH_MAX, LABEL_LENGTH_MAX, LABELS_MAX, MESSAGE_LENGTH_MAX } from "../base/limits.ts";
import { formatDigest, parseDigest, type Digest } from "./digest.ts";
import type { ChunkingParameters } from "./chunking.ts";
import { parseChunking, formatChunking } from "./chunking.ts";
import { parseDatasetName, parseTag, type DatasetName, type Tag } from "./reference.ts";

/** Bytes of a record at most. A lease over many blocks is the largest. */
export const RECORD_BYTES_MAX = 8 * 1024 * 1024;

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
}

/** What a tag's change made of it. docs/format.md §8.3 */
export type TagState = "announced" | "staged" | "pinned" | "deleted";
const TAG_STATES: readonly string[] = ["announced", "staged", "pinned", "deleted"];

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
}

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
}

const FORMAT_PREFIX = "aetherfs.";
type Kind = "store" | "dataset" | "history" | "hint" | "event" | "lease";
type Json = Record<string, unknown>;

function encode(kind: Kind, body: Json): Uint8Array {
  const record = { format: `${FORMAT_PREFIX}${kind}/1`, requires: 0, key: null, ...body };
  return Buffer.from(`${JSON.stringify(record)}\n`);
}

function invalid(kind: Kind, why: string): AetherError {
  return new AetherError("OBJECT_INVALID", `a ${kind} record is malformed: ${why}`);
}

function decode(kind: Kind, bytes: Uint8Array): Json {
  if (bytes.byteLength > RECORD_BYTES_MAX) throw invalid(kind, `it has ${bytes.byteLength} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new AetherError("OBJECT_INVALID", `a ${kind} record is not JSON`, { cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw invalid(kind, "not an object");
  const record = value as Json;
  const format = record["format"];
  if (typeof format !== "string" || !format.startsWith(`${FORMAT_PREFIX}${kind}/`))
    throw invalid(kind, "format");
  if (format !== `${FORMAT_PREFIX}${kind}/1` || record["requires"] !== 0 || record["key"] !== null) {
    throw new AetherError(
      "FORMAT_UNSUPPORTED",
      `a ${kind} record was written by a newer AetherFS (${format})`,
    );
  }
  return record;
}

/** Reads the members of one record, naming what is wrong. */
class Members {
  readonly #kind: Kind;
  readonly #json: Json;

  constructor(kind: Kind, bytes: Uint8Array) {
    this.#kind = kind;
    this.#json = decode(kind, bytes);
  }

  text(name: string, lengthMax = 1024): string {
    const value = this.#json[name];
    if (typeof value !== "string" || value.length > lengthMax) throw invalid(this.#kind, name);
    return value;
  }

  count(name: string): number {
    const value = this.#json[name];
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0)
      throw invalid(this.#kind, name);
    return value;
  }

  digest(name: string): Digest {
    return this.parsed(name, parseDigest);
  }

  digestOrNull(name: string): Digest | null {
    return this.#json[name] === null ? null : this.digest(name);
  }

  parsed<T>(name: string, parse: (text: string) => T): T {
    try {
      return parse(this.text(name));
    } catch (cause) {
      throw new AetherError("OBJECT_INVALID", `a ${this.#kind} record is malformed: ${name}`, { cause });
    }
  }

  state(): TagState {
    const value = this.text("state");
    if (!TAG_STATES.includes(value)) throw invalid(this.#kind, "state");
    return value as TagState;
  }

  texts(name: string, countMax: number): readonly string[] {
    const value = this.#json[name];
    if (!Array.isArray(value) || value.length > countMax) throw invalid(this.#kind, name);
    for (const item of value) {
      if (typeof item !== "string" || item.length > 1024) throw invalid(this.#kind, name);
    }
    return value as string[];
  }

  digests(name: string, countMax: number): readonly Digest[] {
    try {
      return this.texts(name, countMax).map(parseDigest);
    } catch (cause) {
      throw new AetherError("OBJECT_INVALID", `a ${this.#kind} record is malformed: ${name}`, { cause });
    }
  }

  labels(): Readonly<Record<string, string>> {
    const value = this.#json["labels"];
    if (typeof value !== "object" || value === null || Array.isArray(value))
      throw invalid(this.#kind, "labels");
    const pairs = Object.entries(value);
    if (pairs.length > LABELS_MAX) throw invalid(this.#kind, "labels");
    for (const [key, label] of pairs) {
      if (typeof label !== "string" || label.length > LABEL_LENGTH_MAX || key.length > LABEL_LENGTH_MAX) {
        throw invalid(this.#kind, "labels");
      }
    }
    return Object.fromEntries(pairs as [string, string][]);
  }

  chunking(): ChunkingParameters | null {
    return this.#json["chunking"] === null ? null : this.parsed("chunking", parseChunking);
  }
}

/** The bytes of the store's own record. */
export function encodeStore(record: StoreRecord): Uint8Array {
  return encode("store", { id: record.id });
}

/** Reads the store's own record. Errors: OBJECT_INVALID, FORMAT_UNSUPPORTED when a newer AetherFS wrote it. */
export function decodeStore(bytes: Uint8Array): StoreRecord {
  const members = new Members("store", bytes);
  return { id: members.text("id", 64) };
}

/** The bytes of a dataset's record. */
export function encodeDataset(record: DatasetRecord): Uint8Array {
  const chunking = record.chunking === null ? null : formatChunking(record.chunking);
  return encode("dataset", { ...record, chunking });
}

/** Reads a dataset's record. Errors: OBJECT_INVALID, FORMAT_UNSUPPORTED when a newer AetherFS wrote it. */
export function decodeDataset(bytes: Uint8Array): DatasetRecord {
  const members = new Members("dataset", bytes);
  return {
    name: members.parsed("name", parseDatasetName),
    incarnation: members.text("incarnation", 64),
    domain: members.text("domain", DOMAIN_LENGTH_MAX),
    created: members.text("created", 64),
    chunking: members.chunking(),
    immutableTags: members.texts("immutableTags", 100),
  };
}

/** The bytes of an entry of a history. */
export function encodeHistory(record: HistoryRecord): Uint8Array {
  const previous = record.previous === null ? null : formatDigest(record.previous);
  return encode("history", { ...record, digest: formatDigest(record.digest), previous });
}

/** Reads an entry of a history. Errors: OBJECT_INVALID, FORMAT_UNSUPPORTED when a newer AetherFS wrote it. */
export function decodeHistory(bytes: Uint8Array): HistoryRecord {
  const members = new Members("history", bytes);
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
export function encodeHint(hint: TagHint): Uint8Array {
  return encode("hint", { ...hint, digest: formatDigest(hint.digest) });
}

/** Reads a tag's hint. Errors: OBJECT_INVALID, FORMAT_UNSUPPORTED when a newer AetherFS wrote it. */
export function decodeHint(bytes: Uint8Array): TagHint {
  const members = new Members("hint", bytes);
  return {
    number: members.count("number"),
    digest: members.digest("digest"),
    state: members.state(),
    event: members.count("event"),
  };
}

/** The bytes of an event. */
export function encodeEvent(record: EventRecord): Uint8Array {
  return encode("event", { ...record, digest: formatDigest(record.digest) });
}

/** Reads an event. Errors: OBJECT_INVALID, FORMAT_UNSUPPORTED when a newer AetherFS wrote it. */
export function decodeEvent(bytes: Uint8Array): EventRecord {
  const members = new Members("event", bytes);
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
export function encodeLease(record: LeaseRecord): Uint8Array {
  return encode("lease", {
    ...record,
    blocks: record.blocks.map(formatDigest),
    versions: record.versions.map(formatDigest),
  });
}

/** Blocks that one lease may name: with 72 bytes each they stay within RECORD_BYTES_MAX. */
export const LEASE_BLOCKS_MAX = 100_000;
export const LEASE_VERSIONS_MAX = 1000;

/** Reads a lease. Errors: OBJECT_INVALID, FORMAT_UNSUPPORTED when a newer AetherFS wrote it. */
export function decodeLease(bytes: Uint8Array): LeaseRecord {
  const members = new Members("lease", bytes);
  return {
    id: members.text("id", 64),
    holder: members.text("holder"),
    created: members.text("created", 64),
    ttlSeconds: members.count("ttlSeconds"),
    beat: members.count("beat"),
    blocks: members.digests("blocks", LEASE_BLOCKS_MAX),
    versions: members.digests("versions", LEASE_VERSIONS_MAX),
  };
}
