/** Walking the leaves of a tree of pages. */
import { must } from "../../base/assert.ts";
import type { ChildItem, Page } from "../../format/page.ts";
import { childRef, type PageRef } from "./page-source.ts";
import type { Version } from "./version.ts";

/** Leaves fetched together at most; the first request asks for one, and each next for twice as many. */
const BATCH_PAGES_MAX = 32;

/** What lies before a page in its tree. */
export interface Position {
  readonly items: number;
  /** Stream bytes. */
  readonly bytes: number;
}

/** A page of level 0, and where it lies in its tree. */
export interface Leaf extends Position {
  readonly ref: PageRef;
  readonly page: Page;
}

/** How a walk fetches. */
export interface WalkOptions {
  /** Leaves that the first request asks for; one unless it is said. */
  readonly batchPages?: number;
  /** Told which items the leaves hold that are fetched next. */
  readonly onLeaves?: ((items: { readonly start: number; readonly end: number }) => void) | undefined;
}

/** Whether all below `child`, which begins at `at`, may be left out; `next` follows it under the same parent. */
export type SkipChild = (child: ChildItem, at: Position, next: ChildItem | undefined) => boolean;

/** The leaves below `top` in order, but for those that `skip` leaves out. Errors: those of PageSource.load. */
export async function* walkLeaves(
  version: Version,
  top: PageRef | undefined,
  skip: SkipChild,
  { batchPages = 1, onLeaves }: WalkOptions = {},
): AsyncGenerator<Leaf> {
  if (top === undefined) return;
  yield* descend(version, [{ ref: top, items: 0, bytes: 0 }], { skip, batchPages, onLeaves });
}

interface Walk extends WalkOptions {
  readonly skip: SkipChild;
  batchPages: number;
}

interface Located extends Position {
  readonly ref: PageRef;
}

/** A tree has at most TREE_LEVELS_MAX levels, and each step goes one down. */
async function* descend(version: Version, located: readonly Located[], walk: Walk): AsyncGenerator<Leaf> {
  for (let start = 0; start < located.length;) {
    const batch = located.slice(start, start + walk.batchPages);
    start += batch.length;
    tellOf(batch, walk);
    const pages = await version.pages.load(batch.map(({ ref }) => ref));
    version.signal?.throwIfAborted();
    for (const [index, at] of batch.entries()) {
      const page = must(pages[index], "one page for each reference");
      if (!("children" in page)) yield { ...at, page };
      else yield* descend(version, childrenOf(at, page.children, walk.skip), walk);
    }
    walk.batchPages = Math.min(walk.batchPages * 2, BATCH_PAGES_MAX);
  }
}

function tellOf(batch: readonly Located[], { onLeaves }: Walk): void {
  const [first, last] = [batch[0], batch.at(-1)];
  if (onLeaves === undefined || first?.ref.level !== 0 || last === undefined) return;
  onLeaves({ start: first.items, end: last.items + last.ref.items });
}

function childrenOf(parent: Located, children: readonly ChildItem[], skip: SkipChild): Located[] {
  const kept: Located[] = [];
  let { items, bytes } = parent;
  for (const [index, child] of children.entries()) {
    if (!skip(child, { items, bytes }, children[index + 1])) {
      kept.push({ ref: childRef(parent.ref, child, index), items, bytes });
    }
    items += child.items;
    bytes += child.bytes;
  }
  return kept;
}
