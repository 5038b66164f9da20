/** Records of prune: what is about to be removed, and how far that is. docs/format.md §8.7 */
import { AetherError } from "../base/errors.ts";
import { digestFromHex, type Digest } from "./digest.ts";
import { encodeRecord, RecordMembers } from "./record-members.ts";
import { readRetention, type Retention } from "./record.ts";
import { parseDatasetName, type DatasetName } from "./reference.ts";

/** Names of one part at most: with 82 bytes each they stay within RECORD_BYTES_MAX. */
export const CONDEMNED_PART_NAMES_MAX = 50_000;
/** Parts of one epoch: what is left over waits for the next. */
export const CONDEMNED_PARTS_MAX = 200;
/** Deleted datasets of one epoch: the others wait for the next. */
export const DELETED_MAX = 10_000;
/** Names of one epoch that can be taken out of it again. */
export const RESCUED_MAX = 50_000;

/** An object that may be removed: `<kind>/<64 hex digits>`, the kind being the folder of its key (docs/format.md §10). */
export type ObjectName = string & { readonly __brand: "ObjectName" };

const KINDS = ["blocks", "manifests", "plans", "domain-plans", "signatures", "views"] as const;
/** The kinds of objects that prune removes. */
export type PrunedKind = (typeof KINDS)[number];

/** How far an epoch is: its names are written down; they are being removed; that is over. */
export type EpochState = "marked" | "sweeping" | "done";
const STATES: readonly EpochState[] = ["marked", "sweeping", "done"];

/** A deleted dataset. */
export interface DeletedName {
  readonly name: DatasetName;
  readonly incarnation: string;
  /** When it was deleted, as its record says: one that came back and was deleted again waits anew. */
  readonly time: string;
}

/** One round of prune: `epochs/<number>`. */
export interface EpochRecord {
  readonly number: number;
  readonly state: EpochState;
  /** The lease under which it was marked: where its condemned names lie. */
  readonly mark: string;
  /** Parts of condemned names, from 1. */
  readonly parts: number;
  /** When it was marked, by the store's own clock, in milliseconds since 1970. */
  readonly markedMs: number;
  /** The lease of who sweeps; null before. */
  readonly sweeper: string | null;
  /** Deleted datasets that go with it, by their incarnations: until it is swept they may come back. */
  readonly datasets: readonly DeletedName[];
  /** Names that somebody builds on since: they stay. */
  readonly rescued: readonly ObjectName[];
  /** Whether floors say of every version that prunes took up to now that they did. */
  readonly floors: boolean;
}

/** A part of what an epoch condemned: `condemned/<mark>/<part>`. It never changes. */
export interface CondemnedRecord {
  /** The lease of who wrote it: two who mark at the same time do not mix. */
  readonly mark: string;
  readonly part: number;
  readonly names: readonly ObjectName[];
}

/** Entries below a floor that one record names. */
export const FLOOR_KEPT_MAX = 100_000;

/** Which entries of a tag's history prunes took the versions of, or may have: `floors/<tag>.json`. docs/format.md §8.8 */
export interface FloorRecord {
  /** The dataset's: of another one that had its name the record says nothing. */
  readonly incarnation: string;
  /** All entries below this number may have been let go, but for those in `kept`. */
  readonly floor: number;
  /** Numbers below the floor, ascending. */
  readonly kept: readonly number[];
  /** What lets all go that was let go, so that under it none of these need be looked at; null: nobody can say. */
  readonly retention: Retention | null;
}

/** The name of an object. */
export function objectName(kind: PrunedKind, digest: Digest): ObjectName {
  return `${kind}/${digest}` as ObjectName;
}

/** What a name says, or undefined of a text that is none. */
export function parseObjectName(text: string): { kind: PrunedKind; digest: Digest } | undefined {
  const slash = text.indexOf("/");
  const kind = KINDS.find((known) => known === text.slice(0, slash));
  const digest = digestFromHex(text.slice(slash + 1));
  return kind === undefined || digest === undefined ? undefined : { kind, digest };
}

/** The bytes of an epoch's record. */
export function encodeEpoch({ floors, ...record }: EpochRecord): Uint8Array {
  // What was written before there were floors has no such member.
  return encodeRecord("epoch", { ...record, ...(floors && { floors }) });
}

/** Reads an epoch's record. Errors: OBJECT_INVALID, FORMAT_UNSUPPORTED when a newer AetherFS wrote it. */
export function decodeEpoch(bytes: Uint8Array): EpochRecord {
  const members = RecordMembers.decode("epoch", bytes);
  return {
    number: members.count("number"),
    state: members.choice("state", STATES),
    mark: members.text("mark", 64),
    parts: members.countUpTo("parts", CONDEMNED_PARTS_MAX),
    markedMs: members.count("markedMs"),
    sweeper: members.isNull("sweeper") ? null : members.text("sweeper", 64),
    datasets: members.items("datasets", DELETED_MAX, (item) => ({
      name: item.parsed("name", parseDatasetName),
      incarnation: item.text("incarnation", 64),
      time: item.text("time", 64),
    })),
    rescued: members.texts("rescued", RESCUED_MAX).map(checkedName),
    floors: members.isTrue("floors"),
  };
}

/** The bytes of a part of condemned names. */
export function encodeCondemned(record: CondemnedRecord): Uint8Array {
  return encodeRecord("condemned", { ...record });
}

/** Reads a part of condemned names. Errors: OBJECT_INVALID, FORMAT_UNSUPPORTED when a newer AetherFS wrote it. */
export function decodeCondemned(bytes: Uint8Array): CondemnedRecord {
  const members = RecordMembers.decode("condemned", bytes);
  return {
    mark: members.text("mark", 64),
    part: members.count("part"),
    names: members.texts("names", CONDEMNED_PART_NAMES_MAX).map(checkedName),
  };
}

/** The bytes of a tag's floor. */
export function encodeFloor(record: FloorRecord): Uint8Array {
  return encodeRecord("floor", { ...record });
}

/** Reads a tag's floor. Errors: OBJECT_INVALID, FORMAT_UNSUPPORTED when a newer AetherFS wrote it. */
export function decodeFloor(bytes: Uint8Array): FloorRecord {
  const members = RecordMembers.decode("floor", bytes);
  const floor = members.count("floor");
  const kept = members.ascending("kept", FLOOR_KEPT_MAX);
  const [lowest = 1, highest = 0] = [kept[0], kept.at(-1)];
  if (floor < 1 || lowest < 1 || highest >= floor)
    throw new AetherError("OBJECT_INVALID", "a floor record names an entry that does not lie below it");
  const retention = members.itemOrNull("retention", readRetention);
  return { incarnation: members.text("incarnation", 64), floor, kept, retention };
}

function checkedName(text: string): ObjectName {
  if (parseObjectName(text) !== undefined) return text as ObjectName;
  throw new AetherError("OBJECT_INVALID", "an epoch names something that is no object");
}
