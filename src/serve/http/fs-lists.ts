/** What the lists under /fs list: datasets, tags, folders. */
import { codeOf, type ErrorCode } from "../../base/errors.ts";
import { formatDigest } from "../../format/digest.ts";
import type { HistoryRecord } from "../../format/record.ts";
import { DEFAULT_TAG, parseDatasetName, parseTag, type DatasetName } from "../../format/reference.ts";
import type { Caller, DirectoryNode, Tree, EntryNode } from "../../vfs/tree.ts";
import { isoTime } from "../http-time.ts";
import { countCell, digestCell, NO_CELL, sizeCell, timeCell } from "./cells.ts";
import { encodeSegments } from "../tree-target.ts";
import type { Crumb, Listing, ListingItem } from "./listing.ts";

/** Items that are rendered together. */
const BATCH_MAX = 100;
/** Datasets of a page whose newest version is looked at, and how many at once. */
const LOOKS_MAX = 1000;
const LOOKS_AT_ONCE = 20;

const UNREADABLE: ReadonlySet<ErrorCode> = new Set([
  ...(["ACCESS_DENIED", "OBJECT_INVALID", "OBJECT_CORRUPT", "FORMAT_UNSUPPORTED"] as const),
]);

/** What a list is about, and after which item it begins. */
interface ListPlace {
  readonly tree: Tree;
  readonly caller: Caller;
  readonly after: string | undefined;
}

/** The datasets that the caller may see, of one scope or (undefined) of all. Errors: REFERENCE_INVALID. */
export function datasetsListing({ tree, caller, after }: ListPlace, scope: string | undefined): Listing {
  const prefix = scope === undefined ? "" : `${scope}/`;
  const options = {
    ...(scope === undefined ? {} : { scope }),
    ...(after === undefined ? {} : { after: parseDatasetName(`${prefix}${after}`) }),
  };
  async function* items(): AsyncGenerator<ListingItem[]> {
    let looks = 0;
    for await (const names of batched(tree.datasets(caller, options), LOOKS_AT_ONCE)) {
      looks += names.length;
      const isLooked = looks <= LOOKS_MAX;
      yield await Promise.all(
        names.map(async (name) => {
          const shown = name.slice(prefix.length);
          if (!isLooked) return datasetItem(shown, { name }, undefined);
          const record = await latestOf(tree, caller, name);
          return datasetItem(shown, { name, latest: record === undefined ? null : factsOf(record) }, record);
        }),
      );
    }
  }
  return {
    title: scope ?? "Datasets",
    crumbs: crumbsOf(scope === undefined ? [] : [scope]),
    about: [],
    isArchivable: false,
    columns: ["Dataset", `Size (${DEFAULT_TAG})`, "Published", "Files"],
    facts: scope === undefined ? {} : { scope },
    itemsName: "datasets",
    items: items(),
    nextBase: "",
  };
}

/** What cannot be read is told of to whoever opens the dataset, not to all who see its name. */
async function latestOf(tree: Tree, caller: Caller, name: DatasetName): Promise<HistoryRecord | undefined> {
  try {
    return await tree.pointer(caller, name, DEFAULT_TAG);
  } catch (error) {
    if (UNREADABLE.has(codeOf(error))) return undefined;
    throw error;
  }
}

function datasetItem(
  name: string,
  facts: Readonly<Record<string, unknown>>,
  record: HistoryRecord | undefined,
): ListingItem {
  const cells =
    record === undefined
      ? [NO_CELL, NO_CELL, NO_CELL]
      : [sizeCell(record.bytes), timeCell(record.time), countCell(record.files)];
  return { name, isFolder: true, cells, facts };
}

/** The tags of a dataset. Errors: REFERENCE_INVALID. */
export function tagsListing({ tree, caller, after }: ListPlace, name: DatasetName): Listing {
  const options = after === undefined ? {} : { after: parseTag(after) };
  async function* items(): AsyncGenerator<ListingItem> {
    for await (const { tag, record } of tree.tags(caller, name, options)) {
      const { digest, time, files, bytes } = record;
      const cells = [sizeCell(bytes), timeCell(time), countCell(files), digestCell(digest)];
      yield { name: tag, isFolder: true, cells, facts: { tag, ...factsOf(record) } };
    }
  }
  return {
    title: name,
    crumbs: crumbsOf(name.split("/")),
    about: [],
    isArchivable: false,
    columns: ["Tag", "Size", "Published", "Files", "Version"],
    facts: { name },
    itemsName: "tags",
    items: batched(items(), BATCH_MAX),
    nextBase: "",
  };
}

function factsOf({ digest, time, files, bytes }: HistoryRecord): Readonly<Record<string, unknown>> {
  return { version: formatDigest(digest), time, files, bytes };
}

/**
 * A folder of a version; `path` is how it was asked for, before links were followed. Its further pages are of the same version,
 * wherever the tag moves.
 */
export function folderListing(
  tree: Tree,
  directory: DirectoryNode,
  { path, after }: { readonly path: string; readonly after: string | undefined },
): Listing {
  const { name, tag, version } = directory;
  const digest = formatDigest(version.digest);
  const prefix = directory.path === "" ? "" : `${directory.path}/`;
  // Behind a link no other is gone through by who mirrors lists: links may lead in circles, more than can be counted.
  const isDirect = directory.path === path;
  async function* items(): AsyncGenerator<ListingItem[]> {
    const options = after === undefined ? {} : { after: `${prefix}${after}` };
    for await (const batch of tree.list(directory, options)) {
      const shown: ListingItem[] = [];
      for (const node of batch) {
        const isFolder =
          node.kind === "directory" || (isDirect && (await leadsToFolder(tree, directory, node)));
        shown.push(itemOf(node, prefix.length, isFolder));
      }
      yield shown;
    }
  }
  const below = path === "" ? [] : path.split("/");
  const top = "../".repeat(below.length);
  const { files, bytes } = version.root;
  const total = [{ text: `${countCell(files).text} files` }, sizeCell(bytes)];
  return {
    title: `${name}${tag === undefined ? `@${digest}` : `:${tag}`}/${path}`,
    crumbs: crumbsOf([...name.split("/"), tag ?? digestCell(version.digest).text, ...below]),
    about: [
      {
        ...digestCell(version.digest),
        link: `${top}../${digest}/${encodeSegments(path)}${path === "" ? "" : "/"}`,
      },
      ...(path === "" ? total : []),
    ],
    isArchivable: true,
    columns: ["Name", "Size", "Changed", "SHA-256"],
    facts: { name, tag: tag ?? null, version: digest, path },
    itemsName: "entries",
    items: items(),
    nextBase: `${top}../${digest}/${encodeSegments(path)}${path === "" ? "" : "/"}`,
  };
}

/** Whether a link leads to a directory, so that its name leads to a list: who mirrors the list goes on there, and takes no list for a file. */
async function leadsToFolder(
  tree: Tree,
  directory: DirectoryNode,
  { kind, entry }: EntryNode,
): Promise<boolean> {
  if (kind !== "symlink") return false;
  try {
    return (await tree.lookIn(directory, entry.path)).kind === "directory";
  } catch (error) {
    if (codeOf(error) === "PATH_NOT_FOUND") return false;
    throw error;
  }
}

function itemOf({ entry }: EntryNode, prefixLength: number, isFolder: boolean): ListingItem {
  const { kind, mode, path } = entry;
  const name = path.slice(prefixLength);
  const time = isoTime(entry.mtime);
  const facts = { name, kind, mode, mtime: time };
  if (kind === "directory") return { name, isFolder, cells: [NO_CELL, timeCell(time), NO_CELL], facts };
  if (kind === "symlink") {
    const { target } = entry;
    const cells = [{ text: "link", title: `→ ${target}` }, timeCell(time), NO_CELL];
    return { name, isFolder, cells, facts: { ...facts, target } };
  }
  const { size, digest } = entry;
  return {
    name,
    isFolder,
    cells: [sizeCell(size), timeCell(time), digestCell(digest)],
    facts: { ...facts, size, digest: formatDigest(digest) },
  };
}

/** The way from the list of all datasets through places of these names. */
function crumbsOf(names: readonly string[]): Crumb[] {
  return ["Datasets", ...names].map((name, index) => ({
    name,
    link: "../".repeat(names.length - index),
  }));
}

async function* batched<T>(items: AsyncIterable<T>, countMax: number): AsyncGenerator<T[]> {
  let batch: T[] = [];
  for await (const item of items) {
    batch.push(item);
    if (batch.length < countMax) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
