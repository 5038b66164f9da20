/** What lies at places of the tree, and in them, as resources. */
import { AetherError, codeOf } from "../../base/errors.ts";
import type { FileTime } from "../../format/entry.ts";
import { scopeOf, type DatasetName } from "../../format/reference.ts";
import type { Caller, DirectoryNode, EntryNode, FileNode, Tree } from "../../vfs/tree.ts";
import type { TreePath, VersionPath } from "../../vfs/tree-path.ts";
import type { Resource } from "./properties.ts";

/** What the tree's root is called. */
const ROOT_NAME = "AetherFS";

/** A resource, and what lies directly in it. */
export interface Found {
  readonly self: Resource;
  /** In batches. A collection of a version stays that version's, wherever the tag moves. */
  readonly members: () => AsyncIterable<readonly Resource[]>;
}

/** Who looks, at what, and under which name. */
interface Look {
  readonly tree: Tree;
  readonly caller: Caller;
  /** The last segment of the path, decoded. */
  readonly name: string;
}

/**
 * What lies at a place: links are followed, as /fs follows them. Errors: DATASET_NOT_FOUND; those of Tree.look and of the store.
 */
export async function findResource(look: Look, place: TreePath): Promise<Found> {
  const { tree, caller, name } = look;
  switch (place.kind) {
    case "root":
      return { self: collection(ROOT_NAME), members: () => rootMembers(tree, caller) };
    case "scope":
      return { self: collection(name), members: () => scopeMembers(tree, caller, place.scope) };
    case "dataset":
      return findDataset(look, place.name);
    case "version":
      return findInVersion(look, place);
  }
}

/** A collection above the tree, in which one other lies. */
export function folderOf(name: string): Found {
  async function* members(): AsyncGenerator<readonly Resource[]> {
    yield [collection(name)];
  }
  return { self: collection(ROOT_NAME), members };
}

function collection(name: string, modified?: FileTime, digest?: Resource["digest"]): Resource {
  return { name, file: undefined, modified, digest };
}

/** Datasets that are in no scope, and the scopes. */
async function* rootMembers(tree: Tree, caller: Caller): AsyncGenerator<readonly Resource[]> {
  let last = "";
  for await (const name of tree.datasets(caller)) {
    const scope = scopeOf(name);
    if (scope !== "" && scope === last) continue;
    last = scope;
    yield [collection(scope === "" ? name : scope)];
  }
}

async function* scopeMembers(tree: Tree, caller: Caller, scope: string): AsyncGenerator<readonly Resource[]> {
  for await (const name of tree.datasets(caller, { scope })) yield [collection(name.slice(scope.length + 1))];
}

async function findDataset({ tree, caller, name: shown }: Look, name: DatasetName): Promise<Found> {
  const created = await tree.created(caller, name);
  if (created === undefined) {
    throw new AetherError("DATASET_NOT_FOUND", `there is no dataset ${name}`, { data: { dataset: name } });
  }
  async function* members(): AsyncGenerator<readonly Resource[]> {
    for await (const { tag, record } of tree.tags(caller, name)) {
      yield [collection(tag, timeOf(record.time), record.digest)];
    }
  }
  return { self: collection(shown, timeOf(created)), members };
}

async function findInVersion({ tree, caller, name }: Look, place: VersionPath): Promise<Found> {
  const node = await tree.look(caller, place);
  if (node.kind === "file") return { self: fileOf(name, node), members: nothing };
  const modified = place.path === "" ? await publishedAt(tree, caller, node) : node.entry?.mtime;
  const digest = place.path === "" ? node.version.digest : undefined;
  // Behind a link no other is gone through by who goes down: links may lead in circles, more than can be counted.
  const members = (): AsyncIterable<readonly Resource[]> =>
    folderMembers(tree, node, node.path === place.path);
  return { self: collection(name, modified, digest), members };
}

/** When the tag was moved to the version, unless it has moved on meanwhile. */
async function publishedAt(
  tree: Tree,
  caller: Caller,
  { name, tag, version }: DirectoryNode,
): Promise<FileTime | undefined> {
  const record = tag === undefined ? undefined : await tree.pointer(caller, name, tag);
  return record?.digest === version.digest ? timeOf(record.time) : undefined;
}

async function* folderMembers(
  tree: Tree,
  folder: DirectoryNode,
  isDirect: boolean,
): AsyncGenerator<readonly Resource[]> {
  const prefix = folder.path === "" ? 0 : folder.path.length + 1;
  for await (const batch of tree.list(folder)) {
    const members: Resource[] = [];
    for (const node of batch) {
      const member = memberOf(node, prefix) ?? (await behind(tree, folder, node, prefix, isDirect));
      if (member !== undefined) members.push(member);
    }
    yield members;
  }
}

/** Undefined: it is a link. */
function memberOf(node: EntryNode, prefix: number): Resource | undefined {
  const name = node.entry.path.slice(prefix);
  if (node.kind === "file") return fileOf(name, node);
  return node.kind === "directory" ? collection(name, node.entry.mtime) : undefined;
}

/** What a link of a folder leads to; undefined: nothing, or a folder that is not shown again. */
async function behind(
  tree: Tree,
  folder: DirectoryNode,
  { entry: { path } }: EntryNode,
  prefix: number,
  isDirect: boolean,
): Promise<Resource | undefined> {
  try {
    const node = await tree.lookIn(folder, path);
    const name = path.slice(prefix);
    if (node.kind === "file") return fileOf(name, node);
    return isDirect ? collection(name, node.entry?.mtime) : undefined;
  } catch (error) {
    if (codeOf(error) === "PATH_NOT_FOUND") return undefined;
    throw error;
  }
}

function fileOf(name: string, { entry }: FileNode): Resource {
  return { name, file: entry, modified: entry.mtime, digest: entry.digest };
}

async function* nothing(): AsyncGenerator<never> {
  // A file has no members.
}

/** A time of RFC 3339. */
function timeOf(time: string): FileTime | undefined {
  const ms = Date.parse(time);
  return Number.isNaN(ms) ? undefined : { seconds: Math.floor(ms / 1000), nanos: 0 };
}
