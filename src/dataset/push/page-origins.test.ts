import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import type { EncodedPage } from "../../format/page.ts";
import { decodePage } from "../../format/page.ts";
import type { Store } from "../../store/dataset-store.ts";
import { openMemoryStore, VersionBuilder, type BuiltVersion } from "../testing/version-builder.ts";
import type { Tree } from "../testing/tree.ts";
import { openVersion } from "../version/version.ts";
import { PageOrigins, type PageOrigin } from "./page-origins.ts";

let store: Store;
before(async () => {
  store = await openMemoryStore();
});
after(() => store.close());

/** Files of these contents, in folders of 50. */
function treeOf(contents: ReadonlyMap<number, number>): Tree {
  return Object.fromEntries(
    [...contents].map(([file, content]) => [
      `d${String(Math.floor(file / 50)).padStart(2, "0")}/f${file}`,
      { bytes: `content ${content}`, mtime: { seconds: 1_700_000_000 + content, nanos: 7 * content } },
    ]),
  );
}

function build(builder: VersionBuilder, contents: ReadonlyMap<number, number>): Promise<BuiltVersion> {
  return builder.build(treeOf(contents), { paged: true });
}

async function originsOf(old: BuiltVersion, pages: readonly EncodedPage[]): Promise<PageOrigin[]> {
  const origins = new PageOrigins(await openVersion({ store }, old.digest));
  const found: PageOrigin[] = [];
  for (const page of pages) found.push(...(await origins.add(page)));
  return [...found, ...(await origins.finish())];
}

function firstFiles(count: number): Map<number, number> {
  return new Map(Array.from({ length: count }, (_, file) => [file, file]));
}

describe("the origins of a version's pages", () => {
  it("are the pages of the same place, where files changed", async () => {
    const builder = new VersionBuilder(store);
    const old = await build(builder, firstFiles(3000));
    const changed = await build(builder, new Map([...firstFiles(3000), [700, 9001], [2100, 9002]]));
    const origins = await originsOf(old, changed.pages);
    const leaves = origins.filter(
      ({ page, isHeld }) => !isHeld && page.kind === "entries" && page.level === 0,
    );
    assert.equal(leaves.length, 2);
    for (const { page, old: places } of leaves) {
      assert.equal(places.length, 1);
      const before = old.pages.find(({ digest }) => digest === places[0]?.digest);
      assert.ok(before !== undefined);
      assert.deepEqual(pathsOf(before), pathsOf(page));
    }
    const others = origins.filter(({ isHeld }) => !isHeld);
    assert.ok(
      others.every(({ old: places }) => places.length === 1),
      "nothing was added",
    );
    assert.ok(others.length < origins.length / 3);
  });

  it("are both neighbours of what was removed between them", async () => {
    const builder = new VersionBuilder(store);
    const old = await build(builder, firstFiles(3000));
    const paths = old.pages.filter(({ kind, level }) => kind === "entries" && level === 0).map(pathsOf);
    // From the middle of the fourth page to the middle of the seventh.
    const [from, to] = [paths[3], paths[6]].map((page) => page?.[page.length >>> 1] ?? "");
    const rest = [...firstFiles(3000)].filter(([file]) => {
      const [path] = Object.keys(treeOf(new Map([[file, 0]])));
      return path !== undefined && (path < (from ?? "") || path >= (to ?? ""));
    });
    const origins = await originsOf(old, (await build(builder, new Map(rest))).pages);
    const leaves = origins.filter(
      ({ page, isHeld }) => !isHeld && page.kind === "entries" && page.level === 0,
    );
    const bases = leaves.flatMap(({ old: places }) => places.map(({ digest }) => digest));
    const wanted = [3, 6].map(
      (index) => old.pages.filter(({ kind, level }) => kind === "entries" && level === 0)[index]?.digest,
    );
    assert.ok(wanted.every((digest) => digest !== undefined && bases.includes(digest)));
  });

  it("are what they came from, where no page of their level stayed", async () => {
    const builder = new VersionBuilder(store);
    const contents = firstFiles(60_000);
    const old = await build(builder, contents);
    for (let file = 0; file < 60_000; file += 330) contents.set(file, file + 1);
    const origins = await originsOf(old, (await build(builder, contents)).pages);
    const inner = origins.filter(({ page }) => page.kind === "entries" && page.level === 1);
    const before = old.pages.filter(({ kind, level }) => kind === "entries" && level === 1);
    assert.ok(inner.every(({ isHeld }) => !isHeld));
    assert.notEqual(inner.length, before.length, "some were divided or joined");
    for (const { page, old: places } of inner) {
      const named = new Set(
        before.filter(({ digest }) => places.some((place) => place.digest === digest)).flatMap(childrenOf),
      );
      const shared = childrenOf(page).filter((digest) => named.has(digest)).length;
      assert.ok(shared > childrenOf(page).length / 2, `${shared} of ${childrenOf(page).length}`);
    }
  });

  it("come for each page once, children first, of any two versions; held ones are those of the old one", () => {
    const edits = fc.array(fc.tuple(fc.nat(2500), fc.nat(400), fc.constantFrom("set", "remove")), {
      maxLength: 6,
    });
    return fc.assert(
      fc.asyncProperty(edits, async (changes) => {
        const builder = new VersionBuilder(store);
        const old = await build(builder, firstFiles(2000));
        const contents = firstFiles(2000);
        for (const [from, count, what] of changes) {
          for (let file = from; file < from + count; file++) {
            if (what === "set") contents.set(file, file + 1);
            else contents.delete(file);
          }
        }
        const { pages } = await build(builder, contents);
        const origins = await originsOf(old, pages);
        const held = new Set(old.pages.map(({ digest }) => digest));
        const seen = new Set<string>();
        for (const { page, isHeld, old: places } of origins) {
          if (page.level > 0) {
            const decoded = decodePage(page.bytes, page.kind, page.level);
            assert.ok("children" in decoded && decoded.children.every(({ digest }) => seen.has(digest)));
          }
          seen.add(page.digest);
          if (isHeld) assert.ok(held.has(page.digest));
          assert.ok(
            places.length <= 2 &&
              places.every(({ kind, level }) => kind === page.kind && level === page.level),
          );
        }
        const named = (list: readonly EncodedPage[]): string[] => list.map(({ digest }) => digest).sort();
        assert.deepEqual(named(origins.map(({ page }) => page)), named(pages));
      }),
      { numRuns: 25 },
    );
  });
});

function pathsOf(page: EncodedPage): string[] {
  const decoded = decodePage(page.bytes, page.kind, page.level);
  return "entries" in decoded ? decoded.entries.map(({ path }) => path) : [];
}

function childrenOf(page: EncodedPage): string[] {
  const decoded = decodePage(page.bytes, page.kind, page.level);
  return "children" in decoded ? decoded.children.map(({ digest }) => digest) : [];
}
