/** Which pages of an old version the pages of a new one replace: those between the same two pages that both have. */
import { must } from "../../base/assert.ts";
import type { Digest } from "../../format/digest.ts";
import { TREE_LEVELS_MAX, decodePage, type EncodedPage, type TreeKind } from "../../format/page.ts";
import { childRef, type PageRef } from "../version/page-source.ts";
import { topRef, type Version } from "../version/version.ts";

/** Old pages of one level that are looked through for a new version's next page. */
const AHEAD_MAX = 4096;
/** New pages of one level that wait until a page follows which both versions have. */
const WAITING_MAX = 64;
/** Inner pages of the old version that are loaded together. */
const BATCH_PAGES = 8;

/** What share of a page's items the old ones in its place have at least. */
const SHARE_MIN = 1 / 16;

/** A page, and what stood in its place. */
export interface PageOrigin {
  readonly page: EncodedPage;
  /** Whether the old version has the page itself. */
  readonly isHeld: boolean;
  /** Else the old pages in its place, two at most, in order. */
  readonly old: readonly PageRef[];
}

/** Walks the old version's trees beside the new one's. */
export class PageOrigins {
  readonly #old: Version;
  readonly #levels = new Map<string, LevelOrigins>();

  constructor(old: Version) {
    this.#old = old;
  }

  /**
   * Takes the next page of the new version, and gives those whose origin is known by now, in the order of their levels:
   * children before parents. Errors: those of PageSource.load.
   */
  async add(page: EncodedPage): Promise<PageOrigin[]> {
    const { kind, level } = page;
    const own = await this.#levelOf(kind, level).add(page);
    if (own.length === 0 || level === 0) return own;
    // As a rule nothing waits below a page that is given.
    const below: PageOrigin[] = [];
    for (let lower = 0; lower < level; lower++) below.push(...(await this.#levelOf(kind, lower).settle()));
    return [...below, ...own];
  }

  /** Gives the pages that still wait: there are no more. Errors: those of PageSource.load. */
  async finish(): Promise<PageOrigin[]> {
    const origins: PageOrigin[] = [];
    for (let level = 0; level <= TREE_LEVELS_MAX; level++) {
      for (const kind of ["entries", "times", "chunks"] as const) {
        origins.push(...((await this.#levels.get(`${kind} ${level}`)?.finish()) ?? []));
      }
    }
    return origins;
  }

  #levelOf(kind: TreeKind, level: number): LevelOrigins {
    const key = `${kind} ${level}`;
    const known = this.#levels.get(key) ?? new LevelOrigins(pagesAt(this.#old, kind, level));
    this.#levels.set(key, known);
    return known;
  }
}

/** One level of one tree. */
class LevelOrigins {
  readonly #old: AsyncGenerator<PageRef[]>;
  #isAtEnd = false;
  /** Old pages from the one on that may come next. */
  #ahead: PageRef[] = [];
  /** How many stood before these, and the numbers of these; of equal ones that of the first. */
  #passed = 0;
  readonly #numbers = new Map<Digest, number>();
  #waiting: EncodedPage[] = [];
  /** Items of the first page ahead that pages stood for which were given already. */
  #itemsTaken = 0;

  constructor(old: AsyncGenerator<PageRef[]>) {
    this.#old = old;
  }

  async add(page: EncodedPage): Promise<PageOrigin[]> {
    const at = await this.#find(page.digest);
    if (at === undefined) {
      this.#waiting.push(page);
      return this.#waiting.length < WAITING_MAX ? [] : this.settle();
    }
    const origins = this.#pair(this.#ahead.slice(0, at), true);
    this.#pass(at + 1);
    return [...origins, { page, isHeld: true, old: [] }];
  }

  /** Gives the pages that wait, without knowing what follows: for the next old pages of as many items. */
  async settle(): Promise<PageOrigin[]> {
    if (this.#waiting.length === 0) return [];
    const end = this.#itemsTaken + sum(this.#waiting.map(itemsOf));
    await this.#look(() => sum(this.#ahead.map(({ items }) => items)) >= end);
    const origins = this.#pair(this.#ahead, false);
    let left = end;
    const next = this.#ahead.findIndex(({ items }) => {
      const isWithin = left < items;
      if (!isWithin) left -= items;
      return isWithin;
    });
    this.#pass(next === -1 ? this.#ahead.length : next);
    this.#itemsTaken = next === -1 ? 0 : left;
    return origins;
  }

  async finish(): Promise<PageOrigin[]> {
    if (this.#waiting.length === 0) return [];
    await this.#look(() => false);
    return this.#pair(this.#ahead, this.#isAtEnd);
  }

  /** How many old pages stand before the one of this digest. */
  async #find(digest: Digest): Promise<number | undefined> {
    await this.#look(() => this.#numbers.has(digest));
    const number = this.#numbers.get(digest);
    return number === undefined ? undefined : number - this.#passed;
  }

  /** Looks ahead until it is enough. */
  async #look(isEnough: () => boolean): Promise<void> {
    while (!this.#isAtEnd && this.#ahead.length < AHEAD_MAX && !isEnough()) {
      const next = await this.#old.next();
      if (next.done === true) this.#isAtEnd = true;
      else for (const ref of next.value) this.#push(ref);
    }
  }

  #push(ref: PageRef): void {
    if (!this.#numbers.has(ref.digest)) this.#numbers.set(ref.digest, this.#passed + this.#ahead.length);
    this.#ahead.push(ref);
  }

  /**
   * The pages that wait for these old ones; `isWhole`: both lists end at the same place. What was added or removed moves what
   * follows it: pages before it keep their place from the beginning, those after it from the end.
   */
  #pair(old: readonly PageRef[], isWhole: boolean): PageOrigin[] {
    const pages = this.#waiting;
    this.#waiting = [];
    if (isWhole && pages.length === 1 && old.length === 1)
      return pages.map((page) => ({ page, isHeld: false, old }));
    const counts = pages.map(itemsOf);
    const moved = isWhole ? sum(old.map(({ items }) => items)) - this.#itemsTaken - sum(counts) : 0;
    let start = this.#itemsTaken;
    return pages.map((page, index) => {
      const items = counts[index] ?? 0;
      const origin = { page, isHeld: false, old: placesOf(start, items, moved, old) };
      start += items;
      return origin;
    });
  }

  #pass(count: number): void {
    this.#itemsTaken = 0;
    for (const [index, { digest }] of this.#ahead.splice(0, count).entries()) {
      if (this.#numbers.get(digest) === this.#passed + index) this.#numbers.delete(digest);
    }
    this.#passed += count;
  }
}

/**
 * The old pages of a page's first item and of its last one, two at most: the first counted from the beginning, the last, which is
 * `moved` items further on, from the end.
 */
function placesOf(start: number, items: number, moved: number, old: readonly PageRef[]): PageRef[] {
  let end = 0;
  return old.filter((ref) => {
    const from = end;
    end += ref.items;
    const shared = (at: number): number => Math.min(at + items, end) - Math.max(at, from);
    const isFirst = start >= from && start < end;
    const last = start + items - 1 + moved;
    const isLast = last >= from && last < end;
    return (isFirst || isLast) && Math.max(shared(start), shared(start + moved)) > items * SHARE_MIN;
  });
}

/** Items of level 0 below a page. */
function itemsOf({ bytes, kind, level }: EncodedPage): number {
  const page = decodePage(bytes, kind, level);
  if ("children" in page) return sum(page.children.map(({ items }) => items));
  if ("entries" in page) return page.entries.length;
  return "times" in page ? page.times.length : page.chunks.length;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, number) => all + number, 0);
}

/** The pages of one level, in order. */
async function* pagesAt(version: Version, kind: TreeKind, level: number): AsyncGenerator<PageRef[]> {
  const top = topRef(version, kind);
  if (top !== undefined && top.level >= level) yield* pagesBelow(version, [top], level);
}

/** Levels fall, so the recursion ends. */
async function* pagesBelow(
  version: Version,
  refs: readonly PageRef[],
  level: number,
): AsyncGenerator<PageRef[]> {
  if (refs[0]?.level === level) {
    yield [...refs];
    return;
  }
  for (let start = 0; start < refs.length; start += BATCH_PAGES) {
    version.signal?.throwIfAborted();
    const batch = refs.slice(start, start + BATCH_PAGES);
    const pages = await version.pages.load(batch);
    for (const [index, page] of pages.entries()) {
      const parent = must(batch[index], "one page for each reference");
      const children = "children" in page ? page.children : [];
      yield* pagesBelow(
        version,
        children.map((child, number) => childRef(parent, child, number)),
        level,
      );
    }
  }
}
