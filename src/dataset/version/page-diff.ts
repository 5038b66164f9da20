/** What two trees of pages do not share: equal pages are skipped with all below them. */
import { must } from "../../base/assert.ts";
import { compareUtf8 } from "../../base/bytes.ts";
import type { Page, TimelessEntry, TreeKind } from "../../format/page.ts";
import { childRef, type PageRef } from "./page-source.ts";
import { topRef, type Version } from "./version.ts";

/** Pages loaded together. */
const BATCH_PAGES = 32;

/** An entry of one version, of the other, or of both but not the same (but for its time). */
export interface EntryDifference {
  readonly before: TimelessEntry | undefined;
  readonly after: TimelessEntry | undefined;
}

/** The entries that differ, in byte order of path. Errors: those of PageSource.load. */
export async function* diffEntries(before: Version, after: Version): AsyncGenerator<EntryDifference> {
  const a = new EntryCursor(before);
  const b = new EntryCursor(after);
  for (let x = a.peek(), y = b.peek(); x !== undefined || y !== undefined; x = a.peek(), y = b.peek()) {
    after.signal?.throwIfAborted();
    if (x?.page !== undefined && x.page.digest === y?.page?.digest) {
      a.skip();
      b.skip();
      continue;
    }
    const order = x === undefined ? 1 : y === undefined ? -1 : compareUtf8(x.path, y.path);
    const levels = (x?.page?.level ?? -1) - (y?.page?.level ?? -1);
    // Pages at the same path are opened from the higher level down, so that equal ones meet.
    const takesX = order < 0 || (order === 0 && levels >= 0);
    const takesY = order > 0 || (order === 0 && levels <= 0);
    const opensX = takesX && x?.page !== undefined;
    const opensY = takesY && y?.page !== undefined;
    if (opensX) await a.open();
    if (opensY) await b.open();
    if (opensX || opensY) continue;
    const difference = { before: takesX ? x?.entry : undefined, after: takesY ? y?.entry : undefined };
    if (takesX) a.skip();
    if (takesY) b.skip();
    if (!isSame(difference)) yield difference;
  }
}

function isSame({ before, after }: EntryDifference): boolean {
  if (before === undefined || after === undefined || before.mode !== after.mode) return false;
  if (before.kind === "file") return after.kind === "file" && before.digest === after.digest;
  if (before.kind === "symlink") return after.kind === "symlink" && before.target === after.target;
  return after.kind === "directory";
}

/** A page not opened yet, or an entry; `path` is its first. */
interface Node {
  readonly path: string;
  readonly page?: PageRef;
  readonly entry?: TimelessEntry;
}

/** Goes through a tree of entries, opening only the pages it is told to. */
class EntryCursor {
  readonly #version: Version;
  /** What is left, the next one last. */
  readonly #nodes: Node[] = [];

  constructor(version: Version) {
    this.#version = version;
    const page = topRef(version, "entries");
    if (page !== undefined) this.#nodes.push({ path: "", page });
  }

  peek(): Node | undefined {
    return this.#nodes.at(-1);
  }

  skip(): void {
    this.#nodes.pop();
  }

  async open(): Promise<void> {
    const ref = must(this.#nodes.pop()?.page, "a page is next");
    const page = must((await this.#version.pages.load([ref]))[0], "one page for each reference");
    const nodes: Node[] = [];
    if ("children" in page) {
      for (const [index, child] of page.children.entries()) {
        nodes.push({ path: child.firstPath, page: childRef(ref, child, index) });
      }
    } else if (page.kind === "entries" && "entries" in page) {
      for (const entry of page.entries) nodes.push({ path: entry.path, entry });
    }
    this.#nodes.push(...nodes.reverse());
  }
}

/** A page, and the number of the first item below it. */
export interface NumberedPage {
  readonly ref: PageRef;
  readonly firstItem: number;
}

/** Leaves of each of two trees that the other lacks. */
export interface DifferingLeaves {
  readonly before: readonly NumberedPage[];
  readonly after: readonly NumberedPage[];
}

/** The leaves of each tree that the other lacks; inner pages that differ are loaded. Errors: those of PageSource.load. */
export async function diffLeaves(before: Version, after: Version, kind: TreeKind): Promise<DifferingLeaves> {
  let a = topOf(before, kind);
  let b = topOf(after, kind);
  for (;;) {
    const level = Math.max(levelOf(a), levelOf(b));
    if (levelOf(a) === levelOf(b)) {
      const inA = new Set(a.map(({ ref }) => ref.digest));
      const inB = new Set(b.map(({ ref }) => ref.digest));
      a = a.filter(({ ref }) => !inB.has(ref.digest));
      b = b.filter(({ ref }) => !inA.has(ref.digest));
    }
    if (level <= 0) return { before: a, after: b };
    const [opensA, opensB] = [levelOf(a) === level, levelOf(b) === level];
    if (opensA) a = await openAll(before, a);
    if (opensB) b = await openAll(after, b);
  }
}

function topOf(version: Version, kind: TreeKind): NumberedPage[] {
  const ref = topRef(version, kind);
  return ref === undefined ? [] : [{ ref, firstItem: 0 }];
}

function levelOf(pages: readonly NumberedPage[]): number {
  return pages[0]?.ref.level ?? -1;
}

async function openAll(version: Version, parents: readonly NumberedPage[]): Promise<NumberedPage[]> {
  const children: NumberedPage[] = [];
  for await (const { ref, firstItem, page } of loadPages(version, parents)) {
    let item = firstItem;
    for (const [index, child] of ("children" in page ? page.children : []).entries()) {
      children.push({ ref: childRef(ref, child, index), firstItem: item });
      item += child.items;
    }
  }
  return children;
}

/** The pages with what is in them, a few loaded at a time. Errors: those of PageSource.load. */
export async function* loadPages(
  version: Version,
  pages: readonly NumberedPage[],
): AsyncGenerator<NumberedPage & { readonly page: Page }> {
  for (let start = 0; start < pages.length; start += BATCH_PAGES) {
    version.signal?.throwIfAborted();
    const batch = pages.slice(start, start + BATCH_PAGES);
    const loaded = await version.pages.load(batch.map(({ ref }) => ref));
    for (const [index, at] of batch.entries()) {
      yield { ...at, page: must(loaded[index], "one page for each reference") };
    }
  }
}
