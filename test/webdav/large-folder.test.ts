/** A folder of 100,000 files. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import net from "node:net";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { systemClock } from "../../src/base/clock.ts";
import { MiB } from "../../src/base/limits.ts";
import { requirePeer } from "../peers.ts";
import { openWebdavBed, watched, type WebdavBed } from "./webdav-bed.ts";

const run = promisify(execFile);
const FILES = 100_000;

let bed: WebdavBed;
before(async () => {
  bed = await openWebdavBed();
  for (let index = 0; index < FILES; index++) bed.push.write(`many/file-${index}`, "");
  await bed.publish("set:v1");
});
after(() => bed.close());

describe("a folder of 100,000 files", () => {
  it("is listed by rclone, whole", async (t) => {
    const rclone = requirePeer(t, "rclone");
    if (rclone === undefined) return;
    const url = `${bed.url}/set/v1/many`;
    const words = ["--config", "", "--webdav-url", url, "lsf", ":webdav:"];
    const { stdout } = await run(rclone, words, { maxBuffer: 64 * MiB });
    assert.equal(new Set(stdout.trim().split("\n")).size, FILES);
  });

  it("is read no further than the client takes it", async () => {
    let batches = 0;
    const url = await bed.listen({ tree: (tree) => watched(tree, () => batches++) });
    const whole = await fetch(`${url}/set/v1/many/`, { method: "PROPFIND", headers: { depth: "1" } });
    assert.equal((await whole.text()).match(/<D:href>/g)?.length, FILES + 1);
    const all = batches;
    batches = 0;
    const socket = net.connect(Number(new URL(url).port), "127.0.0.1");
    socket.on("error", () => undefined);
    socket.pause();
    const head = `host: a\r\ndepth: 1\r\n\r\n`;
    socket.write(`PROPFIND /webdav/set/v1/many/ HTTP/1.1\r\n${head}`);
    let before = -1;
    // Until nothing moves any more.
    while (batches !== before || batches === 0) {
      before = batches;
      await systemClock.sleep(300);
    }
    assert.ok(batches < all / 2, `${batches} of ${all} batches, with nobody reading`);
    socket.destroy();
  });
});
