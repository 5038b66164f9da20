/** Every command as a user runs it: the same on a store in a folder and on a hub. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { it, type TestContext } from "node:test";
import { makePlace, type Kind, type Place } from "./command.ts";

const NAMES = {
  push: [
    ...["digest", "files", "bytes", "chunks", "newChunks", "newBytes", "plainBytes"],
    ...["sentBytes", "storedBytes", "manifestBytes", "seconds"],
  ],
  copy: [
    ...["datasets", "tags", "unchangedTags", "lackingEntries", "versions", "bytes", "fetchedBytes"],
    ...["sentBytes", "storedBytes", "changes", "failures", "seconds"],
  ],
  pull: ["digest", "files", "bytes", "fetchedBytes", "reusedBytes", "manifestBytes", "seconds"],
};

/** A place with two versions of a dataset: v1, and v2, which is also latest. */
export async function published(t: TestContext, kind: Kind): Promise<Place> {
  const place = await makePlace(t, kind);
  await place.write({ "data/a.txt": "one\n", "data/sub/b.txt": "two\n" });
  await place.json("push", "-t", "@acme/x:v1", "-m", "first", "--label", "team=a", "data");
  await place.write({ "data/a.txt": "changed\n", "data/c.txt": "three\n" });
  await place.json("push", "-t", "@acme/x:v2", "-t", "@acme/x:latest", "data");
  return place;
}

/** The names of an object's members, in order. */
export function keys(value: unknown): string[] {
  assert.ok(typeof value === "object" && value !== null);
  return Object.keys(value);
}

/** Registers the tests, for one kind of place. */
export function commandsOn(kind: Kind): void {
  it("push, as JSON, has exactly the names of the contract, and counts", async (t) => {
    const place = await makePlace(t, kind);
    await place.write({ "data/a.txt": "one\n", "data/b/c.txt": "three\n" });
    const first = await place.json("push", "-t", "x:v1", "data");
    assert.deepEqual(keys(first), NAMES.push);
    const { digest, files, bytes, newBytes } = first as Record<string, unknown>;
    assert.match(String(digest), /^sha256:[0-9a-f]{64}$/);
    assert.deepEqual([files, bytes, newBytes], [2, 10, 10]);
    const again = (await place.json("push", "-t", "x:v1", "data")) as Record<string, unknown>;
    assert.deepEqual([again["digest"], again["newBytes"]], [digest, 0]);
  });

  it("push --dry-run, stores nothing and sets no tag", async (t) => {
    const place = await published(t, kind);
    await place.write({ "data/d.txt": "four\n" });
    const before = await place.json("tags", "@acme/x");
    const would = (await place.json("push", "--dry-run", "-t", "@acme/x:v3", "data")) as { newBytes: number };
    assert.ok(would.newBytes > 0);
    assert.deepEqual(await place.json("tags", "@acme/x"), before);
  });

  it("pull of several references, fills DIR/NAME/TAG each, and prints a line of JSON each, in order", async (t) => {
    const place = await published(t, kind);
    const { exit, stdout } = await place.run(["pull", "out", "@acme/x:v1", "@acme/x", "--output", "json"]);
    assert.equal(exit, 0);
    const lines = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual(lines.map(keys), [NAMES.pull, NAMES.pull]);
    assert.deepEqual(
      lines.map(({ files }) => files),
      [2, 3],
    );
    assert.equal(await readFile(join(place.folder, "out/@acme/x/v1/a.txt"), "utf8"), "one\n");
    assert.equal(await readFile(join(place.folder, "out/@acme/x/latest/a.txt"), "utf8"), "changed\n");
  });

  it("pull --into, takes filters, and --delete removes what the version has not", async (t) => {
    const place = await published(t, kind);
    await place.write({ "out/old.txt": "old" });
    await place.json("pull", "--into", "out", "--exclude", "sub", "@acme/x");
    assert.deepEqual((await readdir(join(place.folder, "out"))).sort(), ["a.txt", "c.txt", "old.txt"]);
    await place.json("pull", "--into", "out", "--delete", "--verify", "@acme/x");
    assert.deepEqual((await readdir(join(place.folder, "out"))).sort(), ["a.txt", "c.txt", "sub"]);
  });

  it("pull of a digest, brings that version", async (t) => {
    const place = await published(t, kind);
    const [entry] = (await place.json("history", "@acme/x:v1")) as { digest: string }[];
    await place.json("pull", "out", `@acme/x@${entry?.digest ?? ""}`);
    const folder = `out/@acme/x/sha256-${entry?.digest.slice("sha256:".length) ?? ""}`;
    assert.equal(await readFile(join(place.folder, folder, "a.txt"), "utf8"), "one\n");
  });

  it("ls, tags and history, list what is there", async (t) => {
    const place = await published(t, kind);
    const [dataset] = (await place.json("ls")) as { name: string; tags: number }[];
    assert.deepEqual([dataset?.name, dataset?.tags], ["@acme/x", 3]);
    assert.equal(((await place.json("ls", "@acme/*")) as unknown[]).length, 1);
    const tags = (await place.json("tags", "@acme/x")) as { tag: string; files: number }[];
    assert.deepEqual(
      tags.map(({ tag, files }) => [tag, files]),
      [
        ["latest", 3],
        ["v1", 2],
        ["v2", 3],
      ],
    );
    const [entry] = (await place.json("history", "@acme/x:v1")) as Record<string, unknown>[];
    assert.deepEqual([entry?.["number"], entry?.["message"], entry?.["labels"]], [1, "first", { team: "a" }]);
    const { stdout } = await place.run(["ls"]);
    assert.match(stdout, /^DATASET +TAGS +NEWEST .*\n@acme\/x +3 /);
  });

  it("show, gives totals and entries, of a folder those in it", async (t) => {
    const place = await published(t, kind);
    const whole = (await place.json("show", "@acme/x:v2")) as Record<string, unknown>;
    assert.deepEqual([whole["files"], whole["chunking"], whole["bytes"]], [3, "cdc:65536", 18]);
    const entries = whole["entries"] as { path: string; digest?: string }[];
    assert.deepEqual(
      entries.map(({ path }) => path),
      ["a.txt", "c.txt", "sub", "sub/b.txt"],
    );
    const sha = createHash("sha256").update("changed\n").digest("hex");
    assert.equal(entries[0]?.digest, `sha256:${sha}`);
    const folder = (await place.json("show", "@acme/x:v2", "sub/")) as { entries: { path: string }[] };
    assert.deepEqual(
      folder.entries.map(({ path }) => path),
      ["sub/b.txt"],
    );
    const { stdout } = await place.run(["show", "@acme/x:v2"]);
    assert.match(stdout, /^holds +3 files, 1 folders, 0 symlinks; 18 B$/m);
  });

  it("cat, writes a file's bytes, or a range of them", async (t) => {
    const place = await published(t, kind);
    const cat = async (...words: string[]): Promise<string> => (await place.run(["cat", ...words])).stdout;
    assert.equal(await cat("@acme/x:v2", "a.txt"), "changed\n");
    assert.equal(await cat("--range", "0-2", "@acme/x:v2", "a.txt"), "cha");
    assert.equal(await cat("--range", "4-", "@acme/x:v2", "a.txt"), "ged\n");
    assert.equal(await cat("--range", "-3", "@acme/x:v2", "a.txt"), "ed\n");
    assert.equal(await cat("--range", "6-99", "@acme/x:v2", "a.txt"), "d\n");
  });

  it("diff, tells what was added, removed, changed and renamed, and what the update costs", async (t) => {
    const place = await published(t, kind);
    const diff = (await place.json("diff", "@acme/x:v1", "@acme/x:v2")) as Record<string, unknown>;
    assert.deepEqual(keys(diff), ["added", "removed", "changed", "renamed", "updateBytes"]);
    assert.deepEqual([diff["added"], diff["removed"], diff["changed"]], [["c.txt"], [], ["a.txt"]]);
    assert.ok(Number(diff["updateBytes"]) > 0);
    const { stdout } = await place.run(["diff", "@acme/x:v1", "@acme/x:v2"]);
    assert.match(
      stdout,
      /^~ a\.txt\n\+ c\.txt\n1 added, 0 removed, 1 changed, 0 renamed; the update fetches /,
    );
  });

  it("verify, reads all of a version", async (t) => {
    const place = await published(t, kind);
    assert.equal(((await place.json("verify", "@acme/x:v2")) as { files: number }).files, 3);
  });

  it("tag, rollback and rm, move a tag and keep its history", async (t) => {
    const place = await published(t, kind);
    const commit = async (...words: string[]): Promise<Record<string, unknown>> =>
      (await place.json(...words)) as Record<string, unknown>;
    const tagged = await commit("tag", "@acme/x:v1", "@acme/x:stable");
    assert.deepEqual(keys(tagged), ["name", "tag", "number", "state", "digest", "previous", "moved"]);
    assert.equal((await commit("tag", "@acme/x:v1", "@acme/x:stable"))["moved"], false);
    const moved = await commit("tag", "@acme/x:v2", "@acme/x:stable");
    assert.equal(moved["previous"], tagged["digest"]);
    assert.equal((await commit("rollback", "@acme/x:stable"))["digest"], tagged["digest"]);
    assert.equal((await commit("rollback", "@acme/x:stable", "--to", "2"))["digest"], moved["digest"]);
    const to = String(tagged["digest"]);
    assert.equal((await commit("rollback", "@acme/x:stable", "--to", to))["digest"], to);
    assert.equal((await commit("rm", "@acme/x:stable", "-m", "gone"))["state"], "deleted");
    assert.equal((await place.run(["cat", "@acme/x:stable", "a.txt"])).exit, 3);
    const [newest] = (await place.json("history", "@acme/x:stable")) as Record<string, unknown>[];
    assert.deepEqual([newest?.["number"], newest?.["state"], newest?.["message"]], [6, "deleted", "gone"]);
  });

  it("dataset and set, show and change settings, and say what would go", async (t) => {
    const place = await published(t, kind);
    const all = (await place.json("dataset", "@acme/x")) as Record<string, unknown>;
    const settings = ["name", "incarnation", "domain", "created", "chunking", "immutableTags", "retention"];
    assert.deepEqual(keys(all), [...settings, "tags", "kept", "released"]);
    await place.json("tag", "@acme/x:v2", "@acme/x:v1", "--expires", "2w");
    const rules = ["--keep-last", "1", "--keep-within", "none", "--keep-tag", "none", "--chunk-size", "8KiB"];
    const dry = (await place.json("set", "@acme/x", ...rules, "--dry-run")) as Record<string, unknown>;
    assert.deepEqual([dry["kept"], dry["released"]], [1, 1]);
    const retention = { keepLast: 1, keepWithinSeconds: null, keepTags: [] };
    assert.deepEqual([dry["retention"], dry["chunking"]], [retention, "cdc:8192"]);
    assert.equal(((await place.json("dataset", "@acme/x")) as Record<string, unknown>)["retention"], null);
    const set = (await place.json("set", "@acme/x", ...rules)) as Record<string, unknown>;
    const { tags, kept, released, ...shown } = all;
    assert.deepEqual([all["retention"], tags, kept, released], [null, 3, 2, 0]);
    assert.deepEqual(set, { ...shown, retention, chunking: "cdc:8192" });
    const { stdout } = await place.run(["set", "@acme/x", "--keep-within", "90d", "--immutable-tag", "v*"]);
    assert.match(
      stdout,
      /^immutable {2}tags like v\*\nkeeps {6}the last version of each tag; .* last 90 days\n/m,
    );
    assert.match((await place.run(["set", "@acme/x", "--dry-run"])).stdout, /0 prune might take/);
    assert.equal((await place.run(["tag", "@acme/x:v2", "@acme/x:v3"])).exit, 0);
    assert.equal((await place.run(["rollback", "@acme/x:v1"])).exit, 4);
    const [newest] = (await place.json("history", "@acme/x:v1")) as { labels: Record<string, string> }[];
    assert.match(newest?.labels["expires"] ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  });

  it("rm and undelete, of a whole dataset, take it away and bring it back", async (t) => {
    const place = await published(t, kind);
    const before = await place.json("tags", "@acme/x");
    const gone = (await place.json("rm", "--yes", "@acme/x")) as Record<string, unknown>;
    assert.deepEqual(keys(gone), ["name", "state", "time", "publisher", "changed"]);
    assert.deepEqual(await place.json("ls"), []);
    const { exit, stderr } = await place.run(["tags", "@acme/x"]);
    assert.equal(exit, 3);
    assert.match(
      stderr,
      /^aetherfs: DATASET_NOT_FOUND: .* deleted by .*; bring it back with: aetherfs undelete/,
    );
    assert.match((await place.run(["rm", "--yes", "@acme/x"])).stdout, /was deleted already/);
    assert.deepEqual(await place.json("undelete", "@acme/x"), {
      name: "@acme/x",
      state: "present",
      changed: true,
    });
    assert.match((await place.run(["undelete", "@acme/x"])).stdout, /was not deleted/);
    assert.deepEqual(await place.json("tags", "@acme/x"), before);
  });

  it("copy, mirrors to another store and says so; what cannot be copied is told at the end", async (t) => {
    const place = await published(t, kind);
    const copied = (await place.json("copy", "--all", "--history", "all", "--to", "mirror")) as {
      changes: Record<string, unknown>[];
    };
    assert.deepEqual(keys(copied), NAMES.copy);
    assert.deepEqual(copied.changes.map(({ dataset, tag, entries }) => [dataset, tag, entries]).sort(), [
      ["@acme/x", "latest", 1],
      ["@acme/x", "v1", 1],
      ["@acme/x", "v2", 1],
    ]);
    const again = await place.run(["copy", "@acme/x", "--to", "./mirror"]);
    assert.match(again.stdout, /^unchanged {2}3 tags of 1 datasets: the target has all of it\n/);
    assert.equal((await place.run(["copy", "--to", "mirror"])).exit, 2);
    const hubs = await place.run(["copy", "--all", "--to", "127.0.0.1:1,http://127.0.0.1:1"]);
    assert.equal(hubs.exit, 8, "several hubs are no folder");
    await place.write({ "data/a.txt": "elsewhere\n" });
    const onMirror = { STORE: "./mirror", HUB: "" };
    assert.equal((await place.run(["push", "-t", "@acme/x:v1", "data"], onMirror)).exit, 0);
    const refused = await place.run(["copy", "@acme/*", "--to", "mirror"]);
    assert.deepEqual([refused.exit, /1 of 3 tags .*@acme\/x:v1: .*--force/.test(refused.stderr)], [4, true]);
    assert.equal((await place.run(["copy", "@acme/x:v1", "--force", "--to", "mirror"])).exit, 0);
    assert.equal((await place.run(["verify", "@acme/x:v1"], onMirror)).exit, 0);
  });
}
