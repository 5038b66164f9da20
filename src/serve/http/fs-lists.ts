/** What the lists under /fs list: datasets, tags, folders. */
import { formatDigest } from "../../format/digest.ts";
import type { DatasetName } from "../../format/reference.ts";
import type { Caller, DirectoryNode, Tree, EntryNode } from "../../vfs/tree.ts";
import { isoTime } from "../http-time.ts";
import type { Listing, ListingItem } from "./listing.ts";

/** Items that are rendered together. */
const BATCH_MAX = 100;

/** The datasets that the caller may see, of one scope or (undefined) of all. */
export function datasetsListing(tree: Tree, caller: Caller, scope: string | undefined): Listing {
  const prefixLength = scope === undefined ? 0 : scope.length + 1;
  async function* items(): AsyncGenerator<ListingItem> {
    for await (const name of tree.datasets(caller, scope === undefined ? {} : { scope })) {
      yield { name: name.slice(prefixLength), isFolder: true, size: "", time: "", facts: { name } };
    }
  }
  const facts = scope === undefined ? {} : { scope };
  const hasParent = scope !== undefined;
  return { title: scope ?? "Datasets", hasParent, facts, itemsName: "datasets", items: batched(items()) };
}

/** The tags of a dataset. */
export function tagsListing(tree: Tree, caller: Caller, name: DatasetName): Listing {
  async function* items(): AsyncGenerator<ListingItem> {
    for await (const { tag, record } of tree.tags(caller, name)) {
      const { digest, time, files, bytes } = record;
      const facts = { tag, version: formatDigest(digest), time, files, bytes };
      yield { name: tag, isFolder: true, size: String(bytes), time, facts };
    }
  }
  return { title: name, hasParent: true, facts: { name }, itemsName: "tags", items: batched(items()) };
}

/** A folder of a version; `path` is how it was asked for, before links were followed. */
export function folderListing(tree: Tree, directory: DirectoryNode, path: string): Listing {
  const { name, tag, version } = directory;
  const digest = formatDigest(version.digest);
  async function* items(): AsyncGenerator<ListingItem[]> {
    const prefixLength = directory.path === "" ? 0 : directory.path.length + 1;
    for await (const batch of tree.list(directory)) {
      yield batch.map((node) => itemOf(node, prefixLength));
    }
  }
  const facts = { name, tag: tag ?? null, version: digest, path };
  const title = `${name}${tag === undefined ? `@${digest}` : `:${tag}`}/${path}`;
  return { title, hasParent: true, facts, itemsName: "entries", items: items() };
}

function itemOf({ entry }: EntryNode, prefixLength: number): ListingItem {
  const { kind, mode, path } = entry;
  const name = path.slice(prefixLength);
  const time = isoTime(entry.mtime);
  const facts = { name, kind, mode, mtime: time };
  if (kind === "directory") return { name, isFolder: true, size: "", time, facts };
  if (kind === "symlink") {
    return { name, isFolder: false, size: "→", time, facts: { ...facts, target: entry.target } };
  }
  const { size, digest } = entry;
  return {
    name,
    isFolder: false,
    size: String(size),
    time,
    facts: { ...facts, size, digest: formatDigest(digest) },
  };
}

async function* batched(items: AsyncIterable<ListingItem>): AsyncGenerator<ListingItem[]> {
  let batch: ListingItem[] = [];
  for await (const item of items) {
    batch.push(item);
    if (batch.length < BATCH_MAX) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
