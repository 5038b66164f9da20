/** Directories whose names come and go: all datasets, those of a scope, the tags of one. */
import type { Clock } from "../../base/clock.ts";
import { scopeOf, type DatasetName, type Tag } from "../../format/reference.ts";
import type { Caller, Tree } from "../../vfs/tree.ts";
import { hashName, type NameHash } from "./handles.ts";
import { ListMemory } from "./list-memory.ts";
import type { ListedName, NameList } from "./name-list.ts";
import { Remembered } from "./remembered.ts";
import type { NamesPlace, Visitor } from "./nodes.ts";

/** How long a client may take over a list, and for how long it is shared with those who begin one. */
const LIST_AGE_MS = 30_000;
const SHARED_MS = 1000;
/** Names whose hashes are known: at most so many, of a share of the memory, and what one takes of it. */
const HASHES_MAX = 100_000;
const HASHES_SHARE = 1 / 64;
const HASH_BYTES = 250;
/** How long nobody asks again which names there are because of a handle that none of them has, or whether there is a scope. */
const MISSED_AGE_MS = 1000;

/** A name, and what it is hashed as. */
type HashedName = Omit<ListedName, "cookie">;

/** Looks names up by their hashes: who has a handle was told the name once; what it may see is asked elsewhere. */
const NAMES_ALONE: Caller = { check: async () => undefined };

/** Lists and finds names. */
export class NameLists {
  readonly #tree: Tree;
  readonly #lists: ListMemory;
  readonly #scopes: Remembered<boolean>;
  readonly #sought: Remembered<string | undefined>;
  readonly #names = new Map<NameHash, string>();
  readonly #namesMax: number;

  constructor(tree: Tree, clock: Clock, memoryBytes: number) {
    this.#tree = tree;
    this.#lists = new ListMemory(clock, memoryBytes);
    const missed = { ageMsMax: MISSED_AGE_MS, countMax: 1000 };
    this.#scopes = new Remembered(clock, missed);
    this.#sought = new Remembered(clock, missed);
    this.#namesMax = Math.min(HASHES_MAX, Math.ceil((memoryBytes * HASHES_SHARE) / HASH_BYTES));
  }

  /**
   * What lies in a directory of names; `isAnew`: as it was within the last second, else perhaps as it was when the client began to read
   * it. Errors: those of ListMemory.get, Tree.datasets and tags.
   */
  list(visitor: Visitor, place: NamesPlace, isAnew: boolean): Promise<NameList> {
    const of = place.kind === "scope" ? place.scope : place.kind === "dataset" ? place.name : "";
    return this.#lists.get(`${place.kind} ${of} ${keyOf(visitor)}`, isAnew ? SHARED_MS : LIST_AGE_MS, {
      names: () => this.#read(visitor.caller, place),
      kindOf: (name) => (place.kind === "dataset" ? "tag" : name.startsWith("@") ? "scope" : "dataset"),
    });
  }

  async *#read(caller: Caller, place: NamesPlace): AsyncGenerator<string> {
    if (place.kind === "dataset") {
      for await (const { tag } of this.#tree.tags(caller, place.name)) yield tag;
    } else if (place.kind === "scope") {
      for await (const name of this.#tree.datasets(caller, place)) yield name.slice(place.scope.length + 1);
    } else {
      // Those of a scope stand together.
      let last = "";
      for await (const name of this.#tree.datasets(caller)) {
        const scope = scopeOf(name);
        if (scope === "") yield name;
        else if (scope !== last) yield scope;
        last = scope;
      }
    }
  }

  /** Whether the caller sees any dataset of the scope. Errors: those of Tree.datasets. */
  hasScope(visitor: Visitor, scope: string): Promise<boolean> {
    return this.#scopes.get(`${scope} ${keyOf(visitor)}`, async () => {
      for await (const _ of this.#tree.datasets(visitor.caller, { scope })) return true;
      return false;
    });
  }

  /** Notes that a client gets a handle with the hash of this name. */
  note(kind: "scope" | "dataset" | "tag", name: string): void {
    this.#keep(hashName(kind, name), name);
  }

  /** The scope of this hash, if there is one. Errors: those of Tree.datasets. */
  scope(hash: NameHash): Promise<string | undefined> {
    return this.#find(hash, "datasets", this.#datasetNames());
  }

  /** The dataset of this hash, if there is one. Errors: those of Tree.datasets. */
  async dataset(hash: NameHash): Promise<DatasetName | undefined> {
    return (await this.#find(hash, "datasets", this.#datasetNames())) as DatasetName | undefined;
  }

  /** The tag of this hash, if the dataset has one. Errors: those of Tree.tags. */
  async tag(name: DatasetName, hash: NameHash): Promise<Tag | undefined> {
    return (await this.#find(hash, `tags of ${name}`, this.#tagNames(name))) as Tag | undefined;
  }

  async #find(hash: NameHash, where: string, names: AsyncIterable<HashedName>): Promise<string | undefined> {
    const known = this.#names.get(hash);
    if (known !== undefined) return known;
    return this.#sought.get(`${where} ${hash}`, async () => {
      let found: string | undefined;
      for await (const { kind, name } of names) {
        this.note(kind, name);
        if (hashName(kind, name) === hash) found = name;
      }
      return found;
    });
  }

  async *#datasetNames(): AsyncGenerator<HashedName> {
    for await (const name of this.#tree.datasets(NAMES_ALONE)) {
      yield { kind: "dataset", name };
      if (name.startsWith("@")) yield { kind: "scope", name: scopeOf(name) };
    }
  }

  async *#tagNames(dataset: DatasetName): AsyncGenerator<HashedName> {
    for await (const { tag } of this.#tree.tags(NAMES_ALONE, dataset)) yield { kind: "tag", name: tag };
  }

  #keep(hash: NameHash, name: string): void {
    this.#names.delete(hash);
    this.#names.set(hash, name);
    for (const oldest of this.#names.keys()) {
      if (this.#names.size <= this.#namesMax) return;
      this.#names.delete(oldest);
    }
  }
}

/** Visitors see what the token is for that they came with. */
function keyOf({ secret }: Visitor): string {
  return Buffer.from(secret ?? []).toString("hex");
}
