import assert from "node:assert/strict";
import fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { systemClock, type Clock } from "../base/clock.ts";
import { SILENT_LOG } from "../base/log.ts";
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

  const looks: (() => void)[] = [];
  const clock: Clock = {
    ...systemClock,
    sleep: (_delay, signal) =>
      new Promise((resolve, reject) => {
        signal?.addEventListener("abort", () => {
          reject(new Error("aborted"));
        });
        looks.shift()?.();
        ticks.push(resolve);
      }),
  };
  const ticks: (() => void)[] = [];
  /** Has the file looked at, and waits until that is done. */
  const look = async (): Promise<void> => {
    const done = new Promise<void>((resolve) => looks.push(resolve));
    ticks.shift()?.();
    await done;
  };
  const stop = new AbortController();
  const watching = keys.watch(clock, stop.signal);
  write("AKIA2: { secret: second-secret }");
  await look();
  assert.deepEqual([keys.find("AKIA1"), keys.find("AKIA2")?.secret], [undefined, "second-secret"]);
  write("AKIA3: [");
  await look();
  assert.equal(keys.find("AKIA2")?.secret, "second-secret");
  assert.match(messages.at(-1) ?? "", /those before stay in use/);
  fs.rmSync(path);
  await look();
  assert.equal(keys.find("AKIA2")?.secret, "second-secret");
  stop.abort();
  await watching;
});
