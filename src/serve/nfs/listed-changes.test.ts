/** What is taken away while a client is in the middle of a list. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { deleteDataset } from "../../dataset/deletion.ts";
import { removeTag, tagOf } from "../../dataset/tag-changes.ts";
import { parseDatasetName, parseReference } from "../../format/reference.ts";
import { FROM_START, PROCEDURES, type ListedPage, type NfsClient } from "./testing/nfs-client.ts";
import { openNfsBed, type NfsBed } from "./testing/nfs-bed.ts";
import { XdrWriter } from "./xdr.ts";

const FILES = 300;
const PAGE_BYTES = 1000;
const publisher = "test";

let bed: NfsBed;
let client: NfsClient;

before(async () => {
  bed = await openNfsBed();
  for (let index = 0; index < FILES; index++) bed.push.write(`many/${index}`, `${index}`);
  client = await bed.connect();
});
after(() => bed.close());

function remove(reference: string): Promise<unknown> {
  return removeTag(bed.push.engine, tagOf(parseReference(reference)), { publisher, message: "", labels: {} });
}

function namesOf({ entries }: ListedPage): string[] {
  return entries.map(({ name }) => name).filter((name) => !name.startsWith("."));
}

/** What comes after a page, with the page's own names. */
async function listOn(handle: Buffer, first: ListedPage): Promise<string[]> {
  const names = namesOf(first);
  for (let page = first; !page.isEnd;) {
    const cookie = page.entries.at(-1)?.cookie ?? 0n;
    page = await client.page(handle, { cookie, verifier: page.verifier }, PAGE_BYTES);
    names.push(...namesOf(page));
  }
  return names;
}

/** READDIR from a cookie on: names and whether it is the end. */
async function plainPage(
  handle: Buffer,
  cookie: bigint,
  verifier: Buffer,
): Promise<[string[], bigint, boolean]> {
  const args = new XdrWriter().opaque(handle).uint64(cookie).fixed(verifier).uint32(PAGE_BYTES);
  const results = await client.nfs(PROCEDURES.readdir, args);
  if (results.uint32() === 1) results.fixed(84);
  results.fixed(8);
  const names: string[] = [];
  let last = cookie;
  while (results.uint32() === 1) {
    results.uint64();
    names.push(results.string(255) ?? "");
    last = results.uint64();
  }
  return [names, last, results.uint32() === 1];
}

describe("a list of tags", () => {
  it("of which some are deleted and moved meanwhile, shows all others once each, by READDIRPLUS and READDIR", async () => {
    const tags = Array.from({ length: 40 }, (_, index) => `t${index}`);
    await bed.publish(...tags.map((tag) => `listed:${tag}`));
    const handle = await client.mount("/listed");
    const first = await client.page(handle, FROM_START, PAGE_BYTES);
    const gone = namesOf(first).slice(0, 3).concat("t39", "t7", "t21");
    for (const tag of new Set(gone)) await remove(`listed:${tag}`);
    await bed.publish("listed:t1", "listed:t2");
    const seen = await listOn(handle, first);
    assert.equal(new Set(seen).size, seen.length);
    const stayed = tags.filter((tag) => !gone.includes(tag));
    assert.deepEqual(seen.filter((tag) => stayed.includes(tag)).sort(), stayed.sort());
    const again: string[] = [];
    let [cookie, isEnd] = [0n, false];
    while (!isEnd) {
      let names: string[];
      [names, cookie, isEnd] = await plainPage(handle, cookie, Buffer.alloc(8));
      again.push(...names);
    }
    assert.deepEqual(again.filter((tag) => stayed.includes(tag)).sort(), stayed.sort());
    assert.equal(new Set(again).size, again.length);
  });
});

describe("a list of a version's folder", () => {
  it("goes on when the tag is deleted by which it was found, and the tag's own is stale then", async () => {
    await bed.publish("taken:latest", "taken:kept");
    const tag = await client.mount("/taken/latest");
    const many = await client.lookup(tag, "many");
    const first = await client.page(many, FROM_START, PAGE_BYTES);
    await remove("taken:latest");
    assert.equal(new Set(await listOn(many, first)).size, FILES);
    // Where a tag stands is remembered for a moment.
    const isThere = (): Promise<boolean> =>
      client.page(tag, FROM_START, PAGE_BYTES).then(
        () => true,
        (error: unknown) => {
          assert.match(String(error), /NFS 70$/);
          return false;
        },
      );
    while (await isThere()) await new Promise((resolve) => setTimeout(resolve, 50));
    await assert.rejects(client.lookup(await client.mount("/taken"), "latest"), /NFS 2$/);
  });

  it("is stale when the dataset is deleted, for who asks where nobody looked lately", async () => {
    await bed.publish("dropped:latest");
    const many = await client.mount("/dropped/latest/many");
    const { entries, verifier } = await client.page(many, FROM_START, PAGE_BYTES);
    await deleteDataset(bed.push.engine, parseDatasetName("dropped"), { publisher });
    const other = await bed.connect(await bed.listen());
    const rest = { cookie: entries.at(-1)?.cookie ?? 0n, verifier };
    await assert.rejects(other.page(many, rest, PAGE_BYTES), /NFS 70$/);
    await assert.rejects(client.mount("/dropped/latest"), /NFS (2|70)$/);
  });
});
