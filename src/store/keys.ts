/**
 * Every key of a store, drawn once. docs/format.md §10. `<hh>` is the first two hex digits of a digest, `<rest>` the other 62; `<n>` has ten
 * digits, so that byte order is the order of numbers.
 *
 *     aetherfs/v1/
 *     ├── store.json                        the store's record
 *     ├── blocks/<hh>/<rest>                a block, named by the digest of its bytes
 *     ├── manifests/<hh>/<rest>             a version's manifest object
 *     ├── plans/<hh>/<rest>                 the plan of a page or root
 *     ├── domain-plans/<hh>/<rest>          the plan that a domain keeps apart, by the digest of both
 *     ├── datasets/[@<scope>/]<name>/
 *     │   ├── dataset.json                  identity and settings
 *     │   ├── events/<n>                    what happened to the dataset, from 1
 *     │   ├── floors/<tag>.json             which entries of the tag's history prunes took the versions of
 *     │   ├── history/<tag>/<n>             what happened to the tag, from 1: creating one moves the tag
 *     │   └── tags/<tag>.json               a hint where the history ends
 *     ├── leases/<id>                       a claim on blocks
 *     ├── epochs/<n>                        what a prune is about to remove, from 1
 *     ├── condemned/<mark>/<part>           the names of it, from 1
 *     ├── secrets/<purpose>.json            what all who have the store share and nobody else is told
 *     ├── signatures/<hh>/<rest>            where a block of the first AetherFS's interface lies, by its signature
 *     ├── views/<hh>/<rest>                 a version as such blocks
 *     ├── quarantine/<kind>/<hh>/<rest>     an object of <kind>, the folder where it lay, that was found damaged
 *     └── tmp/                              of a driver alone: never listed, never read
 */
import { assert } from "../base/assert.ts";
import { compareUtf8 } from "../base/bytes.ts";
import { AetherError } from "../base/errors.ts";
import { digestBytes, digestFromHex, digestOfParts, type Digest } from "../format/digest.ts";
import { parseDatasetName, parseTag, type DatasetName, type Tag } from "../format/reference.ts";
import type { SecretPurpose } from "../format/secret-record.ts";

/** The place of an object in a store: segments of `a–z 0–9 . _ - @` joined by "/". Made only in this file. */
export type Key = string & { readonly __brand: "Key" };
/** What the keys of one kind begin with; ends in "/". Made only in this file. */
export type KeyPrefix = string & { readonly __brand: "KeyPrefix" };

const ROOT = "aetherfs/v1/";
const NUMBER_DIGITS = 10;
const NUMBER = /^[0-9]{10}$/;
/** The highest number of a history or event. */
export const NUMBER_MAX = 10 ** NUMBER_DIGITS - 1;
/** Segments of the longest key. */
export const KEY_DEPTH_MAX = 8;

/** All that is in the place, ours or not. */
export const EVERYTHING = "" as KeyPrefix;
/** All that is ours. */
export const STORE_ROOT = ROOT as KeyPrefix;
export const STORE_KEY = `${ROOT}store.json` as Key;
export const BLOCKS = `${ROOT}blocks/` as KeyPrefix;
export const MANIFESTS = `${ROOT}manifests/` as KeyPrefix;
export const PLANS = `${ROOT}plans/` as KeyPrefix;
export const DATASETS = `${ROOT}datasets/` as KeyPrefix;
export const LEASES = `${ROOT}leases/` as KeyPrefix;
/** What drivers leave there for a moment. */
export const TEMPORARY = `${ROOT}tmp/` as KeyPrefix;
const SIGNATURES = `${ROOT}signatures/` as KeyPrefix;
const DOMAIN_PLANS = `${ROOT}domain-plans/` as KeyPrefix;
const VIEWS = `${ROOT}views/` as KeyPrefix;
const SECRETS = `${ROOT}secrets/`;
/** Where epochs lie, by their numbers. */
export const EPOCHS = `${ROOT}epochs/` as KeyPrefix;
/** Where condemned names lie, by the lease under which they were written. */
export const CONDEMNED = `${ROOT}condemned/` as KeyPrefix;

/** Objects beside blocks that are named by a digest, by the folder that they lie in. */
const OBJECTS = {
  manifests: MANIFESTS,
  plans: PLANS,
  "domain-plans": DOMAIN_PLANS,
  signatures: SIGNATURES,
  views: VIEWS,
} as const;
/** A kind of such objects. */
export type ObjectKind = keyof typeof OBJECTS;
/** Every kind. */
export const OBJECT_KINDS = Object.keys(OBJECTS) as ObjectKind[];

/** What the keys of a kind of objects begin with. */
export function objectsPrefix(kind: ObjectKind): KeyPrefix {
  return OBJECTS[kind];
}

/** Key of an object of a kind. */
export function objectKey(kind: ObjectKind, digest: Digest): Key {
  return digestKey(OBJECTS[kind], digest);
}

/** Where damaged objects lie, a folder for each kind. */
export const QUARANTINE = `${ROOT}quarantine/` as KeyPrefix;

/** An object that may be found damaged: a plan's key is that of planKey. */
export type DamagedObject =
  | { readonly kind: "blocks" | "manifests"; readonly digest: Digest }
  | { readonly kind: "plans"; readonly digest: Digest; readonly domain?: string | undefined };

function digestKey(prefix: KeyPrefix, digest: Digest): Key {
  return `${prefix}${digest.slice(0, 2)}/${digest.slice(2)}` as Key;
}

/** The digest that a key under `prefix` names, or undefined when it is no such key. */
export function parseDigestKey(prefix: KeyPrefix, key: string): Digest | undefined {
  if (!key.startsWith(prefix)) return undefined;
  const [head = "", rest = "", ...more] = key.slice(prefix.length).split("/");
  return head.length === 2 && more.length === 0 ? digestFromHex(head + rest) : undefined;
}

/** Key of an object that a driver needs for a moment. */
export function temporaryKey(id: string): Key {
  return `${TEMPORARY}${id}` as Key;
}

/** Key of a block. */
export function blockKey(block: Digest): Key {
  return digestKey(BLOCKS, block);
}

/** Key of a version's manifest object. */
export function manifestKey(version: Digest): Key {
  return digestKey(MANIFESTS, version);
}

/** The digest that names the plan which a domain keeps apart. docs/format.md §7 */
export function domainPlanDigest(page: Digest, domain: string): Digest {
  return digestOfParts([digestBytes(page), Buffer.from(domain)]);
}

/** Key of the plan of a page or root: the one that all share, or that a domain keeps apart. docs/format.md §7 */
export function planKey(page: Digest, domain?: string): Key {
  if (domain === undefined) return digestKey(PLANS, page);
  return digestKey(DOMAIN_PLANS, domainPlanDigest(page, domain));
}

/** Key of an object as it is read. */
export function damagedKey(object: DamagedObject): Key {
  if (object.kind === "plans") return planKey(object.digest, object.domain);
  return object.kind === "blocks" ? blockKey(object.digest) : manifestKey(object.digest);
}

/** Where an object lies when it was found damaged: the rest of its own key, in another folder. */
export function quarantineKey(object: DamagedObject): Key {
  return `${QUARANTINE}${damagedKey(object).slice(ROOT.length)}` as Key;
}

/** Key of what belongs to the first AetherFS's interface: the record of a block that has a signature (32 bytes, as hex digits), or a version's view. */
export function viewKey({
  kind,
  digest,
}: {
  readonly kind: "signature" | "view";
  readonly digest: Digest;
}): Key {
  return digestKey(kind === "view" ? VIEWS : SIGNATURES, digest);
}

/** What a dataset's keys begin with. */
function datasetPrefix(name: DatasetName): string {
  return `${DATASETS}${name}/`;
}

/** Key of a dataset's record. */
export function datasetKey(name: DatasetName): Key {
  return `${datasetPrefix(name)}dataset.json` as Key;
}

/** Key of a tag's hint. */
export function hintKey(name: DatasetName, tag: Tag): Key {
  return `${datasetPrefix(name)}tags/${tag}.json` as Key;
}

/** Key of what says how far prunes took of a tag's history. */
export function floorKey(name: DatasetName, tag: Tag): Key {
  return `${datasetPrefix(name)}floors/${tag}.json` as Key;
}

/** Where the histories of a dataset's tags lie, a folder for each. */
export function historiesPrefix(name: DatasetName): KeyPrefix {
  return `${datasetPrefix(name)}history/` as KeyPrefix;
}

/** Key of an entry of a tag's history; `number` from 1 to NUMBER_MAX. */
export function historyKey(name: DatasetName, tag: Tag, number: number): Key {
  return `${historyPrefix(name, tag)}${formatNumber(number)}` as Key;
}

/** What the keys of a tag's history begin with. */
export function historyPrefix(name: DatasetName, tag: Tag): KeyPrefix {
  return `${historiesPrefix(name)}${tag}/` as KeyPrefix;
}

/** The number of the entry that a key under historyPrefix names, or undefined when it names none. */
export function parseHistoryKey(name: DatasetName, tag: Tag, key: string): number | undefined {
  const prefix = historyPrefix(name, tag);
  const digits = key.startsWith(prefix) ? key.slice(prefix.length) : "";
  const number = digits.length === NUMBER_DIGITS && /^\d+$/.test(digits) ? Number(digits) : 0;
  return number > 0 ? number : undefined;
}

/** Where a dataset's events lie. */
export function eventsPrefix(name: DatasetName): KeyPrefix {
  return `${datasetPrefix(name)}events/` as KeyPrefix;
}

/** The event that a key under eventsPrefix names, or undefined when it names none. */
export function parseEventKey(prefix: KeyPrefix, key: string): number | undefined {
  const number = key.slice(prefix.length);
  return key.startsWith(prefix) && /^\d{10}$/.test(number) ? Number(number) : undefined;
}

/** Key of an event of a dataset; `sequence` from 1 to NUMBER_MAX. */
export function eventKey(name: DatasetName, sequence: number): Key {
  return `${eventsPrefix(name)}${formatNumber(sequence)}` as Key;
}

/** Key of an epoch; `number` from 1 to NUMBER_MAX. */
export function epochKey(number: number): Key {
  return `${EPOCHS}${formatNumber(number)}` as Key;
}

/** The number of the epoch that a key names, or undefined when it names none. */
export function parseEpochKey(key: string): number | undefined {
  const digits = key.startsWith(EPOCHS) ? key.slice(EPOCHS.length) : "";
  const number = NUMBER.test(digits) ? Number(digits) : 0;
  return number > 0 ? number : undefined;
}

/** What the keys of the condemned names begin with that were written under a lease. Errors: as leaseKey. */
export function condemnedPrefix(mark: string): KeyPrefix {
  return `${CONDEMNED}${checkedLeaseId(mark)}/` as KeyPrefix;
}

/** Key of a part of condemned names; `part` from 1. Errors: as leaseKey. */
export function condemnedKey(mark: string, part: number): Key {
  return `${condemnedPrefix(mark)}${formatNumber(part)}` as Key;
}

/** The part that a key under condemnedPrefix names, or undefined when it names none. */
export function parseCondemnedKey(mark: string, key: string): number | undefined {
  const prefix = condemnedPrefix(mark);
  const digits = key.startsWith(prefix) ? key.slice(prefix.length) : "";
  const part = NUMBER.test(digits) ? Number(digits) : 0;
  return part > 0 ? part : undefined;
}

/** Key of a secret. */
export function secretKey(purpose: SecretPurpose): Key {
  return `${SECRETS}${purpose}.json` as Key;
}

/** The lease that a folder under CONDEMNED names, or undefined when it names none. */
export function markOfFolder(folder: string): string | undefined {
  return LEASE_ID.test(folder) ? folder : undefined;
}

/** What the keys of a dataset's records begin with, but for its own record's. */
export function recordPrefixes(name: DatasetName): readonly KeyPrefix[] {
  return ["events", "floors", "history", "tags"].map(
    (folder) => `${datasetPrefix(name)}${folder}/` as KeyPrefix,
  );
}

const RECORD_PLACE = /^(?:events\/\d{10}|history\/([^/]+)\/\d{10}|(?:floors|tags)\/([^/]+)\.json)$/;

/** A key under recordPrefixes as such; undefined when it is none of ours. */
export function parseRecordKey(name: DatasetName, key: string): Key | undefined {
  const prefix = datasetPrefix(name);
  const place = key.startsWith(prefix) ? RECORD_PLACE.exec(key.slice(prefix.length)) : null;
  if (place === null) return undefined;
  const tag = place[1] ?? place[2];
  return tag === undefined || tagOfFolder(tag) !== undefined ? (key as Key) : undefined;
}

function formatNumber(number: number): string {
  assert(Number.isSafeInteger(number) && number >= 1 && number <= NUMBER_MAX, "a history or event number");
  return String(number).padStart(NUMBER_DIGITS, "0");
}

const LEASE_ID = /^[0-9a-f]{32}$/;

/** Key of a lease. Errors: ARGUMENT_INVALID when the id is not 32 hex digits, since it may come from a client. */
export function leaseKey(id: string): Key {
  return `${LEASES}${checkedLeaseId(id)}` as Key;
}

function checkedLeaseId(id: string): string {
  if (LEASE_ID.test(id)) return id;
  throw new AetherError("ARGUMENT_INVALID", "a lease's id is 32 lower-case hex digits");
}

/** The lease that a key names, or undefined when it names none. */
export function parseLeaseKey(key: string): string | undefined {
  const id = key.startsWith(LEASES) ? key.slice(LEASES.length) : "";
  return LEASE_ID.test(id) ? id : undefined;
}

/** Whether a dataset's name or a tag comes after another in the byte order of `name/`: the order of keys. */
export function isNameAfter(name: string, after: string | undefined): boolean {
  return after === undefined || compareUtf8(`${name}/`, `${after}/`) > 0;
}

/** The folder of a scope's datasets, or undefined when `folder` (a segment under DATASETS) is no scope. */
export function scopePrefix(folder: string): KeyPrefix | undefined {
  return folder.startsWith("@") && isName(`${folder}/a`) ? (`${DATASETS}${folder}/` as KeyPrefix) : undefined;
}

/** The dataset that a folder under DATASETS names (`name`, `@scope/name`), or undefined when it names none. */
export function datasetOfFolder(folder: string): DatasetName | undefined {
  return isName(folder) ? parseDatasetName(folder) : undefined;
}

/** The tag that a folder under historiesPrefix names, or undefined when it names none. */
export function tagOfFolder(folder: string): Tag | undefined {
  try {
    return parseTag(folder);
  } catch {
    return undefined;
  }
}

function isName(text: string): boolean {
  try {
    parseDatasetName(text);
    return true;
  } catch {
    return false;
  }
}
