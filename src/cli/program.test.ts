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

test("all that mount(8), fstab and systemd say of a mount besides may stand after -o", () => {
  const line =
    "rw,user,noauto,_netdev,nofail,x-systemd.automount,x-systemd.idle-timeout=60,comment=a b,,noatime";
  assert.deepEqual(Object.keys(flagsOf("mount", "-o", line, "set:v1", "/mnt")), ["mountOptions"]);
  const own = flagsOf("mount", "-o", "allow-other,uid=1000,noexec", "set:v1", "/mnt");
  assert.deepEqual([own["allowOther"], own["uid"], own["noexec"]], [["true"], ["1000"], ["true"]]);
});

test("an option after -o of mount that is unknown, or another command's, is refused by its name", () => {
  for (const option of ["bogus", "port=80", "dry-run", "context=x", "remount"]) {
    assert.throws(() => flagsOf("mount", "-o", `ro,${option}`, "set:v1", "/mnt"), {
      code: "ARGUMENT_INVALID",
      message: `there is no mount option ${option.split("=")[0]}: aetherfs mount --help has those that -o takes`,
    });
  }
});

test("flags with - or _ between their words are the same, with a value beside them or behind a sign", () => {
  for (const words of [["--cache-size", "1GiB"], ["--cache_size=1GiB"], ["--cache-size=1GiB"]]) {
    assert.deepEqual(flagsOf("mount", ...words, "set:v1", "/mnt"), { cacheSize: ["1GiB"] }, words.join(" "));
  }
  assert.deepEqual(flagsOf("push", "--chunk_size", "64K", "-t", "set:v1", "x")["chunkSize"], ["64K"]);
  assert.throws(() => flagsOf("mount", "--no-such", "set:v1", "/mnt"), { code: "ARGUMENT_INVALID" });
});
