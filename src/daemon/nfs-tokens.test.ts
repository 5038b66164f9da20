import assert from "node:assert/strict";
import { hash } from "node:crypto";
import fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { SILENT_LOG } from "../base/log.ts";
import { steppedClock } from "../base/testing/stepped-clock.ts";
import { parseDatasetName } from "../format/reference.ts";
import { FileTokens } from "./nfs-tokens.ts";

const SECRETS = ["0123456789abcdef", "another.secret_of-nfs"] as const;

it("tokens of a file that changes, are those that it has then; of one that is damaged, those before", async (t) => {
  const folder = fs.mkdtempSync(join(tmpdir(), "aetherfs-nfs-tokens-"));
  t.after(() => {
    fs.rmSync(folder, { recursive: true });
  });
  const path = join(folder, "tokens.json");
  const write = (text: string): void => {
    fs.writeFileSync(`${path}.new`, text, { mode: 0o644 });
    fs.renameSync(`${path}.new`, path);
  };
  const messages: string[] = [];
  const note = (facts: unknown, message: string): void => {
    messages.push(`${message} ${String((facts as { err?: unknown }).err)}`);
  };
  const [first, second] = SECRETS;
  write(JSON.stringify({ one: { secret: first, datasets: ["photos", "@team/*"] }, two: { secret: second } }));
  const tokens = await FileTokens.open(path, { ...SILENT_LOG, warn: note, info: note });
  assert.match(messages.join(), /others than its owner/);
  const [one, two] = tokens.all;
  assert.deepEqual(Buffer.from(one?.secret ?? []), hash("sha256", first, "buffer"));
  for (const [name, isOne] of [
    ["photos", true],
    ["@team/a", true],
    ["photos2", false],
    ["@team2/a", false],
    ["@other/photos", false],
  ] as const)
    assert.deepEqual(
      [one?.covers(parseDatasetName(name)), two?.covers(parseDatasetName(name))],
      [isOne, true],
      name,
    );

  const { clock, step } = steppedClock();
  const stop = new AbortController();
  const watching = tokens.watch(clock, stop.signal);
  write(JSON.stringify({ two: { secret: second } }));
  await step();
  assert.deepEqual(
    tokens.all.map(({ name }) => name),
    ["two"],
  );
  for (const broken of ["{", JSON.stringify({ two: { secret: "short" } }), "[]"]) {
    write(broken);
    await step();
    assert.equal(tokens.all[0]?.name, "two");
    assert.match(messages.at(-1) ?? "", /those before stay in use/);
  }
  assert.ok(!SECRETS.some((secret) => messages.join().includes(secret)), "nothing says a secret");
  stop.abort();
  await watching;
});
