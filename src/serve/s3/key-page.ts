/** One page of a list of keys: what prefix, delimiter, marker and max-keys leave of a bucket. */
import { compareUtf8 } from "../../base/bytes.ts";
import { KeyCursor, pinOf, type BucketView, type KeyItem, type Pin } from "./keys.ts";

/** What is asked for. */
export interface PageRequest {
  readonly prefix: string;
  /** "" is none. */
  readonly delimiter: string;
  /** Only what comes after this key, or after all keys of this common prefix; undefined: from the beginning. */
  readonly after: string | undefined;
  readonly keysMax: number;
}

/** What is answered: objects and common prefixes, each in order. */
export interface KeyPage {
  readonly items: readonly KeyItem[];
  readonly prefixes: readonly string[];
  /** The last of both together, when there are more. */
  readonly next: string | undefined;
  /** The version that it was found in. */
  readonly nextPin: Pin | undefined;
}

/** Reads it: no more pages of the manifest than it takes. Errors: those of KeyCursor.next. */
export async function readKeyPage(view: BucketView, request: PageRequest): Promise<KeyPage> {
  const { prefix, delimiter, after, keysMax } = request;
  const items: KeyItem[] = [];
  const prefixes: string[] = [];
  const whole = { items, prefixes, next: undefined, nextPin: undefined };
  if (keysMax === 0) return whole;
  const start = startOf(request);
  if (start === undefined) return whole;
  const byTag = view.bucket.tag === undefined && delimiter === "/" && !prefix.includes("/");
  const cursor = new KeyCursor(view, start, { byTag });
  let last = after;
  let pin = view.pin;
  try {
    for (let item = await cursor.next(); item !== undefined; item = await cursor.next()) {
      view.signal.throwIfAborted();
      if (!item.key.startsWith(prefix)) break;
      if (items.length + prefixes.length === keysMax) return { items, prefixes, next: last, nextPin: pin };
      pin = pinOf(view.bucket, item);
      const common = commonPrefixOf(item.key, request);
      if (common === undefined) {
        items.push(item);
        last = item.key;
        continue;
      }
      prefixes.push(common);
      last = common;
      const beyond = keyAfterAll(common);
      if (beyond === undefined) break;
      cursor.leap(beyond);
    }
    return whole;
  } finally {
    await cursor.close();
  }
}

/** Where to begin; undefined: nothing comes after. */
function startOf(request: PageRequest): string | undefined {
  const { prefix, after } = request;
  if (after === undefined || after === "") return prefix;
  const isCommon = after.startsWith(prefix) && commonPrefixOf(after, request) === after;
  const start = isCommon ? keyAfterAll(after) : `${after}\0`;
  return start === undefined || compareUtf8(start, prefix) > 0 ? start : prefix;
}

/** The key's beginning up to the first delimiter after the prefix. */
function commonPrefixOf(key: string, { prefix, delimiter }: PageRequest): string | undefined {
  const index = delimiter === "" ? -1 : key.indexOf(delimiter, prefix.length);
  return index === -1 ? undefined : key.slice(0, index + delimiter.length);
}

const SURROGATES = [0xd800, 0xe000] as const;
const CODE_POINT_MAX = 0x10ffff;

/** The first key, in the order of UTF-8, after all that begin with these characters; undefined: there is none. */
function keyAfterAll(beginning: string): string | undefined {
  const points = Array.from(beginning);
  for (let last = points.pop(); last !== undefined; last = points.pop()) {
    const next = (last.codePointAt(0) ?? 0) + 1;
    if (next > CODE_POINT_MAX) continue;
    const [first, end] = SURROGATES;
    return `${points.join("")}${String.fromCodePoint(next >= first && next < end ? end : next)}`;
  }
  return undefined;
}
