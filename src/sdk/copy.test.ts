/** Copies between stores and hubs. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import fc from "fast-check";
import { codeOf, type ErrorCode } from "../base/errors.ts";
import type { CopyResult } from "../dataset/copy/contract.ts";
import { noise } from "../dataset/testing/engine.ts";
import { comparable, readFolder } from "../dataset/testing/folder.ts";
import { parseChunking } from "../format/chunking.ts";
import type { Digest } from "../format/digest.ts";
import type { HistoryRecord } from "../format/record.ts";
import { parseDatasetName, parseReference, parseTag } from "../format/reference.ts";
import type { Client } from "./client.ts";
import { copy as copyVersions, type ClientCopyOptions } from "./copy.ts";
import { withHubBed, type HubBed } from "./testing/hub-bed.ts";

const NAME = parseDatasetName("@acme/x");
const OTHER = parseDatasetName("@other/y");
const LATEST = parseTag("latest");
const TIME = 1_700_000_000;

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** Pushes files as a version of these tags. */
async function push(
  bed: HubBed,
  client: Client,
  files: Readonly<Record<string, Uint8Array | string>>,
  tags: readonly string[] = ["@acme/x:latest"],
  message = "",
): Promise<Digest> {
  fs.rmSync(bed.path("source"), { recursive: true, force: true });
  const source = bed.write("source", files);
  for (const name of Object.keys(files)) fs.utimesSync(path.join(source, name), TIME, TIME);
  const references = tags.map(parseReference).map(({ name, tag = LATEST }) => ({ name, tag }));
  const chunking = parseChunking("cdc:4096");
  const says = { publisher: "maker", message, labels: { team: "a" } };
  return (await client.push({ source, tags: references, chunking, ...says })).digest;
}

function copy(from: Client, to: Client, what: string, options: ClientCopyOptions = {}): Promise<CopyResult> {
  return copyVersions(from, to, what, { publisher: "copier", origin: "there", ...options });
}

async function headOf(client: Client, text: string): Promise<Digest> {
  return (await client.resolve(parseReference(text))).version;
}

async function fails(call: Promise<unknown>, code: ErrorCode, message?: RegExp): Promise<void> {
  await assert.rejects(call, (error: unknown) => {
    assert.equal(codeOf(error), code, String(error));
    if (message !== undefined) assert.match(String(error), message);
    return true;
  });
}

/** Files of a store below a folder of it, with their sizes. */
function storeFiles(bed: HubBed, store: string, folder = ""): Map<string, number> {
  const top = path.join(bed.path(store), "aetherfs/v1", folder);
  const items = fs.existsSync(top) ? fs.readdirSync(top, { recursive: true, withFileTypes: true }) : [];
  const files = items.filter((item) => item.isFile() && item.name !== "replace.lock");
  return new Map(
    files.map((item) => [
      path.join(item.parentPath, item.name),
      fs.statSync(path.join(item.parentPath, item.name)).size,
    ]),
  );
}

/** Lines that compress, of which edits change few. */
function text(edits: number): string {
  const lines = Array.from({ length: 20_000 }, (_, index) => `line ${index} of ${(index * 7919) % 104_729}`);
  for (let edit = 1; edit <= edits; edit++) lines[edit * 2000] = `edit ${edit}`;
  return lines.join("\n");
}

const PAIRS: readonly (readonly [string, (bed: HubBed) => Promise<readonly [Client, Client]>])[] = [
  ["from a store to a store", async (bed) => [await bed.local("from"), await bed.local("to")]],
  ["from a store to a hub", async (bed) => [await bed.local("from"), bed.client()]],
  ["from a hub to a store", async (bed) => [bed.client(), await bed.local("to")]],
];

for (const [title, open] of PAIRS) {
  const between = (what: string, work: (bed: HubBed, from: Client, to: Client) => Promise<void>): void => {
    it(what, () => withHubBed(async (bed) => work(bed, ...(await open(bed)))));
  };

  describe(`a copy ${title}`, () => {
    between(
      "has the same versions, entries and files, and is all there the second time",
      async (bed, from, to) => {
        const versions: Digest[] = [];
        for (let edits = 0; edits < 3; edits++) {
          const files = { "a/text": text(edits), noise: noise(3, 100_000 + edits), empty: "" };
          versions.push(await push(bed, from, files, ["@acme/x:latest", `@acme/x:v${edits}`], `m${edits}`));
        }
        const tree = comparable(readFolder(bed.path("source")));
        const result = await copy(from, to, "@acme/x", { historyMax: Infinity });
        assert.deepEqual([result.tags, result.versions, result.failures], [4, 3, []]);
        assert.deepEqual(
          (await all(to.history(NAME, LATEST))).map(({ digest, publisher, message }) => ({
            digest,
            publisher,
            message,
          })),
          versions.map((digest, edits) => ({ digest, publisher: "maker", message: `m${edits}` })).reverse(),
        );
        const [newest] = (await all(to.history(NAME, LATEST))) as [HistoryRecord];
        assert.equal(newest.labels["team"], "a");
        assert.match(newest.labels["copied-from"] ?? "", /^there\/@acme\/x 20/);
        for (const version of versions) await to.verify(NAME, version);
        const target = bed.path("target");
        await to.pull({ name: NAME, version: await headOf(to, "@acme/x"), target });
        assert.deepEqual(comparable(readFolder(target)), tree);
        const again = await copy(from, to, "@acme/x", { historyMax: Infinity });
        assert.deepEqual([again.unchangedTags, again.versions, again.changes], [4, 0, []]);
      },
    );

    between(
      "with the history of a source that was pruned, leaves out what the source no longer has",
      async (bed, from, to) => {
        for (let edits = 0; edits < 4; edits++) await push(bed, from, { noise: noise(edits, 50_000) });
        await from.updateDataset(NAME, { keepLast: 2 });
        for (let round = 0; round < 2; round++) await from.prune({ graceMs: 0 });
        const first = await copy(from, to, "@acme/x", { historyMax: Infinity });
        assert.deepEqual([first.failures, first.lackingEntries, first.versions], [[], 2, 2]);
        assert.equal((await all(to.history(NAME, LATEST))).length, 2);
        const again = await copy(from, to, "@acme/x", { historyMax: Infinity });
        assert.deepEqual([again.failures, again.lackingEntries, again.changes], [[], 0, []]);
      },
    );

    between(
      "into a dataset that was deleted there, is told, and others are copied",
      async (bed, from, to) => {
        const files = { noise: noise(1, 5000) };
        await push(bed, from, files, ["@acme/a:latest"]);
        await push(bed, from, files, ["@acme/b:latest"]);
        await copy(from, to, "@acme/a");
        await to.deleteDataset(parseDatasetName("@acme/a"), "tester");
        const { failures, changes } = await copy(from, to, "@acme/*");
        assert.deepEqual(
          failures.map(({ dataset, code }) => [dataset, code]),
          [["@acme/a", "DATASET_NOT_FOUND"]],
        );
        assert.deepEqual(
          changes.map(({ dataset }) => dataset),
          ["@acme/b"],
        );
      },
    );

    between("costs about the change, whether pages lie with the root or not", async (bed, from, to) => {
      const many = Object.fromEntries(
        Array.from({ length: 2300 }, (_, index) => [`many/file-${index}`, `${index} of many`]),
      );
      for (const files of [{}, many]) {
        for (let edits = 0; edits < 3; edits++) {
          const version = await push(bed, from, { ...files, text: text(edits) });
          const { fetchedBytes, sentBytes, storedBytes } = await copy(from, to, "@acme/x:latest");
          await to.verify(NAME, version);
          if (edits === 0) continue;
          const moved = Math.max(fetchedBytes, sentBytes, storedBytes);
          assert.ok(
            moved < 20_000,
            `${fetchedBytes} bytes fetched, ${sentBytes} sent, ${storedBytes} stored`,
          );
        }
      }
    });

    between(
      "of a tag that skipped versions, moves what the target can take as it lies",
      async (bed, from, to) => {
        await push(bed, from, { text: text(0) });
        await copy(from, to, "@acme/x:latest");
        for (let edits = 1; edits < 6; edits++) await push(bed, from, { text: text(edits) });
        const { sentBytes, versions } = await copy(from, to, "@acme/x:latest");
        assert.equal(versions, 1);
        assert.ok(sentBytes < 4000, `${sentBytes} bytes sent`);
        await to.verify(NAME, await headOf(to, "@acme/x"));
      },
    );
  });
}

describe("a copy", () => {
  const stores = (work: (bed: HubBed, from: Client, to: Client) => Promise<void>): (() => Promise<void>) => {
    return () => withHubBed(async (bed) => work(bed, await bed.local("from"), await bed.local("to")));
  };

  it(
    "of any versions, one after another or at once, is the identity",
    stores(async (bed, from, to) => {
      const file = fc.oneof(
        fc.tuple(fc.nat(20), fc.nat(60_000)).map(([seed, length]) => noise(seed, length)),
        fc.nat(9).map((edits) => text(edits).slice(0, 100_000)),
      );
      const files = fc.dictionary(fc.constantFrom("a", "b/c", "b/d", "e"), file, { minKeys: 1 });
      let runs = 0;
      const each = fc.asyncProperty(
        fc.array(files, { minLength: 1, maxLength: 4 }),
        fc.boolean(),
        async (series, atOnce) => {
          const reference = `@acme/x:run-${runs++}`;
          const versions: Digest[] = [];
          for (const [index, one] of series.entries()) {
            versions.push(await push(bed, from, one, [reference]));
            if (!atOnce || index === series.length - 1)
              await copy(from, to, reference, { historyMax: Infinity });
          }
          const target = bed.path("target");
          fs.rmSync(target, { recursive: true, force: true });
          const version = await headOf(to, reference);
          assert.equal(version, versions.at(-1));
          await to.pull({ name: NAME, version, target });
          assert.deepEqual(comparable(readFolder(target)), comparable(readFolder(bed.path("source"))));
          for (const one of versions) await to.verify(NAME, one);
        },
      );
      await fc.assert(each, { numRuns: 5, seed: 4711 });
    }),
  );

  it(
    "that is there already, writes nothing",
    stores(async (bed, from, to) => {
      await push(bed, from, { text: text(1) });
      await copy(from, to, "**");
      const before = storeFiles(bed, "to");
      const result = await copy(from, to, "**");
      assert.deepEqual(
        [result.tags, result.unchangedTags, result.sentBytes, result.storedBytes],
        [1, 1, 0, 0],
      );
      assert.deepEqual(storeFiles(bed, "to"), before);
    }),
  );

  it(
    "that is a dry run, says what it would do and writes nothing",
    stores(async (bed, from, to) => {
      const version = await push(bed, from, { text: text(1) });
      const before = storeFiles(bed, "to");
      const result = await copy(from, to, "@acme/*", { dryRun: true });
      assert.deepEqual(result.changes, [{ dataset: NAME, tag: LATEST, digest: version, entries: 1 }]);
      assert.ok(result.storedBytes > 10_000);
      assert.deepEqual(storeFiles(bed, "to"), before);
    }),
  );

  it(
    "where somebody else moved the target's tag, is refused, goes through by force, and other tags are copied",
    stores(async (bed, from, to) => {
      const source = await push(bed, from, { a: "of the source" }, ["@acme/x:latest", "@acme/x:other"]);
      const foreign = await push(bed, to, { a: "of somebody else" });
      await fails(copy(from, to, "@acme/x:latest"), "TAG_CONFLICT", /--force/);
      const result = await copy(from, to, "@acme/x");
      assert.deepEqual(
        result.failures.map(({ tag, code }) => [tag, code]),
        [["latest", "TAG_CONFLICT"]],
      );
      assert.deepEqual([await headOf(to, "@acme/x"), await headOf(to, "@acme/x:other")], [foreign, source]);
      await copy(from, to, "@acme/x", { force: true });
      assert.equal(await headOf(to, "@acme/x"), source);
    }),
  );

  it(
    "onto a tag that was rolled back at the target, moves it on",
    stores(async (bed, from, to) => {
      for (let edits = 0; edits < 3; edits++) await push(bed, from, { a: `edit ${edits}` });
      await copy(from, to, "@acme/x", { historyMax: 2 });
      assert.equal((await all(to.history(NAME, LATEST))).length, 2);
      await to.rollback({ name: NAME, tag: LATEST }, {}, { publisher: "", message: "", labels: {} });
      assert.equal((await copy(from, to, "@acme/x")).changes.length, 1);
      assert.equal(await headOf(to, "@acme/x"), await headOf(from, "@acme/x"));
    }),
  );

  it(
    "removes what the source has not only when it is told to, and nothing when the source has nothing",
    stores(async (bed, from, to) => {
      await push(bed, from, { a: "one" }, ["@acme/x:keep"]);
      await push(bed, to, { a: "two" }, ["@acme/x:gone", "@acme/other:gone"]);
      await copy(from, to, "@acme/*");
      assert.equal((await all(to.listTags(NAME))).length, 2);
      await fails(copy(await bed.local("empty"), to, "@acme/*", { delete: true }), "DATASET_NOT_FOUND");
      const { changes } = await copy(from, to, "@acme/*", { delete: true });
      assert.deepEqual(
        changes.map(({ dataset, tag, digest }) => [dataset, tag, digest]),
        [
          ["@acme/x", "gone", null],
          ["@acme/other", "gone", null],
        ],
      );
      assert.deepEqual(
        (await all(to.listTags(NAME))).map(({ tag }) => tag),
        ["keep"],
      );
    }),
  );

  it(
    "of a version by its digest, sets the tags that are given",
    stores(async (bed, from, to) => {
      const first = await push(bed, from, { a: "one" });
      await push(bed, from, { a: "two" });
      await fails(copy(from, to, `@acme/x@sha256:${first}`), "ARGUMENT_INVALID", /-t/);
      await copy(from, to, `@acme/x@sha256:${first}`, {
        tags: ["old", "older"].map((tag) => ({ name: OTHER, tag: parseTag(tag) })),
      });
      assert.deepEqual(
        [await headOf(to, "@other/y:old"), await headOf(to, "@other/y:older")],
        [first, first],
      );
      await to.verify(OTHER, first);
    }),
  );

  it(
    "of a source that moves on meanwhile, copies what was there when it began",
    stores(async (bed, from, to) => {
      const first = await push(bed, from, { a: "one" });
      const moving: Client = Object.create(from, {
        copyEngine: { value: (name: typeof NAME) => from.copyEngine(name) },
        history: { value: (...words: Parameters<Client["history"]>) => from.history(...words) },
        listTags: {
          value: async function* (name: typeof NAME) {
            yield* await all(from.listTags(name));
            await push(bed, from, { a: "two" });
          },
        },
      }) as Client;
      await copy(moving, to, "@acme/x", { historyMax: Infinity });
      assert.equal(await headOf(to, "@acme/x"), first);
      assert.notEqual(await headOf(from, "@acme/x"), first);
      assert.equal((await copy(from, to, "@acme/x")).changes.length, 1);
    }),
  );

  it(
    "of a damaged source, names what is damaged, publishes nothing, and copies the other versions",
    stores(async (bed, from, to) => {
      await push(bed, from, { text: text(0) }, ["@acme/x:v0"]);
      const before = storeFiles(bed, "from", "blocks");
      await push(bed, from, { text: text(1) }, ["@acme/x:v1"]);
      const [delta = ""] = [...storeFiles(bed, "from", "blocks").keys()].filter((file) => !before.has(file));
      const bytes = fs.readFileSync(delta);
      bytes.writeUInt8(bytes.readUInt8(45) ^ 1, 45);
      fs.writeFileSync(delta, bytes);
      await copy(from, to, "@acme/x:v0");
      await fails(copy(from, to, "@acme/x:v1"), "OBJECT_CORRUPT", /source.*block sha256:/);
      await push(bed, from, { text: "sound" }, ["@acme/x:v2"]);
      const { failures, changes } = await copy(from, to, "@acme/x");
      assert.deepEqual([failures.map(({ tag }) => tag), changes.map(({ tag }) => tag)], [["v1"], ["v2"]]);
      assert.deepEqual(
        (await all(to.listTags(NAME))).map(({ tag }) => tag),
        ["v0", "v2"],
      );
    }),
  );

  it(
    "that repairs, stores anew what the target lost of a version that it has",
    stores(async (bed, from, to) => {
      const version = await push(bed, from, { text: text(0), noise: noise(1, 50_000) });
      await copy(from, to, "@acme/x");
      for (const file of storeFiles(bed, "to", "blocks").keys()) fs.rmSync(file);
      await copy(from, to, "@acme/x");
      await assert.rejects(to.verify(NAME, version));
      const { changes } = await copy(from, to, "@acme/x", { repair: true });
      assert.deepEqual(changes, []);
      await to.verify(NAME, version);
    }),
  );

  it(
    "onto a target that lost a block, stores again what lay in it",
    stores(async (bed, from, to) => {
      await push(bed, from, { text: text(0), noise: noise(1, 50_000) });
      await copy(from, to, "@acme/x");
      for (const file of storeFiles(bed, "to", "blocks").keys()) fs.rmSync(file);
      const version = await push(bed, from, { text: text(1), noise: noise(1, 50_000) });
      await copy(from, to, "@acme/x");
      await to.verify(NAME, version);
    }),
  );
});
