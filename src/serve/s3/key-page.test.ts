/** Pages of keys beside the plainest thing that says what they are: all keys, sorted and cut. */
import assert from "node:assert/strict";
import fs from "node:fs";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { compareUtf8 } from "../../base/bytes.ts";
import { parseDatasetName, parseTag, type Tag } from "../../format/reference.ts";
import { openStoreTree } from "../../vfs/store-tree.ts";
import type { Tree } from "../../vfs/tree.ts";
import type { BucketView } from "./keys.ts";
import { readKeyPage, type PageRequest } from "./key-page.ts";
import { openS3Bed, type S3Bed } from "./testing/s3-bed.ts";

/** Names that stand between a directory and what lies in it, and ones that JavaScript orders otherwise than bytes. */
const FILES = [
  ...[
    "a/b/c",
    "a/b-c",
    "a/b.c",
    "a/b0",
    "a-",
    "a-b/x",
    "a.b",
    "a0",
    "b!x/y",
    "b/x",
    "z/\u{1f600}",
    "z/\uffe0",
  ],
  ...["p%q", "p q", "m/1/x", "m/1/y", "m/2/x"],
];
const EMPTY = ["e", "a/e", "a/e-1", "a/e.2/f", "z-/e"];
const MANY = 8000;
const FOLDERS = 2;

let s3: S3Bed;
let tree: Tree;
before(async () => {
  s3 = await openS3Bed();
  const { bed } = s3;
  for (const file of FILES) bed.write(file, file);
  for (const folder of EMPTY) fs.mkdirSync(`${bed.source}/${folder}`, { recursive: true });
  fs.symlinkSync("a/b/c", `${bed.source}/link`);
  fs.symlinkSync("nowhere", `${bed.source}/a/nowhere`);
  fs.symlinkSync("../a", `${bed.source}/a/self`);
  await s3.push("set:v1", "set:v1.2", "set:v1-x", "set:w");
  for (let index = 0; index < MANY; index++) bed.write(`many/${index % FOLDERS}/${index}`, "");
  await s3.push("many:one");
  fs.rmSync(bed.source, { recursive: true });
  fs.mkdirSync(bed.source);
  await s3.push("set:none");
  tree = openStoreTree(bed.engine);
});
after(() => s3.close());

function viewOf(name: string, tag?: Tag): BucketView {
  const caller = { check: async (): Promise<void> => undefined };
  const bucket = { text: name, name: parseDatasetName(name), tag };
  return { tree, caller, bucket, answer: { turn: (task) => task() }, signal: new AbortController().signal };
}

const PATHS = [...FILES, "link", "e/", "a/e/", "a/e-1/", "a/e.2/f/", "z-/e/"];
const KEYS = [
  ...["v1", "v1.2", "v1-x", "w"].flatMap((tag) => PATHS.map((path) => `${tag}/${path}`)),
  "none/",
].sort(compareUtf8);

/** Keys and common prefixes in their order. */
function expected(keys: readonly string[], { prefix, delimiter, after }: PageRequest): string[] {
  const found: string[] = [];
  for (const key of keys) {
    const index = delimiter === "" ? -1 : key.indexOf(delimiter, prefix.length);
    const item = index === -1 ? key : key.slice(0, index + delimiter.length);
    const isLeapt = after?.startsWith(prefix) === true && item === after && item !== key;
    if (!key.startsWith(prefix) || (after !== undefined && compareUtf8(key, after) <= 0) || isLeapt) continue;
    if (found.at(-1) !== item) found.push(item);
  }
  return found;
}

async function pages(view: BucketView, request: PageRequest): Promise<string[]> {
  const found: string[] = [];
  let { after } = request;
  for (;;) {
    const { items, prefixes, next } = await readKeyPage(view, { ...request, after });
    const page = [...items.map(({ key }) => key), ...prefixes].sort(compareUtf8);
    assert.ok(page.length <= request.keysMax);
    assert.equal(
      next === undefined || page.length === request.keysMax,
      true,
      "only the last page may be short",
    );
    found.push(...page);
    if (next === undefined) return found;
    assert.equal(next, page.at(-1));
    after = next;
  }
}

describe("keys of a bucket", () => {
  it("of a dataset, are each tag's files, links to files, and directories that are empty", async () => {
    const request = { prefix: "", delimiter: "", after: undefined, keysMax: 1000 };
    assert.deepEqual(await pages(viewOf("set"), request), KEYS);
  });

  it("of a version, are its paths", async () => {
    const request = { prefix: "", delimiter: "", after: undefined, keysMax: 1000 };
    const found = await pages(viewOf("set", parseTag("v1")), request);
    assert.deepEqual(found, PATHS.toSorted(compareUtf8));
  });

  it("asked for with any prefix, delimiter, marker and page length, are those that all keys leave", async () => {
    const pieces = fc
      .constantFrom(...KEYS)
      .chain((key) => fc.nat(key.length).map((end) => key.slice(0, end)));
    const texts = fc.oneof(
      pieces,
      fc.constantFrom("", "v1", "v1/a/", "v1-", "w/m/", "none/", "\u{10ffff}", "V/"),
    );
    const marker = fc.oneof(fc.constant(undefined), fc.constantFrom(...KEYS), texts);
    const delimiter = fc.oneof(
      { weight: 3, arbitrary: fc.constant("/") },
      fc.constantFrom("", "b", "-", "/e", ".", "\u{1f600}", "zz", "1/"),
    );
    const property = fc.asyncProperty(
      ...([texts, delimiter, marker, fc.integer({ min: 1, max: 9 })] as const),
      async (prefix, delimiter, after, keysMax) => {
        const from = after === "" ? undefined : after;
        const request: PageRequest = { prefix, delimiter, after: from, keysMax };
        assert.deepEqual(await pages(viewOf("set"), request), expected(KEYS, request));
      },
    );
    await fc.assert(property, { numRuns: 200 });
  });

  it("of many files below a few folders, by folder, read few of the manifest's pages", async () => {
    const bed = s3.bed;
    const readBytes = async (request: PageRequest): Promise<[string[], number]> => {
      const fresh = openStoreTree(bed.engine);
      const view = { ...viewOf("many", parseTag("one")), tree: fresh };
      const top = await fresh.open(view.caller, { ...view.bucket, tag: parseTag("one"), digest: undefined });
      const before = top.version.traffic.manifestBytes;
      return [await pages(view, request), top.version.traffic.manifestBytes - before];
    };
    const request = { prefix: "many/", delimiter: "/", after: undefined, keysMax: 1000 };
    const [folders, foldersBytes] = await readBytes(request);
    assert.deepEqual(
      folders,
      Array.from({ length: FOLDERS }, (_, index) => `many/${index}/`),
    );
    const [all, allBytes] = await readBytes({ ...request, delimiter: "" });
    assert.equal(all.length, MANY);
    assert.ok(foldersBytes * 2 < allBytes, `${foldersBytes} bytes of ${allBytes}`);
  });

  it("asked for none at a time, are none, and nothing follows", async () => {
    const request = { prefix: "", delimiter: "", after: undefined, keysMax: 0 };
    const page = await readKeyPage(viewOf("set"), request);
    assert.deepEqual(page, { items: [], prefixes: [], next: undefined, nextPin: undefined });
  });

  it("of a dataset that is not there, fail with DATASET_NOT_FOUND", async () => {
    const request = { prefix: "", delimiter: "", after: undefined, keysMax: 1 };
    await assert.rejects(readKeyPage(viewOf("other"), request), { code: "DATASET_NOT_FOUND" });
  });
});
