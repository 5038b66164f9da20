/** `aetherfs push` of archives, as files and through stdin. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { environmentOf, execute, makePlace, type Outcome, type Place } from "./command.ts";

/** Pushes these bytes through stdin, which stays open when there is an `end`: it is to end the command. */
function pushStdin(
  place: Place,
  words: readonly string[],
  bytes: Uint8Array,
  end?: NodeJS.Signals,
): Promise<Outcome> {
  const all = ["push", "-t", "x:stdin", ...words, "-"];
  const drive: Parameters<typeof execute>[3] = (child) => {
    // The command may end before it has read all.
    child.stdin?.on("error", () => undefined);
    if (end === undefined) child.stdin?.end(bytes);
    else {
      child.stdin?.write(bytes);
      child.stderr?.once("data", () => child.kill(end));
    }
  };
  return execute(all, place.folder, { ...environmentOf(place.folder), ...place.environment }, drive, "pipe");
}

/** What the temporary files' folder holds. */
function spool(place: Place): readonly string[] {
  return readdirSync(join(place.folder, ".cache/aetherfs/spool"));
}

async function makeArchive(place: Place): Promise<Buffer> {
  await place.write({ "in/a/b": "text", "in/c": "more" });
  execFileSync("tar", ["--format=pax", "-C", "in", "-czf", "in.tar.gz", "."], { cwd: place.folder });
  return readFileSync(join(place.folder, "in.tar.gz"));
}

describe("aetherfs push of an archive", () => {
  for (const kind of ["store", "hub"] as const) {
    it(`to a ${kind}, from a file and from stdin, gives the folder's version`, async (t) => {
      const place = await makePlace(t, kind);
      const bytes = await makeArchive(place);
      const { digest } = (await place.json("push", "-t", "x:folder", "in")) as { digest: string };
      const fromFile = (await place.json("push", "-t", "x:file", "in.tar.gz")) as { digest: string };
      assert.equal(fromFile.digest, digest);
      const { exit, stdout, stderr } = await pushStdin(place, ["--output", "json"], bytes);
      assert.equal(exit, 0, stderr);
      assert.equal((JSON.parse(stdout) as { digest: string }).digest, digest);
      assert.deepEqual(spool(place), []);
    });
  }

  it("over --spool_limit, or cut off, says so and leaves no tag", async (t) => {
    const place = await makePlace(t);
    const bytes = await makeArchive(place);
    const tight = await pushStdin(place, ["--spool_limit", "4KiB"], bytes);
    assert.equal(tight.exit, 2);
    assert.match(tight.stderr, /^aetherfs: LIMIT_EXCEEDED: .*--spool_limit/);
    const cut = await pushStdin(place, [], bytes.subarray(0, -20));
    assert.equal(cut.exit, 10);
    assert.match(cut.stderr, /^aetherfs: SOURCE_UNREADABLE: .*truncated/);
    const empty = await pushStdin(place, [], Buffer.alloc(0));
    assert.equal(empty.exit, 10);
    assert.match(empty.stderr, /^aetherfs: SOURCE_UNSUPPORTED: .*archive/);
    assert.notEqual((await place.run(["show", "x:stdin"])).exit, 0);
  });

  for (const [signal, exit] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGKILL", null],
  ] as const) {
    it(`ended by ${signal} while stdin goes on, leaves nothing of what was unpacked`, async (t) => {
      const place = await makePlace(t);
      await makeArchive(place);
      const tar = execFileSync("tar", ["-C", "in", "-c", "."], { cwd: place.folder });
      const unfinished = tar.subarray(0, 2048);
      const outcome = await pushStdin(place, ["--progress", "json"], unfinished, signal);
      assert.match(outcome.stderr, /"phase":"unpack"/);
      assert.equal(outcome.exit, exit, outcome.stderr);
      assert.deepEqual(spool(place), []);
    });
  }
});
