/** The S3 API of a hub, read by programs that are not ours. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { after, before, describe, it, type TestContext } from "node:test";
import { promisify } from "node:util";
import { requirePeer, type Peer } from "../peers.ts";
import { filesOf, KEY, startS3Hub, type S3Hub } from "./s3-hub.ts";

const run = promisify(execFile);
const TIMEOUT_MS = 120_000;

let hub: S3Hub;
let files: Record<string, string>;
before(async () => {
  hub = await startS3Hub();
  files = filesOf(hub.source);
  assert.ok(Object.keys(files).length > 10 && "link" in files);
});
after(() => hub.close());

interface Output {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program of another, which may fail. */
async function execute(program: string, ...words: string[]): Promise<Output> {
  const options = { env: hub.environment, timeout: TIMEOUT_MS, maxBuffer: 2 ** 26 };
  try {
    return { exit: 0, ...(await run(program, words, options)) };
  } catch (error) {
    const { code, stdout = "", stderr = "" } = error as { code?: unknown; stdout?: string; stderr?: string };
    return { exit: typeof code === "number" ? code : -1, stdout, stderr };
  }
}

async function succeed(program: string, ...words: string[]): Promise<string> {
  const { exit, stdout, stderr } = await execute(program, ...words);
  assert.equal(exit, 0, `${words.join(" ")}: ${stderr}${stdout}`);
  return stdout;
}

/** Has the test made at every place that answers S3. */
function atEachPlace(
  title: string,
  peer: Peer,
  test: (program: string, url: string, t: TestContext) => Promise<void>,
) {
  for (const [index, place] of ["a port of its own", "/s3"].entries()) {
    it(`${title}, at ${place}`, async (t) => {
      const program = requirePeer(t, peer);
      if (program !== undefined) await test(program, hub.urls[index] ?? "", t);
    });
  }
}

describe("aws-cli", () => {
  const aws = (url: string): readonly string[] => ["/usr/bin/aws", "--endpoint-url", url];

  atEachPlace("lists, syncs, and reads what was pushed", "aws-cli", async (python, url) => {
    const s3 = (...words: string[]): Promise<string> => succeed(python, ...aws(url), "s3", ...words);
    assert.deepEqual(
      (await s3("ls"))
        .trim()
        .split("\n")
        .map((line) => line.split(" ").at(-1)),
      ["team--set", "set"],
    );
    assert.match(await s3("ls", "s3://set/"), /^ +PRE v1\/\n +PRE v2\/\n$/);
    assert.match(await s3("ls", "--recursive", "s3://set--v1/"), / 0 empty-folder\/\n/);
    const into = hub.folder();
    await s3("sync", "--only-show-errors", "s3://team--set--v1/", into);
    assert.deepEqual(filesOf(into), files);
    assert.equal(await s3("sync", "s3://set/v1/", into), "", "a second time there is nothing to do");
    assert.equal(await s3("cp", "s3://set/v1/ünï/日本", "-"), "content of ünï/日本");
  });

  it("is told of what is not there, and refused what would change something", async (t) => {
    const python = requirePeer(t, "aws-cli");
    if (python === undefined) return;
    const file = path.join(hub.source, "big.bin");
    for (const [words, expected] of [
      [["s3api", "get-object", "--bucket", "set", "--key", "v1/none", "/dev/null"], /NoSuchKey/],
      [["s3", "cp", file, "s3://set/v1/new"], /AccessDenied.*for reading/],
      [["s3", "rm", "s3://set/v1/x-y"], /AccessDenied/],
      [["--no-sign-request", "s3", "ls"], /AccessDenied/],
    ] as const) {
      const { exit, stdout, stderr } = await execute(python, ...aws(hub.urls[1] ?? ""), ...words);
      assert.notEqual(exit, 0, words.join(" "));
      assert.match(stdout + stderr, expected, words.join(" "));
    }
  });
});

describe("boto3", () => {
  const SCRIPT = `
import sys, json, hashlib, boto3, botocore
from botocore.exceptions import ClientError
url = sys.argv[1]
c = boto3.client("s3", endpoint_url=url, config=botocore.config.Config(retries={"max_attempts": 1}))
out = {"files": {}, "prefixes": []}
for page in c.get_paginator("list_objects_v2").paginate(Bucket="set--v1", PaginationConfig={"PageSize": 3}):
    for o in page.get("Contents", []):
        if not o["Key"].endswith("/"):
            out["files"][o["Key"]] = hashlib.sha256(c.get_object(Bucket="set--v1", Key=o["Key"])["Body"].read()).hexdigest()
for page in c.get_paginator("list_objects").paginate(Bucket="set", Prefix="v1/", Delimiter="/", PaginationConfig={"PageSize": 2}):
    out["prefixes"] += [p["Prefix"] for p in page.get("CommonPrefixes", [])]
out["range"] = c.get_object(Bucket="set", Key="v1/x-y", Range="bytes=3-6")["Body"].read().decode()
c.download_file("set", "v1/big.bin", sys.argv[2])
h = c.head_object(Bucket="set", Key="v1/x-y", ChecksumMode="ENABLED")
out["head"] = [h["ContentLength"], h["ETag"], h["LastModified"].isoformat(), h["ChecksumSHA256"]]
out["codes"] = []
for call in [lambda: c.get_object(Bucket="set", Key="v1/none"), lambda: c.get_object(Bucket="none", Key="x"),
             lambda: c.get_object(Bucket="set", Key="v1/x-y", Range="bytes=99-"), lambda: c.get_object(Bucket="set", Key="v1/x-y", IfMatch="a"),
             lambda: c.get_object(Bucket="set", Key="v1/x-y", IfNoneMatch=h["ETag"]), lambda: c.head_bucket(Bucket="none"),
             lambda: c.put_object(Bucket="set", Key="v1/n", Body=b"x" * 100000), lambda: c.get_bucket_policy(Bucket="set")]:
    try: call(); out["codes"].append("none")
    except ClientError as e: out["codes"].append(e.response["Error"]["Code"])
out["location"] = c.get_bucket_location(Bucket="set")["LocationConstraint"]
out["attributes"] = c.get_object_attributes(Bucket="set", Key="v1/x-y", ObjectAttributes=["ObjectSize", "Checksum"])["Checksum"]
print(json.dumps(out))
`;

  atEachPlace(
    "pages, reads whole and in ranges, and knows every error",
    "python3-boto3",
    async (python, url) => {
      const big = path.join(hub.folder(), "big");
      const out = JSON.parse(await succeed(python, "-c", SCRIPT, url, big)) as Record<string, unknown>;
      assert.deepEqual(out["files"], files);
      assert.deepEqual(out["prefixes"], ["v1/empty-folder/", "v1/x/", "v1/ünï/"]);
      assert.equal(out["range"], "tent");
      assert.ok(fs.readFileSync(big).equals(fs.readFileSync(path.join(hub.source, "big.bin"))));
      const digest = files["x-y"] ?? "";
      const checksum = Buffer.from(digest, "hex").toString("base64");
      assert.deepEqual(out["head"], [14, `"${digest}-1"`, "2017-07-14T02:40:00+00:00", checksum]);
      const codes = ["NoSuchKey", "NoSuchBucket", "InvalidRange", "PreconditionFailed", "304", "404"];
      assert.deepEqual(out["codes"], [...codes, "AccessDenied", "NoSuchBucketPolicy"]);
      assert.equal(out["location"], null);
      assert.deepEqual(out["attributes"], { ChecksumSHA256: checksum });
    },
  );
});

describe("rclone", () => {
  atEachPlace("lists, copies, and finds no difference", "rclone", async (program, url) => {
    const words = ["--config", "/dev/null", "--s3-provider", "Other", "--s3-env-auth", "--s3-endpoint", url];
    const rclone = (...more: string[]): Promise<string> => succeed(program, ...words, ...more);
    assert.match(await rclone("lsf", ":s3:"), /^set\/\nteam--set\/\n$/);
    const listed = (await rclone("lsf", "-R", "--files-only", ":s3:set/v1")).trim().split("\n");
    assert.deepEqual(listed.sort(), Object.keys(files).sort());
    assert.match(await rclone("lsf", ":s3:set--v1"), /^empty-folder\/$/m);
    const into = hub.folder();
    await rclone("copy", ":s3:set--v1", into);
    assert.deepEqual(filesOf(into), files);
    assert.equal(fs.statSync(path.join(into, "x-y")).mtimeMs, 1_500_000_000_000);
    await rclone("check", "--download", into, ":s3:team--set/v1");
    await rclone("check", into, ":s3:set--v1");
    const refused = await execute(program, ...words, "--retries", "1", "copy", hub.source, ":s3:set/v1/new");
    assert.notEqual(refused.exit, 0);
    assert.match(refused.stderr, /AccessDenied/);
  });
});

describe("s3cmd", () => {
  it("lists, describes and syncs, and takes no ETag for an MD5", async (t) => {
    const program = requirePeer(t, "s3cmd");
    if (program === undefined) return;
    const { host } = new URL(hub.urls[0] ?? "");
    const words = [
      "--no-ssl",
      "--host",
      host,
      "--host-bucket",
      host,
      "--config",
      "/dev/null",
      "--no-progress",
    ];
    const keys = ["--access_key", KEY.id, "--secret_key", KEY.secret];
    const s3cmd = (...more: string[]): Promise<Output> => execute(program, ...words, ...keys, ...more);
    assert.match((await s3cmd("ls")).stdout, /s3:\/\/set\n.*s3:\/\/team--set\n/);
    assert.match((await s3cmd("ls", "s3://set")).stdout, /DIR +s3:\/\/set\/v1\/\n/);
    assert.match((await s3cmd("info", "s3://set")).stdout, /Policy: +none/);
    const file = path.join(hub.folder(), "big");
    const got = await s3cmd("get", "s3://set/v1/big.bin", file);
    assert.equal(got.exit, 0, got.stderr);
    assert.doesNotMatch(got.stderr, /MD5|WARNING/);
    const into = hub.folder();
    const synced = await s3cmd("sync", "s3://set--v1/", `${into}/`);
    assert.equal(synced.exit, 0, synced.stderr);
    assert.deepEqual(filesOf(into), files);
    assert.match((await s3cmd("put", file, "s3://set/v1/new")).stderr, /403 \(AccessDenied\)/);
  });
});

describe("s3fs", () => {
  atEachPlace(
    "mounts a version, which has the pushed tree, and takes no writes",
    "s3fs",
    async (program, url) => {
      const [mountpoint, passwords] = [hub.folder(), path.join(hub.folder(), "passwords")];
      fs.writeFileSync(passwords, `${KEY.id}:${KEY.secret}`, { mode: 0o600 });
      const options = `url=${url},use_path_request_style,ro,passwd_file=${passwords}`;
      await succeed(program, "set--v1", mountpoint, "-o", options);
      try {
        assert.deepEqual(filesOf(mountpoint), files);
        assert.ok(fs.statSync(path.join(mountpoint, "empty-folder")).isDirectory());
        const { mode, mtimeMs } = fs.statSync(path.join(mountpoint, "x-y"));
        assert.deepEqual(
          [mode, mtimeMs],
          [fs.statSync(path.join(hub.source, "x-y")).mode, 1_500_000_000_000],
        );
        assert.throws(() => {
          fs.writeFileSync(path.join(mountpoint, "new"), "x");
        });
      } finally {
        await succeed("umount", mountpoint);
      }
    },
  );
});
