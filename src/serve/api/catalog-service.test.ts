import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Client } from "@connectrpc/connect";
import type { Access } from "../../auth/access.ts";
import { AetherError } from "../../base/errors.ts";
import { commitTag } from "../../dataset/tags.ts";
import { parseDatasetName, parseTag } from "../../format/reference.ts";
import { formatDigest } from "../../format/digest.ts";
import { CatalogAPI } from "../../gen/aetherfs/hub/v1/catalog_pb.ts";
import { catalogService } from "./catalog-service.ts";
import { clientOf, failsWith, openApiBed, type ApiBed } from "./testing/api-bed.ts";

/** Names of datasets that start with "secret" are nobody's to see. */
const KEEPING_SECRETS: Access = {
  identify: async (headers) => ({ name: String(headers["x-user"] ?? "anonymous") }),
  check: async (_identity, action, dataset) => {
    if (!dataset.startsWith("secret")) return;
    throw new AetherError("ACCESS_DENIED", `you may not ${action} ${dataset}`);
  },
};

const AUTHOR = { publisher: "ann", message: "because", labels: { a: "b" } };

describe("CatalogAPI", () => {
  let bed: ApiBed;
  let client: Client<typeof CatalogAPI>;
  const versions: string[] = [];

  before(async () => {
    bed = await openApiBed(KEEPING_SECRETS);
    client = clientOf(CatalogAPI, catalogService(bed.services), { "x-user": "bob" });
    for (let version = 0; version < 3; version++) {
      for (let file = 0; file < 30; file++) bed.push.write(`a/${file}/x`, `${file}`);
      bed.push.write("a.txt", `version ${version}`);
      bed.push.write("b/c/d.txt", "d");
      versions.push(formatDigest((await bed.push.push()).digest));
    }
  });
  after(() => bed.close());

  /** All pages of a list. */
  async function pages<T>(list: (token: string) => Promise<readonly [T[], string]>): Promise<T[][]> {
    const all: T[][] = [];
    for (let token = ""; ;) {
      const [items, next] = await list(token);
      all.push(items);
      if (next === "") return all;
      token = next;
    }
  }

  const names = (pageSize: number) => (pageToken: string) =>
    client.listDatasets({ pageToken, pageSize }).then((page) => [page.names, page.nextPageToken] as const);

  async function tagAs(name: string, tag: string): Promise<void> {
    const from = { digest: versions[0] ?? "", fromName: "test" };
    await client.setTag({ name, tag, ...from, annotations: AUTHOR });
  }

  it("datasets, listed in pages, come once each, without those that the caller may not know of", async () => {
    for (const name of ["a-b", "a", "zoo", "m", "k"]) await tagAs(name, "latest");
    const { digest, files, bytes } = await bed.push.push();
    const change = { state: "announced", digest, files, bytes, writeId: "0".repeat(32), ...AUTHOR } as const;
    await commitTag(bed.push.engine, parseDatasetName("secret"), parseTag("latest"), change);
    assert.deepEqual(await pages(names(2)), [
      ["a-b", "a"],
      ["k", "m"],
      ["test", "zoo"],
    ]);
    assert.deepEqual(await pages(names(0)), [["a-b", "a", "k", "m", "test", "zoo"]]);
    await failsWith(client.listTags({ name: "secret" }), "ACCESS_DENIED");
  });

  it("a list that changes between its pages, neither repeats nor skips what was there all the time", async () => {
    const first = await client.listDatasets({ pageSize: 3 });
    await tagAs("b", "latest");
    await tagAs("n", "latest");
    const rest = await client.listDatasets({ pageToken: first.nextPageToken });
    assert.deepEqual(first.names, ["a-b", "a", "k"]);
    assert.deepEqual(rest.names, ["m", "n", "test", "zoo"]);
  });

  it("a page token that is none, or of another list, is ARGUMENT_INVALID", async () => {
    const { nextPageToken } = await client.listDatasets({ pageSize: 1 });
    for (const pageToken of ["x", nextPageToken, "A".repeat(10_000)]) {
      await failsWith(client.listTags({ name: "test", pageToken }), "ARGUMENT_INVALID");
    }
    await failsWith(client.listDatasets({ pageSize: -1 }), "ARGUMENT_INVALID");
  });

  it("tags, listed in pages, come with what made them point there; removed ones do not", async () => {
    for (const tag of ["v1", "v2", "v3"]) await tagAs("test", tag);
    await client.deleteTag({ name: "test", tag: "v2" });
    const list = (pageToken: string) =>
      client
        .listTags({ name: "test", pageSize: 2, pageToken })
        .then(
          (page) => [page.tags.map(({ tag, entry }) => [tag, entry?.digest]), page.nextPageToken] as const,
        );
    const [one, , three] = versions;
    assert.deepEqual(await pages(list), [
      [
        ["latest", three],
        ["v1", one],
      ],
      [["v3", one]],
    ]);
  });

  it("a tag's history, in pages, is newest first, and has what was said", async () => {
    const list = (pageToken: string) =>
      client
        .listHistory({ name: "test", tag: "latest", pageSize: 2, pageToken })
        .then((page) => [page.entries.map(({ digest }) => digest), page.nextPageToken] as const);
    const [one, two, three] = versions;
    assert.deepEqual(await pages(list), [[three, two], [one]]);
    const { entries } = await client.listHistory({ name: "test", tag: "v1" });
    const [said] = entries;
    assert.deepEqual(
      [said?.publisher, said?.message, said?.labels, said?.number],
      ["ann", "because", { a: "b" }, 1n],
    );
    assert.equal(said?.files, 32n);
    await failsWith(client.listHistory({ name: "test", tag: "none" }), "TAG_NOT_FOUND");
  });

  it("a reference, resolved by tag, by digest and by nothing, gives the version", async () => {
    const [one = "", , three] = versions;
    const byNothing = await client.resolve({ name: "test" });
    assert.deepEqual([byNothing.digest, byNothing.tag, byNothing.entry?.digest], [three, "latest", three]);
    const byDigest = await client.resolve({ name: "test", digest: one });
    assert.deepEqual([byDigest.digest, byDigest.tag, byDigest.entry], [one, "", undefined]);
    await failsWith(client.resolve({ name: "none" }), "DATASET_NOT_FOUND");
    await failsWith(client.resolve({ name: "test", tag: "none" }), "TAG_NOT_FOUND");
    await failsWith(
      client.resolve({ name: "test", digest: `sha256:${"0".repeat(64)}` }),
      "VERSION_NOT_FOUND",
    );
    await failsWith(client.resolve({ name: "test", digest: "0" }), "REFERENCE_INVALID");
    await failsWith(client.resolve({ name: "../x" }), "REFERENCE_INVALID");
  });

  it("a version of another dataset, asked for by its digest, is not there", async () => {
    const [, two = ""] = versions;
    await tagAs("other", "latest");
    await failsWith(client.resolve({ name: "other", digest: two }), "VERSION_NOT_FOUND");
    await failsWith(client.listEntries({ name: "other", digest: two }), "VERSION_NOT_FOUND");
    await failsWith(client.diff({ name: "other", from: two, to: two }), "VERSION_NOT_FOUND");
    await failsWith(
      client.setTag({ name: "k", tag: "t", fromName: "other", digest: two }),
      "VERSION_NOT_FOUND",
    );
    await failsWith(
      client.setTag({ name: "k", tag: "t", fromName: "secret", fromTag: "latest" }),
      "ACCESS_DENIED",
    );
  });

  it("entries, in pages of any size, are those of the folder, or all below it", async () => {
    const digest = versions[2] ?? "";
    const list = (path: string, recursive: boolean, pageSize: number) => (pageToken: string) =>
      client
        .listEntries({ name: "test", digest, path, recursive, pageSize, pageToken })
        .then((page) => [page.entries.map((entry) => entry.path), page.nextPageToken] as const);
    const top = (await pages(list("", false, 1))).flat();
    assert.deepEqual(top, ["a", "a.txt", "b"]);
    assert.deepEqual((await pages(list("b", true, 1))).flat(), ["b/c", "b/c/d.txt"]);
    assert.deepEqual((await pages(list("b", false, 7))).flat(), ["b/c"]);
    const whole = (await pages(list("", true, 0))).flat();
    assert.equal(whole.length, 2 * 30 + 1 + 1 + 3);
    for (const size of [1, 7, 64, 65]) assert.deepEqual((await pages(list("", true, size))).flat(), whole);
    assert.equal((await pages(list("a", true, 7))).flat().length, 60);
    await failsWith(client.listEntries({ name: "test", digest, path: "none" }), "PATH_NOT_FOUND");
    await failsWith(
      client.listEntries({ name: "test", digest, path: "a.txt", recursive: true }),
      "PATH_NOT_FOUND",
    );
  });

  it("an entry, listed, has its kind, size, digest and time", async () => {
    const { entries } = await client.listEntries({ name: "test", digest: versions[2] ?? "", path: "b/c" });
    const [entry] = entries;
    assert.deepEqual([entry?.path, entry?.kind, entry?.size], ["b/c/d.txt", "file", 1n]);
    assert.match(entry?.digest ?? "", /^sha256:18ac3e73/);
    assert.ok((entry?.mtimeSeconds ?? 0n) > 1_600_000_000n);
  });

  it("two versions, compared by tag or digest, differ in what changed", async () => {
    const byTag = await client.diff({ name: "test", from: "v1", to: "latest" });
    assert.deepEqual([byTag.added, byTag.removed, byTag.changed], [[], [], ["a.txt"]]);
    assert.ok(byTag.updateBytes > 0n);
    const byDigest = await client.diff({ name: "test", from: versions[0] ?? "", to: versions[2] ?? "" });
    assert.deepEqual(byDigest, byTag);
  });

  it("a tag change without a publisher, names the caller; one that changes nothing moves nothing", async () => {
    const [one = "", two = ""] = versions;
    const set = await client.setTag({ name: "test", tag: "said", digest: two });
    assert.deepEqual([set.moved, set.entry?.publisher, set.entry?.digest], [true, "bob", two]);
    assert.equal((await client.setTag({ name: "test", tag: "said", digest: two })).moved, false);
    await client.setTag({ name: "test", tag: "said", digest: one });
    const back = await client.rollback({ name: "test", tag: "said" });
    assert.deepEqual([back.entry?.digest, back.entry?.previous], [two, one]);
    assert.equal((await client.rollback({ name: "test", tag: "said", number: 2n })).entry?.digest, one);
    assert.equal((await client.rollback({ name: "test", tag: "said", digest: two })).entry?.digest, two);
    await failsWith(client.setTag({ name: "test", tag: "said" }), "ARGUMENT_INVALID");
    await failsWith(client.setTag({ name: "secret", tag: "said", digest: one }), "ACCESS_DENIED");
  });

  it("a change that is asked for again, its answer lost and the tag moved on since, is not made twice", async () => {
    const [one = "", two = ""] = versions;
    const target = { name: "test", tag: "retried" };
    const said = (digit: string) => ({ annotations: { writeId: digit.repeat(32) } });
    const calls = [
      () => client.setTag({ ...target, digest: one, ...said("1") }),
      () => client.setTag({ ...target, digest: two, ...said("2") }),
      () => client.rollback({ ...target, ...said("3") }),
      () => client.deleteTag({ ...target, ...said("4") }),
      () => client.rollback({ ...target, ...said("5") }),
    ];
    const answers = [];
    for (const call of calls) answers.push(await call());
    assert.deepEqual(
      answers.map(({ entry }) => entry?.number),
      [1n, 2n, 3n, 4n, 5n],
    );
    for (const [index, call] of calls.entries()) assert.deepEqual(await call(), answers[index]);
    const { entries } = await client.listHistory(target);
    assert.equal(entries.length, 5);
    const wrong = client.setTag({ ...target, digest: one, annotations: { writeId: "zz" } });
    await failsWith(wrong, "ARGUMENT_INVALID");
  });

  it("events, watched from one on and resumed, come all, in order; a hub that stops ends the call", async () => {
    const seen: bigint[] = [];
    for await (const event of client.watchEvents({ name: "test", sequence: 1n, untilNow: true })) {
      seen.push(event.sequence);
    }
    assert.deepEqual(
      seen,
      seen.map((_sequence, index) => BigInt(index + 1)),
    );
    const watching = async (): Promise<void> => {
      for await (const { sequence, tag } of client.watchEvents({
        name: "test",
        sequence: BigInt(seen.length) + 1n,
      })) {
        seen.push(sequence);
        assert.equal(tag, "woken");
        bed.stop();
      }
    };
    const watched = failsWith(watching(), "HUB_UNAVAILABLE");
    await client.setTag({ name: "test", tag: "woken", digest: versions[0] ?? "" });
    await watched;
    assert.equal(seen.at(-1), BigInt(seen.length));
    const none = client.watchEvents({ name: "secret" })[Symbol.asyncIterator]().next();
    await failsWith(none, "ACCESS_DENIED");
  });
});
