/** An example of each operation of REST: shown in its description, and executed by a test over the data that it names. */
import type { JsonObject } from "@bufbuild/protobuf";

/** What an operation is asked with. */
export interface Example {
  readonly path: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: JsonObject;
}

/** A dataset with the tags `latest` and `2026-11-22`, of which the first has moved once, and what it holds. */
export const EXAMPLE_NAME = "@acme/maxmind";
/** Stands for the digest of the version that `latest` points at. */
export const EXAMPLE_DIGEST = "sha256:0f343b0931126a20f133d67c2b018a3b5e1a8a0d0f6a8e5e5a5f5a5d5c5b5a59";
/** `hello world` and its signature. */
export const EXAMPLE_BLOCK = "hello world";
const EXAMPLE_SIGNATURE = "ylvggtezh4cqjavu4ysdejaip56chpotyb5ldjc6tiq4ml5ntfha====";

const name = EXAMPLE_NAME;
const digest = EXAMPLE_DIGEST;
const annotations = { publisher: "you@example.org", message: "approved", labels: { team: "geo" } };

/** By the name of the operation. */
export const EXAMPLES: Readonly<Record<string, Example>> = {
  CatalogAPI_ListDatasets: { path: {}, query: { pageSize: "10" } },
  CatalogAPI_ListTags: { path: { name }, query: { pageSize: "10" } },
  CatalogAPI_Resolve: { path: { name, tag: "latest" } },
  CatalogAPI_Resolve_by_name_digest: { path: { name, digest } },
  CatalogAPI_ListHistory: { path: { name, tag: "latest" } },
  CatalogAPI_SetTag: { path: { name, tag: "stable" }, body: { fromTag: "latest", annotations } },
  CatalogAPI_Rollback: { path: { name, tag: "latest" }, body: { annotations } },
  CatalogAPI_DeleteTag: { path: { name, tag: "2026-11-22" } },
  CatalogAPI_GetDataset: { path: { name } },
  CatalogAPI_UpdateDataset: {
    path: { name },
    body: { settings: { keepLast: "10", keepTags: { patterns: ["v*"] } } },
  },
  CatalogAPI_ReviewRetention: { path: { name }, body: { settings: { keepLast: "1" } } },
  CatalogAPI_DeleteDataset: { path: { name }, query: { publisher: "you@example.org" } },
  CatalogAPI_UndeleteDataset: { path: { name } },
  CatalogAPI_ListEntries: { path: { name, digest }, query: { recursive: "true" } },
  CatalogAPI_Diff: { path: { name }, query: { from: "2026-11-22", to: "latest" } },
  CatalogAPI_WatchEvents: { path: { name }, query: { sequence: "1", untilNow: "true" } },
  MaintenanceAPI_Prune: { path: {}, body: { dryRun: true } },
  BlockAPI_Upload: {
    path: {},
    headers: { "x-afs-block-signature": EXAMPLE_SIGNATURE, "x-afs-block-size": String(EXAMPLE_BLOCK.length) },
  },
  BlockAPI_Lookup: { path: { signature: EXAMPLE_SIGNATURE } },
  BlockAPI_Download: { path: { signature: EXAMPLE_SIGNATURE }, query: { offset: "6", size: "5" } },
  DatasetAPI_List: { path: {} },
  DatasetAPI_ListTags: { path: { name } },
  DatasetAPI_Lookup: { path: { "tag.name": name, "tag.version": "latest" } },
  DatasetAPI_Publish: {
    path: {},
    body: {
      dataset: {
        files: [{ name: "hello.txt", size: "11", lastModified: "2026-11-22T00:00:00Z" }],
        blockSize: 67108864,
        blocks: [EXAMPLE_SIGNATURE],
      },
      tags: [{ name: "hello", version: "latest" }],
    },
  },
};
