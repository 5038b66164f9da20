/** What programs see of a mount while the tag moves that it follows. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { makePlace } from "../cli/command.ts";
import { requirePeer } from "../peers.ts";
import { requireFuse, startMount } from "./mount-place.ts";

const NAMES = 4000;

/** Lists a folder, but waits after the first names for a line on stdin. */
const PYTHON_LISTS = `
import os, sys
with os.scandir(sys.argv[1]) as entries:
    for count, entry in enumerate(entries):
        print(entry.name, flush=count == 10)
        if count == 10: sys.stdin.readline()
`;

function nameOf(index: number): string {
  return `name-${String(index).padStart(20, "0")}`;
}

test("who lists the top while the tag moves is told of one version's names, each once, and who lists it after that of the new one's", async (t) => {
  if (!requireFuse(t)) return;
  const python = requirePeer(t, "python3");
  if (python === undefined) return;
  const place = await makePlace(t);
  const names = Array.from({ length: NAMES }, (_, index) => nameOf(index));
  await place.write(Object.fromEntries(names.map((name) => [`source/${name}`, name])));
  await place.json("push", "-t", "set:v1", "source");
  const { folder, stderr } = await startMount(t, place, ["--follow", "set:v1"]);
  const begin = (): { readonly begun: Promise<void>; readonly end: () => Promise<string[]> } => {
    const lister = spawn(python, ["-I", "-c", PYTHON_LISTS, folder], { stdio: ["pipe", "pipe", "inherit"] });
    t.after(() => lister.kill("SIGKILL"));
    let text = "";
    const closed = new Promise((resolve) => lister.on("close", resolve));
    const begun = new Promise<void>((resolve) => {
      lister.stdout.setEncoding("utf8").on("data", (more: string) => {
        text += more;
        resolve();
      });
    });
    const end = async (): Promise<string[]> => {
      lister.stdin.end("go\n");
      await closed;
      return text.trim().split("\n").sort();
    };
    return { begun, end };
  };
  const during = begin();
  await during.begun;
  // What comes after the n-th is another in a list without the first ones.
  const left = names.slice(NAMES / 4);
  for (const name of names.slice(0, NAMES / 4)) rmSync(join(place.folder, "source", name));
  await place.json("push", "-t", "set:v1", "source");
  while (!stderr().includes("the tag moved")) await new Promise((resolve) => setTimeout(resolve, 20));
  const later = begin();
  assert.deepEqual(await during.end(), names);
  assert.deepEqual(await later.end(), left);
  assert.deepEqual(await begin().end(), left);
});
