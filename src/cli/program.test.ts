import assert from "node:assert/strict";
import { test } from "node:test";
import { parseArguments } from "./program.ts";

function flagsOf(...words: string[]): Record<string, readonly string[]> {
  const invocation = parseArguments(words, "0.0.0", () => undefined);
  return Object.fromEntries(invocation?.flags ?? []);
}

test("options after -o, of which some are mount's own, stand as if they were flags, and the others do nothing", () => {
  const flags = flagsOf(
    "mount",
    "-o",
    "ro,follow,cache_size=2GiB",
    "-o",
    "_netdev,store=/srv/a=b",
    "set:v1",
    "/mnt",
  );
  const { mountOptions, ...rest } = flags;
  assert.deepEqual(mountOptions, ["ro,follow,cache_size=2GiB", "_netdev,store=/srv/a=b"]);
  assert.deepEqual(rest, { follow: ["true"], cacheSize: ["2GiB"], store: ["/srv/a=b"] });
});

test("an option that is another command's, after -o of mount, does nothing", () => {
  assert.deepEqual(Object.keys(flagsOf("mount", "-o", "force,dry-run,port=80", "set:v1", "/mnt")), [
    "mountOptions",
  ]);
});

test("flags with - or _ between their words are the same, with a value beside them or behind a sign", () => {
  for (const words of [["--cache-size", "1GiB"], ["--cache_size=1GiB"], ["--cache-size=1GiB"]]) {
    assert.deepEqual(flagsOf("mount", ...words, "set:v1", "/mnt"), { cacheSize: ["1GiB"] }, words.join(" "));
  }
  assert.deepEqual(flagsOf("push", "--chunk_size", "64K", "-t", "set:v1", "x")["chunkSize"], ["64K"]);
  assert.throws(() => flagsOf("mount", "--no-such", "set:v1", "/mnt"), { code: "ARGUMENT_INVALID" });
});
