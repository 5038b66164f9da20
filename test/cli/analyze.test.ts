/** `aetherfs analyze`, as a user runs it. */
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { environmentOf, execute, makePlace, type Kind, type Place } from "./command.ts";

const TEXT = "line after line after line\n".repeat(8000);

interface Analysis {
  readonly versions: readonly { readonly digest: string | null; readonly files: number }[];
  readonly sampled: unknown;
  readonly chunkings: readonly { readonly update: unknown }[];
  readonly churn: readonly { readonly path: string; readonly updates: number }[];
  readonly recommendation: { readonly options: string; readonly reasons: readonly string[] };
}

/** A place with three versions of a dataset, and the folder as it would be next. */
async function published(t: TestContext, kind: Kind): Promise<Place> {
  const place = await makePlace(t, kind);
  for (const version of [1, 2, 3, 4]) {
    await place.write({ "data/log.txt": `${TEXT}${version}\n`, "data/same.txt": "same\n" });
    if (version < 4) await place.json("push", "-t", "@acme/x:latest", "data");
  }
  return place;
}

function analysisOn(kind: Kind): void {
  it("of a path against a version, as JSON, has exactly the names of the document", async (t) => {
    const place = await published(t, kind);
    const before = await place.json("history", "@acme/x:latest");
    const found = (await place.json("analyze", "data", "--against", "@acme/x:latest")) as Analysis;
    assert.deepEqual(Object.keys(found), [
      ...["versions", "sampled", "current", "chunkings", "changes", "churn", "recommendation"],
      ...["skipped", "seconds"],
    ]);
    assert.deepEqual(Object.keys(found.chunkings[0] ?? {}), [
      ...["chunking", "chunkSize", "chunks", "first", "update", "updates"],
    ]);
    assert.deepEqual(Object.keys(found.chunkings[0]?.update ?? {}), [
      ...["chunks", "newBytes", "manifestBytes", "planBytes", "indexBytes", "forms", "seconds"],
    ]);
    assert.deepEqual(Object.keys(found.recommendation), [
      ...["chunking", "chunkSize", "compression", "options", "reasons", "switchBytes"],
    ]);
    assert.match(found.versions[0]?.digest ?? "", /^sha256:[0-9a-f]{64}$/);
    assert.equal(found.versions[1]?.digest, null);
    assert.deepEqual(
      found.churn.map(({ path }) => path),
      ["log.txt"],
    );
    assert.deepEqual(await place.json("history", "@acme/x:latest"), before);
  });

  it("of the last versions of a tag, as text, shows charts, files and advice", async (t) => {
    const place = await published(t, kind);
    const { exit, stdout, stderr } = await place.run(["analyze", "@acme/x:latest", "--last", "9"]);
    assert.deepEqual([exit, stderr], [0, "aetherfs: the tag has had 3 different versions, not 9\n"]);
    assert.match(stdout, /^compared to {2}2 files, /);
    assert.match(stdout, /\ncdc 64KiB +\d+ .* #+\n/);
    assert.match(stdout, /\nupdate: .* the median of 2\n/);
    assert.match(stdout, /\n *216 KB .* 2 of 2 {2}log.txt {2}#+\n/);
    assert.match(
      stdout,
      /\nrecommended {2}chunks of cdc 64KiB, compression zstd\noptions {6}none are needed\nbecause {6}/,
    );
    for (const line of stdout.split("\n")) assert.ok(line.length <= 80, line);
  });

  it("of what is not there, or asks for what cannot be, fails with a code of the table", async (t) => {
    const place = await published(t, kind);
    const cases: readonly (readonly [string, string])[] = [
      ["nowhere", "SOURCE_NOT_FOUND"],
      ["data --against @acme/none", "DATASET_NOT_FOUND"],
      ["data --against @acme/x:none", "TAG_NOT_FOUND"],
      ["@acme/x:none --last 3", "TAG_NOT_FOUND"],
      ["@acme/x --last 1", "CONFIG_INVALID"],
      ["@acme/x --last 51", "CONFIG_INVALID"],
      ["@acme/x --last 2 --against @acme/x", "ARGUMENT_INVALID"],
      ["data --memory_limit 1MiB", "CONFIG_INVALID"],
      ["data --spool_limit 10", "LIMIT_EXCEEDED"],
      ["", "ARGUMENT_INVALID"],
    ];
    for (const [words, code] of cases) {
      const { stderr } = await place.run(["analyze", ...words.split(" ").filter(Boolean)]);
      assert.ok(stderr.startsWith(`aetherfs: ${code}: `), `${words}: ${stderr}`);
    }
  });
}

describe("aetherfs analyze on a store", () => {
  analysisOn("store");
});
describe("aetherfs analyze on a hub", () => {
  analysisOn("hub");
});

describe("aetherfs analyze", () => {
  it("of a path alone, needs neither a store nor a hub, and makes none", async (t) => {
    const place = await makePlace(t);
    await place.write({ "data/a.txt": TEXT });
    const found = (await place.json("analyze", "data")) as Analysis;
    assert.deepEqual(
      [found.versions, found.sampled],
      [[{ digest: null, files: 1, bytes: TEXT.length }], null],
    );
    await rm(join(place.folder, "data"), { recursive: true });
    const { stderr } = await place.run(["ls"]);
    assert.match(stderr, /STORE_NOT_FOUND/);
  });

  it("with --sample-limit, says how much was measured", async (t) => {
    const place = await makePlace(t);
    for (let index = 0; index < 50; index++) await place.write({ [`data/${index}`]: `${TEXT}${index}` });
    const { stdout } = await place.run(["analyze", "data", "--sample-limit", "3MB"]);
    assert.match(stdout, /\nsampled {6}[\d.]+ MB of 10.8 MB \([\d.]+%\) were measured: all figures/);
  });

  it("interrupted, ends with 130 and leaves nothing behind", async (t) => {
    const place = await makePlace(t);
    await place.write({ "data/a.txt": TEXT.repeat(200) });
    const words = ["analyze", "data", "--progress", "json"];
    let isSent = false;
    const { exit, stderr, stdout } = await execute(
      words,
      place.folder,
      environmentOf(place.folder),
      (child) => {
        child.stderr?.on("data", () => {
          if (!isSent) child.kill("SIGINT");
          isSent = true;
        });
      },
    );
    assert.deepEqual([exit, stdout], [130, ""]);
    assert.match(stderr, /^\{"progress":.*"phase":"read"/);
    assert.match(stderr, /aetherfs: CANCELLED: interrupted\n$/);
  });
});
