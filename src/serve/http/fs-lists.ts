/** What the lists under /fs list: datasets, tags, folders. */
import type { Identity } from "../../auth/access.ts";
import { codeOf } from "../../base/errors.ts";
import { listDatasets, listTags } from "../../dataset/datasets.ts";
import { listFolder } from "../../dataset/version/entries.ts";
import type { Version } from "../../dataset/version/version.ts";
import { formatDigest } from "../../format/digest.ts";
import type { Entry } from "../../format/entry.ts";
import type { DatasetName } from "../../format/reference.ts";
import type { Services } from "../services.ts";
import type { InVersion } from "./fs-target.ts";
import { isoTime } from "./http-time.ts";
import type { Listing, ListingItem } from "./listing.ts";

/** Items that are rendered together. */
const BATCH_MAX = 100;

/** The datasets that may be listed. */
export function datasetsListing({ engine, access }: Services, identity: Identity): Listing {
  async function* items(): AsyncGenerator<ListingItem> {
    for await (const name of listDatasets(engine)) {
      if (!(await isListed(name))) continue;
      yield { name, isFolder: true, size: "", time: "", facts: { name } };
    }
  }
  const isListed = async (name: DatasetName): Promise<boolean> => {
    try {
      await access.check(identity, "list", name);
      return true;
    } catch (error) {
      if (codeOf(error) === "ACCESS_DENIED") return false;
      throw error;
    }
  };
  return { title: "Datasets", hasParent: false, facts: {}, itemsName: "datasets", items: batched(items()) };
}

/** The tags of a dataset. */
export function tagsListing({ engine }: Services, name: DatasetName): Listing {
  async function* items(): AsyncGenerator<ListingItem> {
    for await (const { tag, record } of listTags(engine, name)) {
      const { digest, time, files, bytes } = record;
      const facts = { tag, version: formatDigest(digest), time, files, bytes };
      yield { name: tag, isFolder: true, size: String(bytes), time, facts };
    }
  }
  return { title: name, hasParent: true, facts: { name }, itemsName: "tags", items: batched(items()) };
}

/** A folder of a version; `path` is where it lies, links followed. */
export function folderListing(target: InVersion, version: Version, path: string): Listing {
  const { name, tag } = target;
  const digest = formatDigest(version.digest);
  async function* items(): AsyncGenerator<ListingItem[]> {
    const prefixLength = path === "" ? 0 : path.length + 1;
    for await (const batch of listFolder(version, path)) {
      yield batch.map(({ entry }) => itemOf(entry, entry.path.slice(prefixLength)));
    }
  }
  const facts = { name, tag: tag ?? null, version: digest, path: target.path };
  const title = `${name}${tag === undefined ? `@${digest}` : `:${tag}`}/${target.path}`;
  return { title, hasParent: true, facts, itemsName: "entries", items: items() };
}

function itemOf(entry: Entry, name: string): ListingItem {
  const { kind, mode } = entry;
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
