/** Datasets as buckets. docs/s3-api.md says the same to users. */
import type { Clock } from "../../base/clock.ts";
import { AetherError, codeOf } from "../../base/errors.ts";
import { NAME_LENGTH_MAX } from "../../base/limits.ts";
import { parseDatasetName, parseTag, scopeOf, type DatasetName, type Tag } from "../../format/reference.ts";
import type { Caller, Tree } from "../../vfs/tree.ts";
import { S3Error } from "./s3-error.ts";

/** What a bucket is: a dataset, whose keys are `TAG/path`, or with a tag the version that it points at, whose keys are paths. */
export interface Bucket {
  /** As the client calls it. */
  readonly text: string;
  readonly name: DatasetName;
  readonly tag: Tag | undefined;
}

const SEPARATOR = "--";
/** `scope--name--tag` at the longest. */
const TEXT_LENGTH_MAX = 3 * NAME_LENGTH_MAX + 2 * SEPARATOR.length;
/** What names and tags are made of, and so the texts of them: a letter or digit comes first. */
const CHARACTERS = /^[a-z0-9][a-z0-9._-]*$/;
/** Ways to read one text that are tried. */
const READINGS_MAX = 16;

/** The bucket of a dataset: `name`, or `scope--name`. */
export function bucketNameOf(name: DatasetName): string {
  const scope = scopeOf(name);
  return scope === "" ? name : `${scope.slice(1)}${SEPARATOR}${name.slice(scope.length + 1)}`;
}

/**
 * What a bucket's name may stand for, in the order in which it is tried: a scoped dataset, split at the first `--` before the
 * others; a dataset of just that name; the version of a tag, split at the last `--` before the others. A scope is somebody's own,
 * so that no name outside of it takes its place.
 */
export function readingsOf(text: string): readonly Bucket[] {
  if (text.length > TEXT_LENGTH_MAX || !CHARACTERS.test(text)) return [];
  const readings: Bucket[] = [];
  for (const reading of allReadings(text)) {
    readings.push(reading);
    if (readings.length === READINGS_MAX) break;
  }
  return readings;
}

function* allReadings(text: string): Generator<Bucket> {
  for (const name of datasetsOf(text)) yield { text, name, tag: undefined };
  for (const [left, right] of splits(text).reverse()) {
    // A tag that is too long stays so at every split before.
    if (right.length > NAME_LENGTH_MAX) return;
    const tag = attempt(() => parseTag(right));
    if (tag === undefined) continue;
    for (const name of datasetsOf(left)) yield { text, name, tag };
  }
}

/** One after another: a name of many dashes has thousands of readings. What is too long for a word is not parsed. */
function* datasetsOf(text: string): Generator<DatasetName> {
  for (const [scope, name] of splits(text)) {
    if (scope.length > NAME_LENGTH_MAX) break;
    if (name.length > NAME_LENGTH_MAX) continue;
    const scoped = attempt(() => parseDatasetName(`@${scope}/${name}`));
    if (scoped !== undefined) yield scoped;
  }
  const plain = text.length > NAME_LENGTH_MAX ? undefined : attempt(() => parseDatasetName(text));
  if (plain !== undefined) yield plain;
}

/** Before and after each `--`, of three dashes the last two; the first split first. */
function splits(text: string): (readonly [string, string])[] {
  return [...text.matchAll(/--(?=[^-])/g)].map(({ index }) => [
    text.slice(0, index),
    text.slice(index + SEPARATOR.length),
  ]);
}

/** How long a reading counts that was found to be there, and how many are remembered. */
const REMEMBERED_MS = 2000;
const REMEMBERED_MAX = 1000;

/** Buckets as they were found a moment ago: a client asks for many objects, and each way to read a name costs a look into the store. */
export class FoundBuckets {
  readonly #tree: Tree;
  readonly #clock: Pick<Clock, "elapsedMs">;
  readonly #found = new Map<string, { readonly bucket: Bucket; readonly untilMs: number }>();

  constructor(tree: Tree, clock: Pick<Clock, "elapsedMs">) {
    this.#tree = tree;
    this.#clock = clock;
  }

  /** As findBucket; `who` names the caller: what somebody may not read is no reading of theirs. */
  async find(
    caller: Caller,
    who: string,
    text: string,
    options: { readonly isAsked: boolean },
  ): Promise<Bucket> {
    const key = `${who}\0${text}`;
    const nowMs = this.#clock.elapsedMs();
    const known = this.#found.get(key);
    if (known !== undefined && known.untilMs > nowMs) return known.bucket;
    const bucket = await findBucket(this.#tree, caller, text, options);
    this.#found.delete(key);
    const [oldest] = this.#found.keys();
    if (oldest !== undefined && this.#found.size >= REMEMBERED_MAX) this.#found.delete(oldest);
    if (options.isAsked || readingsOf(text).length > 1) {
      this.#found.set(key, { bucket, untilMs: nowMs + REMEMBERED_MS });
    }
    return bucket;
  }
}

/**
 * The bucket of that name: the first reading that is there. What can be read in one way only is there for its user to find, unless
 * `isAsked`. Errors: S3Error NoSuchBucket; ACCESS_DENIED; those of Tree.open.
 */
async function findBucket(
  tree: Tree,
  caller: Caller,
  text: string,
  { isAsked }: { readonly isAsked: boolean },
): Promise<Bucket> {
  const readings = readingsOf(text);
  const [first] = readings;
  if (first !== undefined && readings.length === 1 && !isAsked) return first;
  let denied: Error | undefined;
  // All at once: one after another would be a journey each.
  const looks = readings.map((reading) => ({ reading, found: isThere(tree, caller, reading) }));
  for (const { found } of looks) found.catch(() => undefined);
  for (const { reading, found } of looks) {
    try {
      if (await found) return reading;
    } catch (error) {
      if (!(error instanceof AetherError) || error.code !== "ACCESS_DENIED") throw error;
      denied = error;
    }
  }
  throw denied ?? new S3Error("NoSuchBucket", { BucketName: text });
}

async function isThere(tree: Tree, caller: Caller, { name, tag }: Bucket): Promise<boolean> {
  if ((await tree.created(caller, name)) === undefined) return false;
  if (tag === undefined) return true;
  try {
    await tree.open(caller, { name, tag, digest: undefined });
    return true;
  } catch (error) {
    if (codeOf(error) === "TAG_NOT_FOUND") return false;
    throw error;
  }
}

function attempt<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (error instanceof AetherError) return undefined;
    throw error;
  }
}
