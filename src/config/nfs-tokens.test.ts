import assert from "node:assert/strict";
import fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { readNfsTokens } from "./nfs-tokens.ts";

const SECRET = "0123456789abcdef";

function folderOf(t: { after: (end: () => void) => void }): string {
  const folder = fs.mkdtempSync(join(tmpdir(), "aetherfs-nfs-tokens-"));
  t.after(() => {
    fs.rmSync(folder, { recursive: true });
  });
  return folder;
}

it("tokens in YAML, JSON and TOML, are the same", async (t) => {
  const folder = folderOf(t);
  const texts = {
    yaml: `alice: { secret: ${SECRET}, datasets: ["@team/*"] }`,
    json: JSON.stringify({ alice: { secret: SECRET, datasets: ["@team/*"] } }),
    toml: `[alice]\nsecret = "${SECRET}"\ndatasets = ["@team/*"]\n`,
  };
  for (const [ending, text] of Object.entries(texts)) {
    const path = join(folder, `tokens.${ending}`);
    fs.writeFileSync(path, text, { mode: 0o600 });
    const { tokens, isPrivate } = await readNfsTokens(path);
    assert.deepEqual(tokens, [{ name: "alice", secret: SECRET, datasets: ["@team/*"] }], ending);
    assert.equal(isPrivate, true);
  }
});

it("tokens that are none, fail with CONFIG_INVALID, and the error has nothing of the file's text", async (t) => {
  const path = join(folderOf(t), "tokens.json");
  for (const value of [
    [],
    { alice: SECRET },
    { alice: {} },
    { alice: { secret: "too-short" } },
    { alice: { secret: 1_234_567_890_123_456 } },
    { alice: { secret: `${SECRET}/` } },
    { alice: { secret: `${SECRET} ` } },
    { alice: { secret: "x".repeat(129) } },
    { alice: { secret: SECRET, dataset: ["photos"] } },
    { alice: { secret: SECRET, datasets: "photos" } },
    { alice: { secret: SECRET, datasets: ["Photos"] } },
    { alice: { secret: SECRET, datasets: ["*/photos"] } },
    { alice: { secret: SECRET, datasets: ["pho*"] } },
    { "": { secret: SECRET } },
    { "a\nb": { secret: SECRET } },
    { alice: { secret: SECRET }, bob: { secret: SECRET } },
  ]) {
    fs.writeFileSync(path, JSON.stringify(value));
    await assert.rejects(readNfsTokens(path), (error: { code?: string; message?: string }) => {
      assert.equal(error.code, "CONFIG_INVALID", JSON.stringify(value));
      assert.ok(!String(error.message).includes(SECRET));
      return true;
    });
  }
});
