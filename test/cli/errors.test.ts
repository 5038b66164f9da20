/** What a user gets for bad input: one line with a code, the right exit code, nothing half done. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { ERRORS, type ErrorCode } from "../../src/base/errors.ts";
import { environmentOf, execute, makePlace, type Kind, type Outcome } from "./command.ts";

/** Holds an outcome to one line `aetherfs: CODE: message`, the code's exit code, and an empty stdout. */
function failsWith({ exit, stdout, stderr }: Outcome, code: ErrorCode, message: RegExp): void {
  const lines = stderr.trimEnd().split("\n");
  assert.equal(lines.length, 1, stderr);
  assert.match(stderr, new RegExp(`^aetherfs: ${code}: `));
  assert.match(stderr, message);
  assert.deepEqual([exit, stdout], [ERRORS[code].exit, ""]);
}

describe("aetherfs, given bad arguments,", () => {
  const DIGEST = `sha256:${"0".repeat(64)}`;
  const cases: readonly (readonly [string, ErrorCode, RegExp])[] = [
    ["psuh", "ARGUMENT_INVALID", /unknown command 'psuh'; did you mean push\?/],
    ["push --tagg x:y data", "ARGUMENT_INVALID", /unknown option '--tagg'; did you mean --tag\?/],
    ["push", "ARGUMENT_INVALID", /missing required argument 'path'/],
    ["ls a b", "ARGUMENT_INVALID", /too many arguments/],
    ["push data", "ARGUMENT_INVALID", /a push needs a tag to set: -t/],
    [`push -t x@${DIGEST} data`, "ARGUMENT_INVALID", /names a version, which never changes/],
    ["push -t X:y data", "REFERENCE_INVALID", /"X" is not a name/],
    ["push -t x:y:z data", "REFERENCE_INVALID", /"y:z" is not a tag/],
    ["push -t x:y nowhere", "SOURCE_NOT_FOUND", /nowhere/],
    ["push -t x:y --chunk-size 5000 data", "ARGUMENT_INVALID", /a power of two/],
    ["push -t x:y --block-size big data", "CONFIG_INVALID", /--block-size is "big": it is not a size/],
    ["push -t x:y --compression gzip data", "CONFIG_INVALID", /--compression is "gzip"/],
    ["push -t x:y --label team data", "CONFIG_INVALID", /--label is "team": it is not key=value/],
    ["push -t localhost:8080/x:y data", "ARGUMENT_INVALID", /names the hub localhost:8080, but the store is/],
    ["pull out", "ARGUMENT_INVALID", /pull DIR REF, or --into DIR REF/],
    ["pull --into out x:y x:z", "ARGUMENT_INVALID", /--into takes one reference/],
    ["pull out y:latest", "DATASET_NOT_FOUND", /there is no dataset y/],
    ["pull out x:nigt", "TAG_NOT_FOUND", /x has no tag nigt; did you mean night\?/],
    [`pull out x@${DIGEST}`, "VERSION_NOT_FOUND", /0000/],
    ["cat x:night nowhere", "PATH_NOT_FOUND", /nowhere/],
    ["cat x:night sub", "PATH_NOT_FOUND", /directory/],
    ["cat --range 5-2 x:night a.txt", "RANGE_INVALID", /ends before it starts/],
    ["cat --range 99- x:night a.txt", "RANGE_INVALID", /99/],
    ["cat --range x x:night a.txt", "RANGE_INVALID", /none of START-END/],
    ["show x:night nowhere", "PATH_NOT_FOUND", /nowhere/],
    ["ls nothing*", "DATASET_NOT_FOUND", /like nothing\*/],
    ["tags y", "DATASET_NOT_FOUND", /there is no dataset y/],
    ["history x:stable", "TAG_NOT_FOUND", /x has no tag stable/],
    ["tag x:night @other/x:y", "FEATURE_UNSUPPORTED", /do not share content/],
    ["rollback x:night", "VERSION_NOT_FOUND", /no earlier version/],
    ["rollback x:night --to first", "ARGUMENT_INVALID", /neither a number of the history/],
    ["rm x", "ARGUMENT_INVALID", /x names no tag: say which one/],
    ["undelete y", "DATASET_NOT_FOUND", /there is no dataset y/],
    ["dataset x:night", "ARGUMENT_INVALID", /this takes a dataset, and x:night names one version/],
    ["set x", "ARGUMENT_INVALID", /say what to set/],
    ["set x --keep-within soon", "CONFIG_INVALID", /--keep-within is "soon": it is not a duration/],
    ["set x --keep-tag V", "ARGUMENT_INVALID", /no tag matches "V"/],
    ["tag x:night x:soon --expires soon", "ARGUMENT_INVALID", /neither a duration, such as 30d, nor a date/],
    ["rm x:gone", "TAG_NOT_FOUND", /x has no tag gone/],
    ["ls --store s3://bucket", "FEATURE_UNSUPPORTED", /"s3:\/\/bucket" is of a kind of store/],
    ["ls --store file:///nowhere/at/all", "STORE_NOT_FOUND", /there is no store at/],
    ["ls --store data", "STORE_FOREIGN", /data holds something that is not an AetherFS store/],
    ["push --store data -t x:y data", "STORE_FOREIGN", /name an empty folder/],
    ["ls --store data/a.txt", "STORE_FOREIGN", /data\/a\.txt is no folder/],
    ["ls --output yaml", "CONFIG_INVALID", /--output is "yaml": it is none of text, json/],
    ["ls --memory_limit 1MiB", "CONFIG_INVALID", /it is less than 64MiB/],
    ["ls --config_file nowhere.toml", "CONFIG_INVALID", /nowhere\.toml does not exist/],
  ];

  const isOfStores = ([words]: (typeof cases)[number]): boolean => /--store|localhost:8080/.test(words);
  const suites = [
    ["store", cases],
    // What is wrong with the words alone is said before anybody is asked.
    ["hub", cases.filter((one) => !isOfStores(one) && !/^(CONFIG|REFERENCE)_INVALID$/.test(one[1]))],
  ] as const;
  for (const [kind, suite] of suites) {
    it(`on a ${kind}, says what is wrong in one line, ends with the table's exit code, and changes nothing`, (t) =>
      refusals(t, kind, suite));
  }

  async function refusals(t: TestContext, kind: Kind, suite: typeof cases): Promise<void> {
    const place = await makePlace(t, kind);
    await place.write({ "data/a.txt": "one\n", "data/sub/b.txt": "two\n" });
    await place.json("push", "-t", "x:night", "data");
    for (const [words, code, message] of suite) {
      await t.test(words, async () => failsWith(await place.run(words.split(" ")), code, message));
    }
    assert.deepEqual(await place.json("ls"), await place.json("ls", "x"));
    assert.equal(((await place.json("tags", "x")) as unknown[]).length, 1);
    assert.equal(existsSync(join(place.folder, "out")), false);
    assert.deepEqual((await readdir(join(place.folder, "data"))).sort(), ["a.txt", "sub"]);
  }

  it("without a store where no hub listens, says what to do", async (t) => {
    const place = await makePlace(t);
    await place.write({ "data/a.txt": "one\n" });
    const nobody = `127.0.0.1:${await unusedPort()}`;
    for (const words of [
      ["ls", "--hub", nobody],
      ["ls", `${nobody}/`],
      ["pull", "out", `${nobody}/x:y`],
      ["push", "-t", `${nobody}/x:y`, "data"],
    ]) {
      const outcome = await place.run(words, { STORE: "" });
      assert.equal(outcome.exit, 8);
      failsWith(outcome, "HUB_UNAVAILABLE", /ECONNREFUSED.*start one with `aetherfs run`.*--store/);
    }
  });

  it("with references to two hubs, or a hub and a store, says so", async (t) => {
    const place = await makePlace(t);
    const words = ["diff", "one.example/x:a", "two.example/x:a"];
    failsWith(await place.run(words, { STORE: "" }), "ARGUMENT_INVALID", /one\.example and two\.example/);
    failsWith(await place.run(["ls", "--hub", "one.example"]), "CONFIG_INVALID", /leave one of them out/);
  });

  it("with a target that is a file, says so with TARGET_UNWRITABLE", async (t) => {
    const place = await makePlace(t);
    await place.write({ "data/a.txt": "one\n", taken: "mine" });
    await place.json("push", "-t", "x:night", "data");
    failsWith(
      await place.run(["pull", "--into", "taken/out", "x:night"]),
      "TARGET_UNWRITABLE",
      /taken|ENOTDIR/,
    );
  });

  it("with --output json, says it as JSON", async (t) => {
    const place = await makePlace(t);
    for (const [words, environment] of [
      [["ls", "--output", "json"], {}],
      [["ls", "--output=json"], {}],
      [["ls"], { OUTPUT: "json" }],
    ] as const) {
      const { exit, stdout, stderr } = await place.run(words, environment);
      const { error } = JSON.parse(stderr) as { error: Record<string, unknown> };
      assert.deepEqual(Object.keys(error), ["code", "message", "data"]);
      assert.deepEqual([error["code"], exit, stdout], ["STORE_NOT_FOUND", 3, ""]);
    }
  });
});

describe("aetherfs, by its settings,", () => {
  it("takes a flag before the environment, and that before the file", async (t) => {
    const place = await makePlace(t);
    const { folder } = place;
    await place.write({ "data/a.txt": "one\n", "c.yaml": "store: ./from-file\noutput: json\n" });
    const file = { STORE: "", CONFIG_FILE: "c.yaml" };
    const push = ["push", "-t", "x:y", "data"];
    const first = await place.run(push, file);
    assert.equal(first.exit, 0, first.stderr);
    assert.match(first.stdout, /^\{"digest"/);
    assert.equal((await place.run(push, { ...file, STORE: "./from-environment", OUTPUT: "text" })).exit, 0);
    const third = await place.run(["--store", "./from-flag", ...push], {
      ...file,
      STORE: "./from-environment2",
    });
    assert.equal(third.exit, 0);
    const made = (await readdir(folder)).filter((name) => name.startsWith("from-")).sort();
    assert.deepEqual(made, ["from-environment", "from-file", "from-flag"]);
  });

  it("shows progress as JSON lines on stderr, when asked for, and else nothing", async (t) => {
    const place = await makePlace(t);
    await place.write({ "data/a.txt": "one\n" });
    const silent = await place.run(["push", "-t", "x:y", "data"]);
    assert.deepEqual([silent.exit, silent.stderr], [0, ""]);
    const { stderr } = await place.run(["pull", "--progress", "json", "--into", "out", "x:y"]);
    const lines = stderr
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { progress: object });
    assert.ok(lines.length > 0);
    const names = ["phase", "files", "bytes", "totalBytes", "reusedBytes"];
    for (const { progress } of lines) assert.deepEqual(Object.keys(progress), names);
  });
});

describe("aetherfs, interrupted,", () => {
  it("by a reader that goes away, ends quietly with 0", async (t) => {
    const place = await makePlace(t);
    await place.write({ "data/big": "0123456789".repeat(400_000) });
    await place.json("push", "-t", "x:y", "data");
    const outcome = await execute(
      ["cat", "x:y", "big"],
      place.folder,
      environmentOf(place.folder),
      (child) => {
        child.stdout?.once("data", () => child.stdout?.destroy());
      },
    );
    assert.deepEqual([outcome.exit, outcome.stderr], [0, ""]);
  });

  for (const [signal, exit] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    it(`by ${signal}, ends with ${exit} and sets no tag`, async (t) => {
      const place = await makePlace(t);
      await place.write({ "data/a.txt": "one\n" });
      await place.json("push", "-t", "x:y", "data");
      for (let index = 0; index < 64; index++) {
        await place.write({ [`data/${index}`]: `${index} `.repeat(500_000) });
      }
      const words = ["push", "--progress", "json", "-t", "x:z", "data"];
      const outcome = await execute(words, place.folder, environmentOf(place.folder), (child) => {
        child.stderr?.once("data", () => child.kill(signal));
      });
      assert.equal(outcome.exit, exit, outcome.stderr);
      assert.match(outcome.stderr, /\naetherfs: CANCELLED: interrupted\n$/);
      assert.equal(((await place.json("tags", "x")) as unknown[]).length, 1);
    });
  }
});

/** A port where nobody listens: it was free a moment ago. */
async function unusedPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 1;
}
