import assert from "node:assert/strict";
import fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { SILENT_LOG } from "../base/log.ts";
import { steppedClock } from "../base/testing/stepped-clock.ts";
import { FileKeys } from "./s3-keys.ts";

it("access keys of a file that changes, are those that it has then; of one that is damaged, those before", async (t) => {
  const folder = fs.mkdtempSync(join(tmpdir(), "aetherfs-s3-keys-"));
  t.after(() => {
    fs.rmSync(folder, { recursive: true });
  });
  const path = join(folder, "keys.yaml");
  const write = (text: string): void => {
    fs.writeFileSync(`${path}.new`, text);
    fs.renameSync(`${path}.new`, path);
  };
  const messages: string[] = [];
  const note = (_facts: unknown, message: string): void => void messages.push(message);
  const log = { ...SILENT_LOG, warn: note, info: note };
  write("AKIA1: { secret: first-secret }");
  const keys = await FileKeys.open(path, log);
  assert.match(messages.join(), /others than its owner/);
  assert.equal(keys.find("AKIA1")?.secret, "first-secret");

  const { clock, step } = steppedClock();
  const stop = new AbortController();
  const watching = keys.watch(clock, stop.signal);
  write("AKIA2: { secret: second-secret }");
  await step();
  assert.deepEqual([keys.find("AKIA1"), keys.find("AKIA2")?.secret], [undefined, "second-secret"]);
  write("AKIA3: [");
  await step();
  assert.equal(keys.find("AKIA2")?.secret, "second-secret");
  assert.match(messages.at(-1) ?? "", /those before stay in use/);
  fs.rmSync(path);
  await step();
  assert.equal(keys.find("AKIA2")?.secret, "second-secret");
  stop.abort();
  await watching;
});
