/** One suite for both clients: a hub and a store behave alike. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { collect, gather, noise } from "../dataset/testing/engine.ts";
import { comparable, readFolder } from "../dataset/testing/folder.ts";
import { listFolder } from "../dataset/version/entries.ts";
import { parseChunking } from "../format/chunking.ts";
import { parseDatasetName, parseReference, parseTag } from "../format/reference.ts";
import type { Client } from "./client.ts";
import { withHubBed, type HubBed } from "./testing/hub-bed.ts";

const NAME = parseDatasetName("@acme/x");
const [FIRST, LATEST] = [parseTag("first"), parseTag("latest")];
const SAYS = { publisher: "tester", message: "why", labels: { team: "a" } };

const FILES = {
  "a.txt": "one\n",
  empty: "",
  "sub/noise.bin": noise(1, 3_000_000),
  "sub/deep/text.txt": "words and words and words\n".repeat(20_000),
};

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** The next item, of which there must be one. */
async function nextOf<T>(items: AsyncIterator<T>): Promise<T> {
  const next = await items.next();
  assert.ok(next.done !== true);
  return next.value;
}

/** Two versions: `first`, and `latest`, which has a file more and one that changed in the middle. */
async function pushTwo(bed: HubBed, client: Client) {
  const source = bed.write("source", FILES);
  const one = await client.push({ source, tags: [{ name: NAME, tag: FIRST }], ...SAYS });
  const changed = noise(1, 3_000_000);
  changed.fill(7, 1_000_000, 1_000_100);
  bed.write("source", { "sub/noise.bin": changed, "new.txt": "more\n" });
  const two = await client.push({ source, tags: [{ name: NAME, tag: LATEST }], publisher: "tester" });
  return { source, one, two };
}

const KINDS: readonly (readonly [string, (bed: HubBed) => Client | Promise<Client>])[] = [
  ["a hub", (bed) => bed.client()],
  ["a store", (bed) => bed.local()],
];

for (const [kind, open] of KINDS) {
  const onBoth = (title: string, work: (client: Client, bed: HubBed) => Promise<void>): void => {
    it(title, () => withHubBed(async (bed) => work(await open(bed), bed)));
  };

  describe(`a client of ${kind}`, () => {
    onBoth("pushes what is new only, and pulls it as it was", async (client, bed) => {
      const { source, one, two } = await pushTwo(bed, client);
      assert.deepEqual([one.files, one.moved], [4, [true]]);
      assert.ok(one.newBytes > 3_000_000 && one.newBytes <= one.bytes, `${one.newBytes}`);
      assert.ok(two.newBytes < 600_000 && two.sentBytes < 600_000, `${two.newBytes}, ${two.sentBytes}`);
      const { version } = await client.resolve(parseReference("@acme/x"));
      assert.equal(version, two.digest);
      const target = bed.path("target");
      const pulled = await client.pull({ name: NAME, version: one.digest, target });
      assert.deepEqual([pulled.files, pulled.bytes], [4, one.bytes]);
      const updated = await client.pull({ name: NAME, version, target, delete: true, verify: true });
      assert.ok(updated.fetchedBytes < 600_000, `${updated.fetchedBytes}`);
      assert.deepEqual(comparable(readFolder(target)), comparable(readFolder(source)));
      const again = await client.push({ source, tags: [{ name: NAME, tag: LATEST }], publisher: "tester" });
      assert.deepEqual([again.digest, again.newBytes, again.moved], [two.digest, 0, [false]]);
    });

    onBoth(
      "changes a dataset's settings, reviews them, and deletes it and brings it back",
      async (client, bed) => {
        const { one, two } = await pushTwo(bed, client);
        await client.push({
          source: bed.path("source"),
          tags: [{ name: NAME, tag: FIRST }],
          publisher: "tester",
        });
        const before = await client.dataset(NAME);
        assert.deepEqual(
          [
            before.name,
            before.domain,
            before.chunking,
            before.immutableTags,
            before.retention,
            before.deleted,
          ],
          [NAME, "@acme", null, [], null, null],
        );
        const rules = { keepLast: 1, keepWithinSeconds: 3600, keepTags: ["v*"] };
        const chunking = parseChunking("fixed:8192");
        const set = await client.updateDataset(NAME, { ...rules, chunking, immutableTags: ["v*"] });
        assert.deepEqual(set, { ...before, chunking, immutableTags: ["v*"], retention: rules });
        const none = { chunking: null, immutableTags: [], keepWithinSeconds: null, keepTags: [] };
        const last = { keepLast: 1, keepWithinSeconds: null, keepTags: [] };
        const unset = { ...before, retention: last };
        assert.deepEqual(await client.updateDataset(NAME, none), unset);
        const review = await client.reviewRetention(NAME);
        assert.deepEqual([review.dataset, review.tags, review.kept, review.released], [unset, 2, 1, 1]);
        assert.deepEqual(
          review.versions.map(({ version, tag, number, files }) => [version, tag, number, files]),
          [[one.digest, FIRST, 1, 4]],
        );
        assert.equal((await client.reviewRetention(NAME, { keepLast: 2 })).released, 0);
        assert.deepEqual(await client.dataset(NAME), unset);
        for (const keepLast of [0, 0.5]) {
          await assert.rejects(client.updateDataset(NAME, { keepLast }), { code: "ARGUMENT_INVALID" });
        }
        const { record, changed } = await client.deleteDataset(NAME, "tester");
        assert.deepEqual(
          [record.deleted?.publisher, record.deleted?.state, changed],
          ["tester", "deleted", true],
        );
        assert.equal((await client.deleteDataset(NAME, "other")).changed, false);
        assert.deepEqual(await all(client.listDatasets()), []);
        await assert.rejects(client.resolve(parseReference("@acme/x")), { code: "DATASET_NOT_FOUND" });
        assert.deepEqual(await client.undeleteDataset(NAME), { record: unset, changed: true });
        assert.equal((await client.resolve(parseReference("@acme/x"))).version, two.digest);
      },
    );

    onBoth("pushes hundreds of files whose chunks are looked for at the same time", async (client, bed) => {
      const files = Array.from({ length: 600 }, (_, index) => [`file-${index}`, noise(index, 5000)] as const);
      const source = bed.write("many", Object.fromEntries(files));
      const push = { source, tags: [{ name: NAME, tag: FIRST }], publisher: "tester" };
      const first = await client.push({ ...push, chunking: parseChunking("cdc:4096") });
      assert.equal(first.newBytes, 600 * 5000);
      for (const [path, bytes] of files) bed.write("many", { [path]: bytes.fill(1, 100, 200) });
      const second = await client.push(push);
      assert.ok(second.sentBytes < 600 * 400 + 100_000, `${second.sentBytes} bytes were sent`);
    });

    onBoth("asked what a push would do, says it and stores nothing", async (client, bed) => {
      const { source } = await pushTwo(bed, client);
      bed.write("source", { "third.bin": noise(3, 500_000) });
      const push = { source, tags: [{ name: NAME, tag: parseTag("third") }], publisher: "tester" };
      const would = await client.push({ ...push, dryRun: true });
      assert.equal((await all(client.listTags(NAME))).length, 2);
      const did = await client.push(push);
      assert.deepEqual([would.digest, would.newBytes], [did.digest, did.newBytes]);
      assert.ok(Math.abs(would.sentBytes - did.sentBytes) < 10_000, `${would.sentBytes}, ${did.sentBytes}`);
      assert.deepEqual([would.moved, did.moved], [[false], [true]]);
    });

    onBoth("lists datasets, tags and histories", async (client, bed) => {
      const { one } = await pushTwo(bed, client);
      assert.deepEqual(await all(client.listDatasets()), [NAME]);
      const tags = await all(client.listTags(NAME));
      assert.deepEqual(
        tags.map(({ tag }) => tag),
        [FIRST, LATEST],
      );
      const [entry] = await all(client.history(NAME, FIRST));
      assert.ok(entry !== undefined);
      const { number, state, digest, previous, publisher, message, labels, files, bytes } = entry;
      assert.deepEqual(
        { number, state, digest, previous, publisher, message, labels: { ...labels }, files, bytes },
        {
          ...{ number: 1, state: "announced", digest: one.digest, previous: null, ...SAYS },
          ...{ files: 4, bytes: one.bytes },
        },
      );
    });

    onBoth("reads versions: entries, bytes, differences, all of it", async (client, bed) => {
      const { one, two } = await pushTwo(bed, client);
      const version = await client.openVersion(NAME, one.digest);
      const placed = await gather(listFolder(version, "sub"));
      assert.deepEqual(
        placed.map(({ entry }) => entry.path),
        ["sub/deep", "sub/noise.bin"],
      );
      const range = { start: 999_990, end: 1_000_010 };
      const bytes = await collect(client.cat(version, "sub/noise.bin", range));
      assert.deepEqual(bytes, Buffer.from(noise(1, 3_000_000).subarray(range.start, range.end)));
      const [from, to] = [one, two].map(({ digest }) => ({ name: NAME, version: digest }));
      assert.ok(from !== undefined && to !== undefined);
      const { added, changed, removed, updateBytes } = await client.diff(from, to);
      assert.deepEqual([added, changed, removed], [["new.txt"], ["sub/noise.bin"], []]);
      assert.ok(updateBytes < 600_000);
      const verified = await client.verify(NAME, two.digest);
      assert.deepEqual([verified.files, verified.bytes], [5, two.bytes]);
      await assert.rejects(collect(client.cat(version, "nowhere")), { code: "PATH_NOT_FOUND" });
    });

    onBoth("compares versions of two datasets that share nothing", async (client, bed) => {
      const { one } = await pushTwo(bed, client);
      const other = parseDatasetName("@other/y");
      const source = bed.write("other", { "a.txt": "one\n" });
      const { digest } = await client.push({ source, tags: [{ name: other, tag: LATEST }], publisher: "" });
      const result = await client.diff({ name: NAME, version: one.digest }, { name: other, version: digest });
      assert.deepEqual([result.added, result.changed, result.removed.length], [[], [], 5]);
    });

    onBoth("moves tags, each move once and told in order", async (client, bed) => {
      const { one, two } = await pushTwo(bed, client);
      const stable = { name: NAME, tag: parseTag("stable") };
      const source = parseReference("@acme/x:first");
      assert.deepEqual((await client.tag(stable, source, SAYS)).record.digest, one.digest);
      assert.equal((await client.tag(stable, source, SAYS)).moved, false);
      const byDigest = { ...source, tag: undefined, digest: two.digest };
      assert.equal((await client.tag(stable, byDigest, SAYS)).record.number, 2);
      assert.equal((await client.rollback(stable, {}, SAYS)).record.digest, one.digest);
      assert.equal((await client.rollback(stable, { number: 2 }, SAYS)).record.digest, two.digest);
      assert.equal((await client.removeTag(stable, SAYS)).record.state, "deleted");
      assert.equal((await client.rollback(stable, { digest: one.digest }, SAYS)).record.number, 6);
      const events = await all(client.watch(NAME, { sequence: 1, untilNow: true }));
      assert.deepEqual(
        events.map(({ sequence, tag, number }) => [sequence, tag, number]),
        [
          [1, "first", 1],
          [2, "latest", 1],
          ...[1, 2, 3, 4, 5, 6].map((number) => [number + 2, "stable", number]),
        ],
      );
    });

    onBoth("follows a dataset: each event comes while it is followed", async (client, bed) => {
      const { source } = await pushTwo(bed, client);
      const ended = new AbortController();
      const events = client.watch(NAME, { tag: LATEST, sequence: 1, signal: ended.signal });
      const iterator = events[Symbol.asyncIterator]();
      assert.equal((await nextOf(iterator)).number, 1);
      const next = nextOf(iterator);
      bed.write("source", { "later.txt": "later\n" });
      await client.push({ source, tags: [{ name: NAME, tag: LATEST }], publisher: "" });
      assert.equal((await next).number, 2);
      const last = iterator.next();
      ended.abort(new Error("enough"));
      await assert.rejects(last, /enough/);
    });

    onBoth("asked for what is not there, says so by the same codes", async (client, bed) => {
      const refusal = (reference: string) => client.resolve(parseReference(reference));
      await assert.rejects(refusal("none"), { code: "DATASET_NOT_FOUND" });
      await assert.rejects(all(client.listTags(NAME)), { code: "DATASET_NOT_FOUND" });
      await assert.rejects(client.push({ source: bed.path("none"), tags: [], publisher: "" }), {
        code: "ARGUMENT_INVALID",
      });
      const missing = { source: bed.path("none"), tags: [{ name: NAME, tag: FIRST }], publisher: "" };
      await assert.rejects(client.push(missing), { code: "SOURCE_NOT_FOUND" });
      await pushTwo(bed, client);
      await assert.rejects(refusal("@acme/x:firs"), {
        code: "TAG_NOT_FOUND",
        message: /did you mean first/,
      });
      const digest = parseReference(`@acme/x@sha256:${"0".repeat(64)}`).digest;
      assert.ok(digest !== undefined);
      await assert.rejects(client.openVersion(NAME, digest), { code: "VERSION_NOT_FOUND" });
      await assert.rejects(client.rollback({ name: NAME, tag: FIRST }, {}, SAYS), {
        code: "VERSION_NOT_FOUND",
      });
      const options = { signal: AbortSignal.abort(new Error("stop")) };
      await assert.rejects(client.resolve(parseReference("@acme/x"), options), /stop/);
    });
  });
}
