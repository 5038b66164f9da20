/** Lists as clients read them: by AWS's SDK, and by what the tests of S3 servers (ceph/s3-tests) expect of reading. */
import assert from "node:assert/strict";
import fs from "node:fs";
import { after, before, describe, it } from "node:test";
import {
  ListBucketsCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  paginateListObjectsV2,
  type S3Client,
} from "@aws-sdk/client-s3";
import { ask, openS3Bed, textsOf, type S3Bed } from "./testing/s3-bed.ts";

let s3: S3Bed;
let url: string;
let client: S3Client;

/** A dataset with these files and no others. */
async function pushFiles(tag: string, files: readonly string[]): Promise<void> {
  const { bed, push } = s3;
  fs.rmSync(bed.source, { recursive: true });
  fs.mkdirSync(bed.source);
  for (const file of files) bed.write(file, file);
  await push(tag);
}

before(async () => {
  s3 = await openS3Bed();
  await pushFiles("tree:t", ["asdf", "boo/bar", "boo/baz/xyzzy", "cquux/thud", "cquux/bla"]);
  await pushFiles("flat:t", ["bar", "baz", "foo", "quxx"]);
  await pushFiles("odd:t", ["asdf+b", "foo+1/bar", "foo/bar/xyzzy", "quux ab/thud", "b%ar", "<&>\"'\u0001"]);
  await pushFiles("@team/set:t", ["x"]);
  url = await s3.open();
  client = s3.client(url, { isSigned: false });
});
after(() => s3.close());

interface Shown {
  readonly keys: readonly (string | undefined)[];
  readonly prefixes: readonly (string | undefined)[];
  readonly isTruncated: boolean | undefined;
  readonly next: string | undefined;
}

async function listV1(
  Prefix: string,
  Marker: string,
  MaxKeys: number,
  Delimiter: string | undefined = "/",
): Promise<Shown> {
  const input = { Bucket: "tree--t", Prefix, Marker, MaxKeys, Delimiter };
  const { Contents = [], CommonPrefixes = [], ...more } = await client.send(new ListObjectsCommand(input));
  return {
    keys: Contents.map(({ Key }) => Key),
    prefixes: CommonPrefixes.map((each) => each.Prefix),
    isTruncated: more.IsTruncated,
    next: more.NextMarker,
  };
}

describe("ListObjects", () => {
  it("by delimiter and in pages, counts common prefixes as keys, and says where the next page begins", async () => {
    const more = { isTruncated: true };
    const last = { isTruncated: false, next: undefined };
    for (const [prefix, marker, max, expected] of [
      ["", "", 1, { keys: ["asdf"], prefixes: [], ...more, next: "asdf" }],
      ["", "asdf", 1, { keys: [], prefixes: ["boo/"], ...more, next: "boo/" }],
      ["", "boo/", 1, { keys: [], prefixes: ["cquux/"], ...last }],
      ["", "", 2, { keys: ["asdf"], prefixes: ["boo/"], ...more, next: "boo/" }],
      ["", "boo/", 2, { keys: [], prefixes: ["cquux/"], ...last }],
      ["boo/", "", 1, { keys: ["boo/bar"], prefixes: [], ...more, next: "boo/bar" }],
      ["boo/", "boo/bar", 1, { keys: [], prefixes: ["boo/baz/"], ...last }],
      ["boo/", "", 2, { keys: ["boo/bar"], prefixes: ["boo/baz/"], ...last }],
    ] as const) {
      assert.deepEqual(await listV1(prefix, marker, max), expected, `${prefix} ${marker} ${max}`);
    }
  });

  it("without a delimiter, in pages, says no next marker: the last key is it", async () => {
    const { isTruncated, next } = await listV1("", "", 2, "");
    assert.deepEqual([isTruncated, next], [true, undefined]);
  });

  it("of keys without limit, marker or delimiter, says those that hold", async () => {
    const answer = await client.send(new ListObjectsCommand({ Bucket: "flat--t" }));
    assert.deepEqual([answer.MaxKeys, answer.Marker, answer.Delimiter], [1000, "", undefined]);
    assert.deepEqual(
      answer.Contents?.map(({ Key, Size, StorageClass, Owner }) => [Key, Size, StorageClass, Owner?.ID]),
      ["bar", "baz", "foo", "quxx"].map((key) => [key, key.length, "STANDARD", "aetherfs"]),
    );
    const empty = await client.send(new ListObjectsCommand({ Bucket: "flat--t", Delimiter: "" }));
    assert.equal(empty.Delimiter, undefined);
  });

  it("after a marker that is no key, or that nothing follows, has what comes after", async () => {
    for (const [marker, keys] of [
      ["blah", ["foo", "quxx"]],
      ["zzz", []],
    ] as const) {
      const input = { Bucket: "flat--t", Marker: marker };
      const answer = await client.send(new ListObjectsCommand(input));
      assert.deepEqual(
        [answer.Marker, answer.IsTruncated, (answer.Contents ?? []).map(({ Key }) => Key)],
        [marker, false, keys],
      );
    }
    const raw = await ask(`${url}/flat--t?marker=%0A`);
    assert.deepEqual([textsOf(raw, "Marker"), textsOf(raw, "Key").length], [["&#xA;"], 4]);
  });
});

describe("ListObjectsV2", () => {
  it("in pages of any length, by the SDK's paginator, has every key once, in order", async () => {
    for (const pageSize of [1, 2, 3, 1000]) {
      const keys: (string | undefined)[] = [];
      const options = { client, pageSize };
      for await (const page of paginateListObjectsV2(options, { Bucket: "tree--t" })) {
        keys.push(...(page.Contents ?? []).map(({ Key }) => Key));
        assert.equal(page.KeyCount, page.Contents?.length ?? 0);
      }
      assert.deepEqual(keys, ["asdf", "boo/bar", "boo/baz/xyzzy", "cquux/bla", "cquux/thud"]);
    }
  });

  it("with an empty token goes by start-after; with both, by the token", async () => {
    const Bucket = "flat--t";
    const empty = await client.send(new ListObjectsV2Command({ Bucket, ContinuationToken: "" }));
    assert.deepEqual([empty.ContinuationToken, empty.KeyCount, empty.IsTruncated], ["", 4, false]);
    const first = await client.send(new ListObjectsV2Command({ Bucket, StartAfter: "bar", MaxKeys: 1 }));
    const token = first.NextContinuationToken;
    const input = { Bucket, StartAfter: "bar", ContinuationToken: token };
    const second = await client.send(new ListObjectsV2Command(input));
    assert.deepEqual([second.ContinuationToken, second.StartAfter], [token, "bar"]);
    assert.deepEqual(
      second.Contents?.map(({ Key }) => Key),
      ["foo", "quxx"],
    );
  });

  it("names owners only when it is asked to", async () => {
    for (const [FetchOwner, id] of [
      [true, "aetherfs"],
      [false, undefined],
      [undefined, undefined],
    ] as const) {
      const answer = await client.send(new ListObjectsV2Command({ Bucket: "flat--t", FetchOwner }));
      assert.equal(answer.Contents?.[0]?.Owner?.ID, id);
    }
  });

  it("encoded for a URL, has every name so, and slashes as they are", async () => {
    const answer = await ask(`${url}/odd--t?list-type=2&encoding-type=url&delimiter=/&start-after=%3C~`);
    assert.deepEqual(textsOf(answer, "Key"), ["asdf%2Bb", "b%25ar"]);
    assert.deepEqual(textsOf(answer, "Prefix"), ["", "foo%2B1/", "foo/", "quux%20ab/"]);
    assert.deepEqual(textsOf(answer, "StartAfter"), ["%3C~"]);
    const odd = await ask(`${url}/odd--t?list-type=2&encoding-type=url&max-keys=1`);
    assert.deepEqual(textsOf(odd, "Key"), ["%3C%26%3E%22%27%01"]);
  });

  it("by any other delimiter, cuts keys at that", async () => {
    const input = { Bucket: "odd--t", Delimiter: "%", Prefix: "b" };
    const answer = await client.send(new ListObjectsV2Command(input));
    assert.deepEqual(
      [answer.Delimiter, answer.CommonPrefixes?.map(({ Prefix }) => Prefix), answer.Contents],
      ["%", ["b%"], undefined],
    );
  });

  it("of no keys, is whole and empty; of more than a thousand, has a thousand", async () => {
    const none = await client.send(new ListObjectsV2Command({ Bucket: "flat--t", MaxKeys: 0 }));
    assert.deepEqual([none.KeyCount, none.MaxKeys, none.IsTruncated], [0, 0, false]);
    const many = await client.send(new ListObjectsV2Command({ Bucket: "flat--t", MaxKeys: 5000 }));
    assert.equal(many.MaxKeys, 1000);
  });

  it("with a number, token or encoding that is none, is refused with InvalidArgument", async () => {
    for (const query of ["max-keys=blah", "max-keys=-1", "continuation-token=x", "encoding-type=xml"]) {
      const answer = await ask(`${url}/flat--t?list-type=2&${query}`);
      assert.deepEqual([answer.status, textsOf(answer, "Code")], [400, ["InvalidArgument"]], query);
    }
  });

  it("of a bucket that is not there, is refused with NoSuchBucket", async () => {
    for (const bucket of ["none", "flat--none", "none--t", "flat--t--t"]) {
      const sent = client.send(new ListObjectsV2Command({ Bucket: bucket }));
      await assert.rejects(sent, { name: "NoSuchBucket", BucketName: bucket });
    }
  });
});

describe("ListObjectVersions", () => {
  it("has one version of each key, without a name", async () => {
    const input = { Bucket: "flat--t", MaxKeys: 2, KeyMarker: "bar" };
    const answer = await client.send(new ListObjectVersionsCommand(input));
    assert.deepEqual(
      answer.Versions?.map(({ Key, VersionId, IsLatest }) => [Key, VersionId, IsLatest]),
      [
        ["baz", "null", true],
        ["foo", "null", true],
      ],
    );
    assert.deepEqual([answer.IsTruncated, answer.NextKeyMarker], [true, "foo"]);
  });
});

describe("ListBuckets", () => {
  it("has every dataset, and when it was made; in pages, each once", async () => {
    const { Buckets = [] } = await client.send(new ListBucketsCommand());
    assert.deepEqual(
      Buckets.map(({ Name }) => Name),
      ["team--set", "flat", "odd", "tree"],
    );
    for (const { CreationDate } of Buckets) {
      assert.ok(CreationDate !== undefined && Math.abs(Date.now() - CreationDate.getTime()) < 3_600_000);
    }
    const first = await client.send(new ListBucketsCommand({ MaxBuckets: 3 }));
    assert.equal(first.Buckets?.length, 3);
    const input = { MaxBuckets: 3, ContinuationToken: first.ContinuationToken };
    const second = await client.send(new ListBucketsCommand(input));
    assert.deepEqual(
      [second.Buckets?.map(({ Name }) => Name), second.ContinuationToken],
      [["tree"], undefined],
    );
    const some = await client.send(new ListBucketsCommand({ Prefix: "t" }));
    assert.deepEqual(
      some.Buckets?.map(({ Name }) => Name),
      ["team--set", "tree"],
    );
  });
});

const FILES = Array.from({ length: 9 }, (_, index) => (index < 4 ? `a${index}` : `folder-${index}/x`));

describe("a list in several answers, while the tag moves", () => {
  async function allPages(bucket: string, prefix: string, moves: boolean): Promise<string[]> {
    const keys: string[] = [];
    let token: string | undefined;
    for (let page = 0; page === 0 || token !== undefined; page++) {
      const input = { Bucket: bucket, Prefix: prefix, MaxKeys: 2, ContinuationToken: token };
      const { Contents = [], NextContinuationToken } = await client.send(new ListObjectsV2Command(input));
      keys.push(...Contents.map(({ Key = "" }) => Key));
      token = NextContinuationToken;
      if (moves) await pushFiles("moving:t", [`new-${page}`, "zz"]);
    }
    return keys;
  }

  it("by continuation token, is of the version that it began with", async () => {
    for (const [bucket, prefix, base] of [
      ["moving--t", "", ""],
      ["moving", "", "t/"],
      ["moving--t", "folder", ""],
    ] as const) {
      await pushFiles("moving:t", FILES);
      const expected = FILES.map((path) => `${base}${path}`).filter((key) => key.startsWith(prefix));
      assert.deepEqual(await allPages(bucket, prefix, true), expected);
      const now = await client.send(new ListObjectsV2Command({ Bucket: bucket }));
      assert.ok(now.Contents?.[0]?.Key?.startsWith(`${base}new-`), "another list is of the tag's version");
    }
  });

  it("by a token that names another dataset's version, is of the tag's", async () => {
    await pushFiles("moving:t", FILES);
    const token = async (bucket: string): Promise<Buffer> => {
      const page = await client.send(new ListObjectsV2Command({ Bucket: bucket, MaxKeys: 1 }));
      return Buffer.from(page.NextContinuationToken?.slice(1) ?? "", "base64url");
    };
    const forged = Buffer.concat([(await token("flat--t")).subarray(0, 32), Buffer.from("a2")]);
    const input = { Bucket: "moving--t", ContinuationToken: `v${forged.toString("base64url")}` };
    const { Contents = [] } = await client.send(new ListObjectsV2Command(input));
    assert.deepEqual(
      Contents.map(({ Key }) => Key),
      FILES.slice(3),
    );
  });
});
