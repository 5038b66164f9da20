/** Reading pages ahead, of a tree that is looked into next, while another one says where. */
import type { ChildItem, TreeKind } from "../../format/page.ts";
import { childRef, type PageRef } from "./page-source.ts";
import { topRef, type Version } from "./version.ts";

/** Pages of one level that are read ahead: where more may be meant, nobody knows enough yet, and the first is a guess. */
const PAGES_MAX = 4;

/** What is looked for lies somewhere from `start` (inclusive) to `end` (exclusive). */
export interface Span {
  readonly start: number;
  readonly end: number;
  /** Nobody will know more before it is looked for: where much may be meant, it is taken to be near `start`. */
  readonly isLast?: boolean;
}

interface Located {
  readonly ref: PageRef;
  readonly start: number;
}

/**
 * Begins to read the pages that lead to a span of a tree: of its stream bytes where it is one of chunks, else of its items. It goes down
 * as far as few pages come into question, so who learns more says so again. Who looks meets the errors.
 */
export function expectItems(version: Version, kind: TreeKind, span: Span): void {
  const top = topRef(version, kind);
  if (top !== undefined) descend(version, span, [{ ref: top, start: 0 }]).catch(() => undefined);
}

/** A tree has at most TREE_LEVELS_MAX levels, and each step goes one down. */
async function descend(version: Version, span: Span, all: readonly Located[]): Promise<void> {
  const isClear = all.length <= PAGES_MAX;
  const located = isClear || span.isLast !== true ? all : all.slice(0, 1);
  if (located.length === 0 || located.length > PAGES_MAX) return;
  const pages = await version.pages.load(located.map(({ ref }) => ref));
  const below = located.flatMap(({ ref, start }, index) => {
    const page = pages[index];
    return page !== undefined && "children" in page ? childrenIn(ref, page.children, start, span) : [];
  });
  await descend(version, span, below);
}

function childrenIn(
  parent: PageRef,
  children: readonly ChildItem[],
  parentStart: number,
  span: Span,
): Located[] {
  const found: Located[] = [];
  let start = parentStart;
  for (const [index, child] of children.entries()) {
    const end = start + (parent.kind === "chunks" ? child.bytes : child.items);
    if (start < span.end && end > span.start) found.push({ ref: childRef(parent, child, index), start });
    start = end;
  }
  return found;
}
