/** What commands do beside what is the same on a store and on a hub. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { COMMANDS } from "../../src/cli/commands.ts";
import { makePlace } from "./command.ts";
import { keys, published } from "./commands-suite.ts";

describe("aetherfs", () => {
  it("verify of a whole store, says what is lost by damage, with its exit code, and heals it from a mirror", async (t) => {
    const place = await published(t, "store");
    const sound = (await place.json("verify")) as Record<string, unknown>;
    assert.deepEqual(
      [sound["tags"], sound["versions"], sound["faultCount"], sound["lostCount"]],
      [3, 2, 0, 0],
    );
    await place.json("copy", "--all", "--history", "all", "--to", "mirror");
    const blocks = join(place.store, "aetherfs/v1/blocks");
    const names = await readdir(blocks, { recursive: true });
    for (const name of names.filter((each) => each.length > 10)) {
      const bytes = await readFile(join(blocks, name));
      bytes.writeUInt8(bytes.readUInt8(33) ^ 4, 33);
      await writeFile(join(blocks, name), bytes);
    }
    const quick = await place.run(["verify", "--structure"]);
    assert.deepEqual([quick.exit, /all is sound/.test(quick.stdout)], [0, true]);
    const found = await place.run(["verify", "--rate-limit", "100MiB"]);
    assert.equal(found.exit, 5);
    assert.match(found.stdout, /^fault {5}block sha256:[0-9a-f]{64}: OBJECT_CORRUPT/m);
    assert.match(found.stdout, /^lost {6}\d files of @acme\/x:/m);
    const told = JSON.parse((await place.run(["verify", "--output", "json"])).stdout) as {
      lost: { paths: string[] }[];
    };
    assert.ok(told.lost.some(({ paths }) => paths.includes("a.txt")));
    const healed = await place.run(["verify", "--heal-from", "./mirror"]);
    assert.deepEqual([healed.exit, /^all is sound now$/m.test(healed.stdout)], [0, true], healed.stderr);
    assert.equal((await place.run(["verify", "@acme/x:v1"])).exit, 0);
    assert.equal((await place.run(["verify"], { STORE: "", HUB: "localhost:1" })).exit, 2);
  });

  it("version and help, need no store", async (t) => {
    const place = await makePlace(t);
    const version = await place.json("version");
    assert.deepEqual(keys(version), ["version", "node", "platform"]);
    assert.match((await place.run(["--version"])).stdout, /^\d+\.\d+\.\d+\n$/);
    for (const words of [[], ["--help"], ["help"]]) {
      const { exit, stdout, stderr } = await place.run(words);
      assert.deepEqual([exit, stderr], [0, ""]);
      for (const { name } of COMMANDS) assert.match(stdout, new RegExp(`^  ${name} `, "m"));
    }
    const { stdout } = await place.run(["push", "--help"]);
    assert.match(stdout, /--skip-unreadable[\s\S]*--memory_limit[\s\S]*Examples:/);
    assert.equal(existsSync(place.store), false);
  });
});
