/** The form that all records of a store share. docs/format.md §8.1 */
import { AetherError } from "../base/errors.ts";
import { LABEL_LENGTH_MAX, LABELS_MAX } from "../base/limits.ts";
import { parseDigest, type Digest } from "./digest.ts";
import { parseChunking, type ChunkingParameters } from "./chunking.ts";
import type { TagState } from "./record.ts";

/** Bytes of a record at most. A lease over many blocks is the largest. */
export const RECORD_BYTES_MAX = 8 * 1024 * 1024;

const FORMAT_PREFIX = "aetherfs.";
const TAG_STATES: readonly string[] = ["announced", "staged", "pinned", "deleted"];

/** What a record is. */
export type RecordKind =
  | "store"
  | "dataset"
  | "history"
  | "hint"
  | "event"
  | "lease"
  | "epoch"
  | "condemned"
  | "floor"
  | "secret"
  | "signature"
  | "view";
type Json = Record<string, unknown>;

/** The bytes of a record with these members, for readers that know the features in `requires`. */
export function encodeRecord(kind: RecordKind, body: Json, requires = 0): Uint8Array {
  const record = { format: `${FORMAT_PREFIX}${kind}/1`, requires, key: null, ...body };
  return Buffer.from(`${JSON.stringify(record)}\n`);
}

function invalid(kind: RecordKind, why: string): AetherError {
  return new AetherError("OBJECT_INVALID", `a ${kind} record is malformed: ${why}`);
}

function decode(kind: RecordKind, bytes: Uint8Array, bytesMax: number, features: readonly number[]): Json {
  if (bytes.byteLength > bytesMax) throw invalid(kind, `it has ${bytes.byteLength} bytes`);
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
  const isKnown = record["requires"] === 0 || features.some((known) => record["requires"] === known);
  if (format !== `${FORMAT_PREFIX}${kind}/1` || !isKnown || record["key"] !== null) {
    throw new AetherError(
      "FORMAT_UNSUPPORTED",
      `a ${kind} record was written by a newer AetherFS (${format})`,
    );
  }
  return record;
}

/** Reads the members of one record, naming what is wrong. Errors: OBJECT_INVALID, FORMAT_UNSUPPORTED when a newer AetherFS wrote it. */
export class RecordMembers {
  readonly #kind: RecordKind;
  readonly #json: Json;

  private constructor(kind: RecordKind, json: Json) {
    this.#kind = kind;
    this.#json = json;
  }

  /** The members of a record of at most `bytesMax` bytes, which may require one of `features`. */
  static decode(
    kind: RecordKind,
    bytes: Uint8Array,
    bytesMax = RECORD_BYTES_MAX,
    features: readonly number[] = [],
  ): RecordMembers {
    return new RecordMembers(kind, decode(kind, bytes, bytesMax, features));
  }

  /** Whether the record requires a feature of readers. */
  get requires(): number {
    return this.count("requires");
  }

  /** A member that is an object; null when it is null or absent. */
  itemOrNull<T>(name: string, read: (item: RecordMembers) => T): T | null {
    const value = this.#json[name];
    if (value === undefined || value === null) return null;
    if (typeof value !== "object" || Array.isArray(value)) throw invalid(this.#kind, name);
    return read(new RecordMembers(this.#kind, value as Json));
  }

  /** A member that is a list of objects. */
  items<T>(name: string, countMax: number, read: (item: RecordMembers) => T): readonly T[] {
    const value = this.#json[name];
    if (!Array.isArray(value) || value.length > countMax) throw invalid(this.#kind, name);
    return value.map((item: unknown) => {
      if (typeof item !== "object" || item === null || Array.isArray(item)) throw invalid(this.#kind, name);
      return read(new RecordMembers(this.#kind, item as Json));
    });
  }

  /** Whether the record has the member at all: older ones lack what was added later. */
  has(name: string): boolean {
    return this.#json[name] !== undefined;
  }

  /** Whether a member is `true`: it is absent, or something else, in what knows nothing of it. */
  isTrue(name: string): boolean {
    return this.#json[name] === true;
  }

  isNull(name: string): boolean {
    return this.#json[name] === null;
  }

  choice<T extends string>(name: string, choices: readonly T[]): T {
    const value = choices.find((choice) => choice === this.#json[name]);
    if (value === undefined) throw invalid(this.#kind, name);
    return value;
  }

  text(name: string, lengthMax = 1024): string {
    const value = this.#json[name];
    if (typeof value !== "string" || value.length > lengthMax) throw invalid(this.#kind, name);
    return value;
  }

  /** Bytes in base64 (RFC 4648 §4). */
  bytes(name: string, bytesMax: number): Uint8Array {
    const text = this.text(name, Math.ceil(bytesMax / 3) * 4);
    const bytes = Buffer.from(text, "base64");
    if (bytes.byteLength > bytesMax || bytes.toString("base64") !== text) throw invalid(this.#kind, name);
    return new Uint8Array(bytes);
  }

  count(name: string): number {
    const value = this.#json[name];
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0)
      throw invalid(this.#kind, name);
    return value;
  }

  countUpTo(name: string, max: number): number {
    const value = this.count(name);
    if (value > max) throw invalid(this.#kind, name);
    return value;
  }

  countOrNull(name: string): number | null {
    return this.#json[name] === null ? null : this.count(name);
  }

  /** A list of numbers, each greater than the one before. */
  ascending(name: string, countMax: number): readonly number[] {
    const value = this.#json[name];
    if (!Array.isArray(value) || value.length > countMax) throw invalid(this.#kind, name);
    let before = -1;
    for (const item of value as unknown[]) {
      if (typeof item !== "number" || !Number.isSafeInteger(item) || item <= before)
        throw invalid(this.#kind, name);
      before = item;
    }
    return value as number[];
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

  texts(name: string, countMax: number, lengthMax = 1024): readonly string[] {
    const value = this.#json[name];
    if (!Array.isArray(value) || value.length > countMax) throw invalid(this.#kind, name);
    for (const item of value) {
      if (typeof item !== "string" || item.length > lengthMax) throw invalid(this.#kind, name);
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
