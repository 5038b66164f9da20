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

/** Whether all below `child`, which begins at `at`, may be left out; `next` follows it under the same parent. */
export type SkipChild = (child: ChildItem, at: Position, next: ChildItem | undefined) => boolean;

/** The leaves below `top` in order, but for those that `skip` leaves out. Errors: those of PageSource.load. */
export async function* walkLeaves(
  version: Version,
  top: PageRef | undefined,
  skip: SkipChild,
): AsyncGenerator<Leaf> {
  if (top === undefined) return;
  yield* descend(version, [{ ref: top, items: 0, bytes: 0 }], skip, { batchPages: 1 });
}

interface Located extends Position {
  readonly ref: PageRef;
}

/** A tree has at most TREE_LEVELS_MAX levels, and each step goes one down. */
async function* descend(
  version: Version,
  located: readonly Located[],
  skip: SkipChild,
  state: { batchPages: number },
): AsyncGenerator<Leaf> {
  for (let start = 0; start < located.length;) {
    const batch = located.slice(start, start + state.batchPages);
    start += batch.length;
    const pages = await version.pages.load(batch.map(({ ref }) => ref));
    version.signal?.throwIfAborted();
    for (const [index, at] of batch.entries()) {
      const page = must(pages[index], "one page for each reference");
      if (!("children" in page)) yield { ...at, page };
      else yield* descend(version, childrenOf(at, page.children, skip), skip, state);
    }
    state.batchPages = Math.min(state.batchPages * 2, BATCH_PAGES_MAX);
  }
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
