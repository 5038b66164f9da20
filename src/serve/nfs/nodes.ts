/** What lies in the tree, as NFS shows it. */
import type { Digest } from "../../format/digest.ts";
import type { Entry } from "../../format/entry.ts";
import type { HistoryRecord } from "../../format/record.ts";
import type { DatasetName, Tag } from "../../format/reference.ts";
import type { Caller, DirectoryNode, EntryNode } from "../../vfs/tree.ts";
import { hashName, type HandlePlace } from "./handles.ts";

/** Who looks, and the digest of the secret of the token that it came with. */
export interface Visitor {
  readonly caller: Caller;
  readonly secret: Uint8Array | undefined;
}

/** An entry of a version, without the version. */
export interface FoundEntry {
  readonly entry: Entry;
  readonly index: number;
  /** Of a file: where its bytes begin in the version's stream. */
  readonly start: number;
}

/** Something in a version that is open. */
export interface EntryPlace {
  readonly kind: "entry";
  readonly name: DatasetName;
  readonly digest: Digest;
  readonly found: FoundEntry;
}

/** A version's top, by its digest. */
export interface VersionPlace {
  readonly kind: "version";
  readonly name: DatasetName;
  readonly digest: Digest;
}

/** A tag, wherever it stands. */
export interface TagName {
  readonly kind: "tag";
  readonly name: DatasetName;
  readonly tag: Tag;
}

/** What is looked at of the newest change of a tag. */
export type TagChange = Pick<HistoryRecord, "digest" | "time" | "number">;

/** A tag: the top of the version that it names at the moment. */
export interface TagPlace extends TagName {
  readonly record: TagChange;
}

/** A directory of names: what lies in it comes and goes. */
export type NamesPlace =
  | { readonly kind: "root" }
  | { readonly kind: "scope"; readonly scope: string }
  | { readonly kind: "dataset"; readonly name: DatasetName };

/** Something that is there. */
export type Place = NamesPlace | TagPlace | VersionPlace | EntryPlace;

/** A directory of a version that is open. */
export interface OpenDirectory {
  readonly top: DirectoryNode;
  /** "" is the top. */
  readonly path: string;
}

/** What is remembered of an entry. */
export function foundOf(node: EntryNode): FoundEntry {
  return { entry: node.entry, index: node.index, start: node.kind === "file" ? node.start : 0 };
}

/** The place as a handle names it. */
export function handlePlaceOf(place: Place | TagName): HandlePlace {
  if (place.kind === "root") return place;
  if (place.kind === "scope") return { kind: "scope", scope: hashName("scope", place.scope) };
  const dataset = hashName("dataset", place.name);
  if (place.kind === "dataset") return { kind: "dataset", dataset };
  if (place.kind === "tag") return { kind: "tag", dataset, tag: hashName("tag", place.tag) };
  const { digest } = place;
  if (place.kind === "version") return { kind: "version", dataset, digest };
  return { kind: "entry", dataset, digest, index: place.found.index };
}

/** A number that is the place's own in the whole tree, and stays. RFC 1813 §2.5.5, fileid3 */
export function fileIdOf(place: Place | TagName): bigint {
  if (place.kind === "root") return 1n;
  if (place.kind === "scope") return hashName("scope", place.scope);
  if (place.kind === "dataset") return hashName("dataset", place.name);
  if (place.kind === "tag") return hashName("tag", `${place.name} ${place.tag}`);
  const first = firstIdOf(place.digest);
  return place.kind === "version" ? first : entryIdOf(first, place.found.index);
}

/** The number of a version's top. */
export function firstIdOf(digest: Digest): bigint {
  return BigInt(`0x${digest.slice(0, 16)}`);
}

/** The number of a version's entry: none of the version has the same. */
export function entryIdOf(first: bigint, index: number): bigint {
  return BigInt.asUintN(64, first + BigInt(index + 1));
}

/** Whether the place is a directory. */
export function isDirectory(place: Place): boolean {
  return place.kind !== "entry" || place.found.entry.kind === "directory";
}
