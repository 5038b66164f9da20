/** A version's entries: all in order, one by its path, or those of one folder. */
import { must } from "../../base/assert.ts";
import type { ByteRange } from "../../base/byte-range.ts";
import { compareUtf8 } from "../../base/bytes.ts";
import { AetherError } from "../../base/errors.ts";
import { EntrySequence, unsafe, type Entry, type FileTime } from "../../format/entry.ts";
import type { ChildItem, TimelessEntry } from "../../format/page.ts";
import { expectItems } from "./expect-items.ts";
import { walkLeaves, type Leaf } from "./leaves.ts";
import { childRef, type PageRef } from "./page-source.ts";
import { topRef, type Version } from "./version.ts";

/** Pages that listing asks a store for first that is far: some thousand entries, which is what most ask for at a time. */
const EAGER_PAGES = 16;

/** An entry, and where it stands. */
export interface PlacedEntry {
  readonly entry: Entry;
  /** Where its bytes begin in the stream; of anything but a file: where the next file's do. */
  readonly start: number;
  /** How many entries of the version stand before it. */
  readonly index: number;
}

/** Where to begin, and when to stop. */
export interface EntriesOptions {
  /** Begin with the first entry at or after this path. */
  readonly from?: string | undefined;
  /** Few are wanted: what comes after them is leapt over. */
  readonly isPeek?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The version's entries in byte order of path, in batches of about a page. Read from the beginning they are held to
 * §6.1; read from a path only their order is. Errors: those of PageSource.load.
 */
export async function* entries(
  version: Version,
  options: EntriesOptions = {},
): AsyncGenerator<PlacedEntry[]> {
  const { from, isPeek = false, signal } = options;
  const check = orderCheck(from);
  const counts = { file: 0, directory: 0, symlink: 0 };
  let times: TimeCursor | undefined;
  const leaves = walkLeaves(
    version,
    topRef(version, "entries"),
    entriesBefore(from),
    version.pages.isEager && !isPeek
      ? {
          batchPages: EAGER_PAGES,
          onLeaves: (items) => {
            expectItems(version, "times", items);
          },
        }
      : {},
  );
  for await (const leaf of leaves) {
    signal?.throwIfAborted();
    const batch: PlacedEntry[] = [];
    let start = leaf.bytes;
    for (const [index, entry] of timelessOf(leaf).entries()) {
      const isBefore = from !== undefined && compareUtf8(entry.path, from) < 0;
      if (!isBefore) {
        check(entry);
        counts[entry.kind]++;
        times ??= new TimeCursor(version, leaf.items + index);
        const mtime = times.ready() ?? (await times.next());
        batch.push({ entry: { ...entry, mtime }, start, index: leaf.items + index });
      }
      if (entry.kind === "file") start += entry.size;
    }
    if (batch.length > 0) yield batch;
  }
  if (from === undefined) checkCounts(version, counts);
}

/** Begins to read what entries() gives first. Who asks for it meets the errors. */
export function expectEntries(version: Version, from: string | undefined): void {
  const begun = entries(version, { from });
  begun.next().then(
    () => begun.return(undefined),
    () => undefined,
  );
}

/** Holds the root to what was read: pages tell how many entries there are, not of which kind. */
function checkCounts({ root }: Version, counts: Readonly<Record<Entry["kind"], number>>): void {
  const { file, directory, symlink } = counts;
  if (file === root.files && directory === root.directories && symlink === root.symlinks) return;
  throw new AetherError("OBJECT_INVALID", "a manifest's root miscounts its files, folders or symlinks");
}

/**
 * The entry at `path`, or undefined. Reads the pages on the way to it and no others, but for those that a version opened for eager
 * reading has read ahead: of times, and with `soon` of the chunks of that range of the file. Errors: those of PageSource.load.
 */
export async function findEntry(
  version: Version,
  path: string,
  soon?: ByteRange,
): Promise<PlacedEntry | undefined> {
  const leaf = await findLeaf(version, (children) => lastAtOrBefore(children, path), soon);
  return leaf && entryIn(version, leaf, (entry) => entry.path === path);
}

/** The entry before which `index` others stand, or undefined. Reads pages as findEntry() does. Errors: those of PageSource.load. */
export async function findEntryAt(version: Version, index: number): Promise<PlacedEntry | undefined> {
  const leaf = await findLeaf(version, (children, before) => childWith(children, index - before));
  return leaf && entryIn(version, leaf, (_entry, at) => at === index);
}

/** Which child of a page leads on, by its place; -1: none does. `items` stand before the page. */
type ChooseChild = (children: readonly ChildItem[], items: number) => number;

async function findLeaf(
  version: Version,
  choose: ChooseChild,
  soon?: ByteRange,
): Promise<Omit<Leaf, "ref"> | undefined> {
  let ref = topRef(version, "entries");
  let items = 0;
  let bytes = 0;
  while (ref !== undefined) {
    const page = must((await version.pages.load([ref]))[0], "one page for each reference");
    if (!("children" in page)) return { page, items, bytes };
    const chosen = choose(page.children, items);
    const below = page.children[chosen];
    if (below === undefined) return undefined;
    for (const child of page.children.slice(0, chosen)) {
      items += child.items;
      bytes += child.bytes;
    }
    if (version.pages.isEager) {
      expectItems(version, "times", { start: items, end: items + below.items });
      // The file begins somewhere in the bytes below; a large one among small ones near their beginning.
      const [first, end] = [bytes + (soon?.start ?? 0), bytes + below.bytes];
      if (soon !== undefined) expectItems(version, "chunks", { start: first, end, isLast: ref.level === 1 });
    }
    ref = childRef(ref, below, chosen);
  }
  return undefined;
}

async function entryIn(
  version: Version,
  leaf: Omit<Leaf, "ref">,
  isWanted: (entry: TimelessEntry, index: number) => boolean,
): Promise<PlacedEntry | undefined> {
  let start = leaf.bytes;
  for (const [offset, entry] of timelessOf(leaf).entries()) {
    const index = leaf.items + offset;
    if (isWanted(entry, index)) {
      const mtime = await new TimeCursor(version, index).next();
      return { entry: { ...entry, mtime }, start, index };
    }
    if (entry.kind === "file") start += entry.size;
  }
  return undefined;
}

/** The entry at `path`. Errors: PATH_NOT_FOUND; those of PageSource.load. */
export async function getEntry(version: Version, path: string): Promise<PlacedEntry> {
  const found = await findEntry(version, path);
  if (found !== undefined) return found;
  throw new AetherError("PATH_NOT_FOUND", `the version has nothing at ${JSON.stringify(path)}`, {
    data: { path },
  });
}

/**
 * The entries directly in a folder ("" is the top), in byte order of path, from the first after the path `after`, in
 * batches. What lies below them is leapt over. Errors: PATH_NOT_FOUND when there is no such folder; those of
 * PageSource.load.
 */
export async function* listFolder(
  version: Version,
  folder: string,
  options: { readonly after?: string | undefined; readonly signal?: AbortSignal | undefined } = {},
): AsyncGenerator<PlacedEntry[]> {
  const { after, signal } = options;
  if (folder !== "" && (await getEntry(version, folder)).entry.kind !== "directory") {
    throw new AetherError("PATH_NOT_FOUND", `${JSON.stringify(folder)} is not a folder of the version`, {
      data: { path: folder },
    });
  }
  const prefix = folder === "" ? "" : `${folder}/`;
  let from: string | undefined = prefix === "" ? undefined : prefix;
  if (after !== undefined && compareUtf8(after, prefix) >= 0) from = `${after}\0`;
  let isPeek = false;
  for (;;) {
    const leap: string | undefined = yield* listUntilLeap(version, prefix, { from, isPeek, signal });
    if (leap === undefined) return;
    from = leap;
    isPeek = true;
  }
}

/** Lists until a subtree reaches past its page; returns the path after that subtree, or undefined at the end. */
async function* listUntilLeap(
  version: Version,
  prefix: string,
  options: EntriesOptions,
): AsyncGenerator<PlacedEntry[], string | undefined> {
  let leap = options.from;
  for await (const batch of entries(version, options)) {
    const direct: PlacedEntry[] = [];
    let ended = false;
    for (const placed of batch) {
      const { path } = placed.entry;
      if (leap !== undefined && compareUtf8(path, leap) < 0) continue;
      leap = undefined;
      if (!path.startsWith(prefix)) {
        ended = true;
        break;
      }
      const slash = path.indexOf("/", prefix.length);
      if (slash === -1) direct.push(placed);
      else leap = `${path.slice(0, slash)}0`;
    }
    if (direct.length > 0) yield direct;
    if (ended) return undefined;
    if (leap !== undefined) return leap;
  }
  return undefined;
}

function lastAtOrBefore(children: readonly ChildItem[], path: string): number {
  let low = 0;
  let high = children.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareUtf8(children[middle]?.firstPath ?? "", path) <= 0) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The child that holds an item, counted from the first one's first. */
function childWith(children: readonly ChildItem[], item: number): number {
  let before = 0;
  return children.findIndex(({ items }) => (before += items) > item);
}

function entriesBefore(from: string | undefined) {
  return (_child: ChildItem, _at: unknown, next: ChildItem | undefined): boolean =>
    from !== undefined && next !== undefined && compareUtf8(next.firstPath, from) <= 0;
}

function timelessOf({ page }: Pick<Leaf, "page">): readonly TimelessEntry[] {
  if (page.kind === "entries" && "entries" in page) return page.entries;
  throw new AetherError("OBJECT_INVALID", "a leaf of entries is none");
}

/** Checks each entry against those before. */
function orderCheck(from: string | undefined): (entry: TimelessEntry) => void {
  if (from === undefined) {
    const sequence = new EntrySequence();
    return (entry) => {
      sequence.next(entry.path, entry.kind === "directory");
    };
  }
  let last: string | undefined;
  return ({ path }) => {
    if (last !== undefined && compareUtf8(last, path) >= 0) throw unsafe(path, "it is out of order");
    last = path;
  };
}

/** Reads the times from one item on, in step with the entries. */
class TimeCursor {
  readonly #leaves: AsyncGenerator<Leaf>;
  readonly #first: number;
  #times: readonly FileTime[] = [];
  #index = 0;

  constructor(version: Version, first: number) {
    const top: PageRef | undefined = topRef(version, "times");
    this.#leaves = walkLeaves(version, top, (child, at) => at.items + child.items <= first);
    this.#first = first;
  }

  /** The next time, when its page is here already. */
  ready(): FileTime | undefined {
    const time = this.#times[this.#index];
    if (time !== undefined) this.#index++;
    return time;
  }

  async next(): Promise<FileTime> {
    const { value: leaf } = (await this.#leaves.next()) as IteratorResult<Leaf, undefined>;
    if (leaf?.page.kind !== "times" || !("times" in leaf.page)) {
      throw new AetherError("OBJECT_INVALID", "a manifest has fewer times than entries");
    }
    this.#times = leaf.page.times;
    this.#index = Math.max(this.#first - leaf.items, 0);
    return must(this.ready(), "a page of times is not empty, and the first item lies in it");
  }
}
