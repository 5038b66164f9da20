import assert from "node:assert/strict";
import fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { readS3Keys } from "./s3-keys.ts";

const folder = fs.mkdtempSync(join(tmpdir(), "aetherfs-s3-keys-"));
after(() => {
  fs.rmSync(folder, { recursive: true });
});

function file(name: string, text: string, mode = 0o600): string {
  const path = join(folder, name);
  fs.writeFileSync(path, text);
  fs.chmodSync(path, mode);
  return path;
}

describe("a file of access keys", () => {
  it("in YAML, JSON or TOML, has the same keys; who has no name has that of the id", async () => {
    const expected = new Map([
      ["AKIA1", { secret: "s3cr3t/+=", name: "alice" }],
      ["AKIA2", { secret: "another one", name: "AKIA2" }],
    ]);
    for (const path of [
      file("a.yaml", 'AKIA1:\n  secret: "s3cr3t/+="\n  name: alice\nAKIA2: { secret: another one }\n'),
      file("a.json", '{"AKIA1":{"secret":"s3cr3t/+=","name":"alice"},"AKIA2":{"secret":"another one"}}'),
      file("a.toml", '[AKIA1]\nsecret = "s3cr3t/+="\nname = "alice"\n[AKIA2]\nsecret = "another one"\n'),
    ]) {
      assert.deepEqual(await readS3Keys(path), { keys: expected, isPrivate: true });
    }
  });

  it("that others may read, is read, and said to be so", async () => {
    const path = file("open.yaml", "AKIA1: { secret: s3cr3t-s3cr3t }", 0o640);
    assert.equal((await readS3Keys(path)).isPrivate, false);
  });

  it("that is missing, is refused, and the flag is named that asks for it", async () => {
    await assert.rejects(readS3Keys("/nowhere/keys.yaml"), {
      code: "CONFIG_INVALID",
      message: "the file of access keys (--s3_keys_file) /nowhere/keys.yaml does not exist",
    });
  });

  it("that is malformed, is refused with nothing of its text", async () => {
    for (const [name, text] of [
      ["b.json", '{"AKIA1":{"secret":"s3cr3t-s3cr3t"'],
      ["b.yaml", "AKIA1: [s3cr3t-s3cr3t"],
      ["b.toml", "[AKIA1]\nsecret = s3cr3t-s3cr3t\n"],
      ["b.txt", "AKIA1 s3cr3t-s3cr3t"],
      ["c.json", '["s3cr3t-s3cr3t"]'],
      ["d.yaml", "AKIA1: s3cr3t-s3cr3t"],
      ["e.yaml", "AKIA1: { secret: short }"],
      ["f.yaml", "a/b: { secret: s3cr3t-s3cr3t }"],
      ["g.yaml", 'AKIA1: { secret: s3cr3t-s3cr3t, name: "" }'],
      ["h.yaml", "AKIA1: { secret: s3cr3t-s3cr3t, nmae: alice }"],
    ] as const) {
      await assert.rejects(readS3Keys(file(name, text)), (error: Error & { code?: string }) => {
        assert.equal(error.code, "CONFIG_INVALID", name);
        assert.doesNotMatch(`${error.message} ${String(error.cause)}`, /s3cr3t|short/, name);
        return true;
      });
    }
  });

  it("that is not there, is refused with CONFIG_INVALID", async () => {
    await assert.rejects(readS3Keys(join(folder, "none.yaml")), { code: "CONFIG_INVALID" });
  });
});
