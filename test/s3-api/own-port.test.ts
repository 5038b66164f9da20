/** The S3 API's own port of a hub, met by a thousand idle clients, slow ones, two hundred busy ones, and by TLS. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import http2 from "node:http2";
import https from "node:https";
import net from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { KiB, MiB } from "../../src/base/limits.ts";
import { noise } from "../../src/dataset/testing/engine.ts";
import { temporaryFolder } from "../../src/dataset/testing/folder.ts";
import { tagOf } from "../../src/dataset/tag-changes.ts";
import { parseReference } from "../../src/format/reference.ts";
import { connect } from "../../src/sdk/index.ts";
import { startHubProcess, type HubProcess } from "../hub/hub-process.ts";
import { exchange, requestOf } from "../hub/raw-client.ts";
import { makeCertificate } from "../certificate.ts";
import { requirePeer } from "../peers.ts";

const TIMEOUT_MS = 240_000;
const BIG = noise(12, 32 * MiB);
const PART_BYTES = 256 * KiB;
const SMALL = "the right bytes\n";
/** Another client's address, where the machine has one. */
const SLOW_ADDRESS = process.platform === "linux" ? "127.0.0.2" : "127.0.0.1";

let folder: ReturnType<typeof temporaryFolder>;
before(() => {
  folder = temporaryFolder();
  const source = join(folder.path, "source");
  mkdirSync(source);
  writeFileSync(join(source, "big.bin"), BIG);
  writeFileSync(join(source, "small.txt"), SMALL);
  for (let index = 0; index < 3000; index++) writeFileSync(join(source, `file-${index}`), "x");
});
after(() => {
  folder.remove();
});

/** A hub with the dataset `set:v1`, and its S3 port; ended whatever happens. */
async function withHub(
  words: readonly string[],
  work: (hub: HubProcess, port: number) => Promise<void>,
): Promise<void> {
  const home = join(folder.path, "home");
  const first = await startHubProcess({ home, words: ["--memory_limit", "256MiB"] });
  const client = connect(first.host, { cacheDir: join(folder.path, "cache") });
  try {
    await client.push({
      source: join(folder.path, "source"),
      tags: [tagOf(parseReference("set:v1"))],
      publisher: "test",
    });
  } finally {
    await client.close();
    first.kill("SIGTERM");
    await first.ended;
  }
  const hub = await startHubProcess({
    home,
    words: ["--memory_limit", "256MiB", "--s3_port", "0", ...words],
  });
  try {
    const ready = hub.log.find(({ msg }) => msg === "ready");
    await work(hub, Number(new URL(String(ready?.["s3Url"])).port));
    assert.deepEqual(
      hub.log.filter(({ level }) => level === "error"),
      [],
    );
  } finally {
    hub.kill("SIGKILL");
    await hub.ended;
  }
}

describe("the S3 API's own port", { timeout: TIMEOUT_MS }, () => {
  it("with a thousand idle clients, many that send or read nothing, and two hundred busy ones, serves each busy one", () =>
    withHub([], async (_hub, port) => {
      const sockets: net.Socket[] = [];
      const open = (text: string, localAddress = "127.0.0.1"): net.Socket => {
        const socket = net.connect({ port, host: "127.0.0.1", localAddress });
        socket.on("error", () => undefined);
        if (text !== "") socket.write(text);
        sockets.push(socket);
        return socket;
      };
      const get = (target: string): string => `GET ${target} HTTP/1.1\r\nhost: hub\r\n\r\n`;
      try {
        // Half of them asked for something before; the others never end their header.
        for (let index = 0; index < 1000; index++)
          open(index % 2 === 0 ? get("/set/v1/small.txt") : get("/set").slice(0, -2)).resume();
        for (let index = 0; index < 150; index++) {
          open(get("/set/v1/big.bin"), SLOW_ADDRESS).pause();
          open(get("/set?list-type=2"), SLOW_ADDRESS).pause();
        }
        const busy = Array.from({ length: 200 }, async (_, client) => {
          const start = (client * 104_729) % (BIG.byteLength - PART_BYTES);
          const headers = { range: `bytes=${start}-${start + PART_BYTES - 1}` };
          const answer = await fetch(`http://127.0.0.1:${port}/set/v1/big.bin`, { headers });
          assert.equal(answer.status, 206);
          const part = BIG.subarray(start, start + PART_BYTES);
          assert.ok(Buffer.from(await answer.arrayBuffer()).equals(part), String(start));
        });
        for (let round = 0; round < 10; round++) {
          const answer = await fetch(`http://127.0.0.1:${port}/set/v1/small.txt`);
          assert.equal(await answer.text(), SMALL);
        }
        await Promise.all(busy);
      } finally {
        for (const socket of sockets) socket.destroy();
      }
      const { status, answers } = await exchange(
        port,
        requestOf("GET /set/v1/small.txt HTTP/1.1", ["host: b"]),
      );
      assert.deepEqual([status, answers], [400, 1], "as on the hub's own port");
    }));

  it("with certificates, speaks TLS by HTTP/1.1 and HTTP/2, and nothing else", async (t) => {
    if (!requirePeer(t, "openssl")) return;
    const { certFile, keyFile } = makeCertificate(join(folder.path, "hub"));
    const words = ["--tls_enable", "--tls_cert_file", certFile, "--tls_key_file", keyFile];
    await withHub(words, async (_hub, port) => {
      const url = `https://127.0.0.1:${port}`;
      const text = await new Promise<string>((resolve, reject) => {
        const asked = https.get(
          `${url}/set/v1/small.txt`,
          { rejectUnauthorized: false, agent: false },
          (answer) => {
            let body = "";
            answer.setEncoding("utf8").on("data", (part: string) => (body += part));
            answer.on("end", () => {
              resolve(body);
            });
          },
        );
        asked.on("error", reject);
      });
      assert.equal(text, SMALL);
      const session = http2.connect(url, { rejectUnauthorized: false });
      try {
        const stream = session.request({ ":path": "/set/v1/small.txt" });
        let body = "";
        for await (const part of stream.setEncoding("utf8")) body += String(part);
        assert.equal(body, SMALL);
      } finally {
        session.destroy();
      }
      assert.match((await exchange(port, requestOf("GET /set HTTP/1.1"))).text, /400[^]*speaks TLS/);
    });
  });
});
