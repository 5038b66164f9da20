import type { DirectoryNode, EntryNode, Tree } from "../../vfs/tree.ts";
import { NAME_BYTES_MAX } from "./protocol.ts";

/** Lists that are under way: of each, a page of entries is kept. */
const CURSORS_MAX = 256;
/** Parts of lists of which it is known after which entry they begin. */
const PLACES_MAX = 4096;

/** Takes an entry and its name, unless there is no room. */
export type TakeName = (name: Uint8Array, entry: EntryNode, index: number) => boolean;

/**
 * The entries of directories, for a kernel that asks for what comes after the n-th and says not who is asking. The next part
 * of a list is at hand where the last one ended. It is taken by the first who asks; for others it is made again, from the entry on that it
 * is known to begin after, else from the list's beginning.
 */
export class Directories {
  readonly #tree: Pick<Tree, "list">;
  readonly #cursors = new Map<string, Cursor>();
  /** The path of the entry that a part begins after. */
  readonly #places = new Map<string, string>();

  constructor(tree: Pick<Tree, "list">) {
    this.#tree = tree;
  }

  /**
   * The entries of a directory, as long as `take` takes them. `node` names the directory, of which `skipped` entries were taken
   * before. Errors: those of Tree.list.
   */
  async read(node: number, directory: DirectoryNode, skipped: number, take: TakeName): Promise<void> {
    // Of another version, the rest of a list would be what the kernel was told to forget.
    const place = `${node}:${directory.version.digest}`;
    const key = `${place}:${skipped}`;
    const known = this.#cursors.get(key);
    // Two who ask for the same part must not share the place in the list.
    this.#cursors.delete(key);
    const after = this.#places.get(key);
    const cursor = known ?? new Cursor(this.#tree, directory, after);
    for (let passed = (known ?? after) === undefined ? 0 : skipped; passed < skipped; passed++) {
      if ((await cursor.peek()) === undefined) return;
      cursor.pass();
    }
    let last = after;
    for (let index = skipped; ; index++) {
      // Waiting takes longer than all else, and is needed once a page.
      const entry = cursor.atHand ?? (await cursor.peek());
      if (entry === undefined) return;
      const name = Buffer.from(entry.entry.path.slice(cursor.prefix));
      // What is longer is not shown.
      if (name.byteLength <= NAME_BYTES_MAX && !take(name, entry, index)) {
        this.#keep(`${place}:${index}`, cursor, last);
        return;
      }
      last = entry.entry.path;
      cursor.pass();
    }
  }

  #keep(key: string, cursor: Cursor, after: string | undefined): void {
    this.#cursors.set(key, cursor);
    this.#places.delete(key);
    if (after !== undefined) this.#places.set(key, after);
    dropOldest(this.#cursors, CURSORS_MAX);
    dropOldest(this.#places, PLACES_MAX);
  }
}

function dropOldest(map: Map<string, unknown>, sizeMax: number): void {
  for (const oldest of map.keys()) {
    if (map.size <= sizeMax) return;
    map.delete(oldest);
  }
}

/** A place in a directory's list. */
class Cursor {
  /** What stands before the names, as many characters. */
  readonly prefix: number;
  readonly #batches: AsyncGenerator<EntryNode[]>;
  #batch: readonly EntryNode[] = [];
  #index = 0;

  constructor(tree: Pick<Tree, "list">, directory: DirectoryNode, after: string | undefined) {
    this.prefix = directory.path === "" ? 0 : directory.path.length + 1;
    this.#batches = tree.list(directory, { after });
  }

  /** The next entry, unless it is to be waited for, or there is none. */
  get atHand(): EntryNode | undefined {
    return this.#batch[this.#index];
  }

  /** The next entry; undefined: there is none. */
  async peek(): Promise<EntryNode | undefined> {
    while (this.atHand === undefined) {
      const next = await this.#batches.next();
      if (next.done === true) return undefined;
      this.#batch = next.value;
      this.#index = 0;
    }
    return this.atHand;
  }

  pass(): void {
    this.#index++;
  }
}
