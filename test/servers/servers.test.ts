/** That servers start, answer, and are gone afterwards. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ListObjectsV2Command, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { Daemons, freePorts, withAttempts } from "./daemons.ts";
import { RADOSGW_PEERS, startRadosgw } from "./radosgw.ts";
import { newBucket } from "./buckets.ts";
import { SharedServer } from "./shared.ts";
import { startSwift, SWIFT_PEERS } from "./swift.ts";

/** A program that runs until it is ended, whatever further arguments it has. */
const IDLE = [process.execPath, "-e", "setInterval(() => undefined, 1e6)"];

/** Ids of processes whose command line has this text. */
function processesWith(text: string): string[] {
  return readdirSync("/proc").filter((name) => {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) return false;
    try {
      return readFileSync(`/proc/${name}/cmdline`, "utf8").includes(text);
    } catch {
      return false;
    }
  });
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await sleep(20);
}

describe("Daemons", () => {
  test("stop ends every program and removes the folder", async () => {
    const daemons = new Daemons("probe");
    assert.equal(await daemons.run("echo", "hello"), "hello\n");
    daemons.start("one", ...IDLE, `# ${daemons.folder}`);
    const command = assert.rejects(daemons.run(...IDLE, `# ${daemons.folder}`));
    await until(() => processesWith(`# ${daemons.folder}`).length === 2);
    await daemons.stop();
    await command;
    assert.deepEqual([processesWith(daemons.folder), existsSync(daemons.folder)], [[], false]);
  });

  test("the process that started them, killed, leaves neither programs nor the folder", async () => {
    const module = new URL("daemons.ts", import.meta.url).href;
    const script = `const { Daemons } = await import("${module}");
      const daemons = new Daemons("probe");
      daemons.start("one", ...${JSON.stringify(IDLE)}, "# " + daemons.folder);
      console.log(daemons.folder);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = once(child, "close");
    let folder = "";
    for await (const line of createInterface(child.stdout)) {
      folder = line;
      await until(() => processesWith(`# ${folder}`).length > 0);
      child.kill("SIGKILL");
    }
    await ended;
    assert.match(folder, /aetherfs-probe-/);
    await until(() => !existsSync(folder));
    await until(() => processesWith(folder).length === 0);
  });

  test("a program that ends before it answers fails the start with its log, and leaves nothing", async () => {
    const folders: string[] = [];
    const [port = 0] = await freePorts(1);
    const starting = withAttempts("probe", async (daemons) => {
      folders.push(daemons.folder);
      daemons.start("one", "sh", "-c", "echo went wrong >&2; exit 3");
      await daemons.answers(`http://127.0.0.1:${port}`);
    });
    await assert.rejects(starting, /one ended: went wrong/);
    assert.equal(folders.length, 3);
    for (const folder of folders) assert.deepEqual(processesWith(folder), []);
    for (const folder of folders) assert.equal(existsSync(folder), false);
  });
});

for (const { name, peers, start, takesConditions } of [
  { name: "radosgw", peers: RADOSGW_PEERS, start: startRadosgw, takesConditions: true },
  { name: "Swift", peers: SWIFT_PEERS, start: startSwift, takesConditions: false },
]) {
  test(`${name}, started, keeps an object${takesConditions ? " and to conditions" : ", refuses conditions"}, and is gone after stop`, async (t) => {
    if (!new SharedServer(peers, start).require(t)) return;
    const server = await start();
    const { endpoint, credentials } = server;
    const client = new S3Client({ endpoint, credentials, region: "us-east-1", forcePathStyle: true });
    try {
      const object = { Bucket: await newBucket(server), Key: "a", Body: "text", ContentLength: 4 };
      await client.send(new PutObjectCommand(object));
      const { Contents } = await client.send(new ListObjectsV2Command({ Bucket: object.Bucket }));
      assert.deepEqual(
        Contents?.map(({ Key, Size }) => [Key, Size]),
        [["a", 4]],
      );
      const again = client.send(new PutObjectCommand({ ...object, IfNoneMatch: "*" }));
      await assert.rejects(again, (error: { $metadata?: { httpStatusCode?: number } }) => {
        assert.equal(error.$metadata?.httpStatusCode, takesConditions ? 412 : 501);
        return true;
      });
    } finally {
      client.destroy();
      await server.stop();
    }
    await assert.rejects(fetch(endpoint));
  });
}
