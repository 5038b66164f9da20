/** What every interface of files must show of one dataset. */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { Item } from "./awkward.ts";

/** How an interface shows what is neither a file nor a folder with something in it. */
export interface DoorManners {
  /** Which directories are seen; "implied": those alone that something lies in. */
  readonly directories: "all" | "implied";
  /**
   * Symbolic links are seen as what they are; as what they lead to, files alone or folders too, and not at all when that is
   * nothing; or never.
   */
  readonly symlinks: "links" | "files" | "followed" | "absent";
  /** The name of a path that the protocol or the client cannot carry, if it is none: with the reason. */
  readonly cannot?: (path: string) => boolean;
}

/** One interface, met by one client, looking at the awkward dataset. */
export interface Door {
  /** Everything that it shows, by path. What it does not tell of a file is left out. */
  readonly list: () => Promise<ReadonlyMap<string, Item>>;
  /** The lower-case hex SHA-256 of what it gives for each of these files. */
  readonly read: (paths: readonly string[]) => Promise<ReadonlyMap<string, string>>;
}

/** Opens a door; undefined when its client is not at hand, which the test's skip tells. */
export type OpenDoor = (t: TestContext) => Promise<Door | undefined>;

/** Registers the test: the same tree, and the same content of each file, as was pushed. */
export function interfaceSuite(
  name: string,
  manners: DoorManners,
  expected: () => ReadonlyMap<string, Item>,
  open: OpenDoor,
): void {
  test(`${name} shows the same tree, and the same SHA-256 of each file`, async (t) => {
    const door = await open(t);
    if (door === undefined) return;
    const wanted = shownBy(expected(), manners);
    const listed = await door.list();
    assert.deepEqual(missing(wanted, listed), [], "what is not shown");
    assert.deepEqual(missing(listed, wanted), [], "what is shown and is not there");
    for (const [path, item] of listed) {
      const want = wanted.get(path);
      for (const fact of ["kind", "size", "sha256", "target"] as const) {
        if (item[fact] !== undefined) assert.equal(item[fact], want?.[fact], `${fact} of ${path}`);
      }
    }
    const files = [...wanted].filter(([, { kind }]) => kind === "file");
    const found = await door.read(files.map(([path]) => path));
    for (const [path, { sha256 }] of files) assert.equal(found.get(path), sha256, path);
  });
}

function missing(from: ReadonlyMap<string, Item>, others: ReadonlyMap<string, Item>): string[] {
  return [...from.keys()].filter((path) => !others.has(path)).slice(0, 20);
}

/** What of the dataset is to be seen. */
function shownBy(
  all: ReadonlyMap<string, Item>,
  { directories, symlinks, cannot = () => false }: DoorManners,
): ReadonlyMap<string, Item> {
  const shown = new Map<string, Item>();
  for (const [path, item] of all) {
    if (cannot(path)) continue;
    if (
      item.kind === "file" ||
      (item.kind === "directory" && (directories === "all" || holdsSome(all, path)))
    ) {
      shown.set(path, item);
    } else if (item.kind === "symlink" && symlinks === "links") {
      shown.set(path, item);
    } else if (item.kind === "symlink" && symlinks !== "absent") {
      const found = behind(all, path, item);
      const itself = found.get(path);
      if (symlinks === "files" && itself?.kind === "file") shown.set(path, itself);
      if (symlinks === "followed") for (const [place, there] of found) shown.set(place, there);
    }
  }
  return shown;
}

/** What a link leads to, and what lies in it: in this dataset that is never another link. */
function behind(
  all: ReadonlyMap<string, Item>,
  path: string,
  { target = "" }: Item,
): ReadonlyMap<string, Item> {
  const found = new Map<string, Item>();
  if (target.startsWith("/")) return found;
  const place = new URL(target, `file:///${path}`).pathname.slice(1);
  for (const [other, item] of all) {
    if (item.kind === "symlink") continue;
    if (other === place) found.set(path, item);
    if (other.startsWith(`${place}/`)) found.set(path + other.slice(place.length), item);
  }
  return found;
}

function holdsSome(all: ReadonlyMap<string, Item>, folder: string): boolean {
  for (const [path, { kind }] of all) if (kind === "file" && path.startsWith(`${folder}/`)) return true;
  return false;
}
