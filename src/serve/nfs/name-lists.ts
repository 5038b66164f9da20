/** Directories whose names come and go: all datasets, those of a scope, the tags of one. */
import type { Clock } from "../../base/clock.ts";
import { AetherError } from "../../base/errors.ts";
import { scopeOf, type DatasetName, type Tag } from "../../format/reference.ts";
import type { Caller, Tree } from "../../vfs/tree.ts";
import { hashName, type NameHash } from "./handles.ts";
import { Remembered } from "./remembered.ts";
import type { NamesPlace, Place, TagPlace, Visitor } from "./nodes.ts";

/** Names of one directory: each takes some 300 bytes while its list is remembered. */
const NAMES_MAX = 100_000;
/** Lists that clients are in the middle of reading, and how long one may take over it. */
const LISTS_MAX = 32;
const LIST_AGE_MS = 30_000;
/** Names whose hashes are known. */
const HASHES_MAX = 100_000;
/** How long nobody asks again which names there are because of a handle that none of them has. */
const MISSED_AGE_MS = 1000;
/** Cookies of "." and "..", and the first of anything else. */
const COOKIE_FIRST = 3n;

/** An item of a directory. */
export interface NamedPlace {
  readonly name: string;
  readonly place: Exclude<Place, { readonly kind: "entry" | "version" }>;
  /** Follows from the name alone, whatever else comes and goes: the order of the list. */
  readonly cookie: bigint;
}

/** A name, and what it is hashed as. */
interface HashedName {
  readonly kind: "scope" | "dataset" | "tag";
  readonly name: string;
}

/** Looks names up by their hashes: who has a handle was told the name once; what it may see is asked elsewhere. */
const NAMES_ALONE: Caller = { check: async () => undefined };

/** Lists and finds names. */
export class NameLists {
  readonly #tree: Tree;
  readonly #lists: Remembered<readonly NamedPlace[]>;
  readonly #sought: Remembered<string | undefined>;
  readonly #names = new Map<NameHash, string>();

  constructor(tree: Tree, clock: Clock) {
    this.#tree = tree;
    this.#lists = new Remembered(clock, { ageMsMax: LIST_AGE_MS, countMax: LISTS_MAX });
    this.#sought = new Remembered(clock, { ageMsMax: MISSED_AGE_MS, countMax: 1000 });
  }

  /**
   * What lies in a directory of names, by cookie; `isAnew`: as it is now, else perhaps as it was when the client began to read it.
   * Errors: LIMIT_EXCEEDED; those of Tree.datasets and tags.
   */
  list(visitor: Visitor, place: NamesPlace, isAnew: boolean): Promise<readonly NamedPlace[]> {
    const of = place.kind === "scope" ? place.scope : place.kind === "dataset" ? place.name : "";
    const key = `${place.kind} ${of} ${Buffer.from(visitor.secret ?? []).toString("hex")}`;
    const read = async (): Promise<NamedPlace[]> => {
      const items: NamedPlace[] = [];
      for await (const item of this.#read(visitor.caller, place)) {
        items.push(item);
        if (items.length > NAMES_MAX)
          throw new AetherError("LIMIT_EXCEEDED", `a directory has more than ${NAMES_MAX} names`);
      }
      return items.sort((a, b) => (a.cookie < b.cookie ? -1 : Number(a.cookie > b.cookie)));
    };
    return isAnew ? this.#lists.look(key, read) : this.#lists.get(key, read);
  }

  async *#read(caller: Caller, place: NamesPlace): AsyncGenerator<NamedPlace> {
    if (place.kind === "dataset") {
      const { name } = place;
      for await (const { tag, record } of this.#tree.tags(caller, name))
        yield named(tag, { kind: "tag", name, tag, record });
      return;
    }
    const scopes = new Set<string>();
    const options = place.kind === "scope" ? { scope: place.scope } : {};
    for await (const name of this.#tree.datasets(caller, options)) {
      const scope = name.startsWith("@") ? scopeOf(name) : undefined;
      if (scope === undefined || place.kind === "scope") {
        yield named(name.slice(name.lastIndexOf("/") + 1), { kind: "dataset", name });
      } else if (!scopes.has(scope)) {
        scopes.add(scope);
        yield named(scope, { kind: "scope", scope });
      }
    }
  }

  /** Whether the caller sees any dataset of the scope. Errors: those of Tree.datasets. */
  async hasScope(caller: Caller, scope: string): Promise<boolean> {
    for await (const _ of this.#tree.datasets(caller, { scope })) return true;
    return false;
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
      if (this.#names.size <= HASHES_MAX) return;
      this.#names.delete(oldest);
    }
  }
}

function named(name: string, place: NamedPlace["place"]): NamedPlace {
  return { name, place, cookie: cookieOf(place.kind, name) };
}

/** 63 bits of a hash: some clients take a cookie for a signed number. */
function cookieOf(kind: "root" | "scope" | "dataset" | TagPlace["kind"], name: string): bigint {
  const cookie = hashName(kind === "root" ? "scope" : kind, name) >> 1n;
  return cookie < COOKIE_FIRST ? cookie + COOKIE_FIRST : cookie;
}
