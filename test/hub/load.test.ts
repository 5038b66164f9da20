/** A hub with many clients at once, of which some are hostile or vanish, and one that is killed under load. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { MiB } from "../../src/base/limits.ts";
import { noise } from "../../src/dataset/testing/engine.ts";
import { readFolder } from "../../src/dataset/testing/folder.ts";
import { parseReference } from "../../src/format/reference.ts";
import type { Digest } from "../../src/format/digest.ts";
import type { Client } from "../../src/sdk/client.ts";
import { connect } from "../../src/sdk/index.ts";
import { LAUNCHER, environmentIn } from "../program.ts";
import { startHubProcess, withHubProcess, type HubProcess } from "./hub-process.ts";

const LIMIT_MIB = 256;
/** What a hub may have resident beyond its limit: code, the runtime, threads. */
const BEYOND_MIB = 100;

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "aetherfs-load-"));
});
after(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** A folder of some files of noise, of `bytes` in all. */
function makeSource(name: string, seed: number, bytes: number, files = 6): string {
  const source = join(folder, name);
  mkdirSync(source);
  for (let index = 0; index < files; index++) {
    writeFileSync(join(source, `file-${index}`), noise(seed * 100 + index, Math.floor(bytes / files)));
  }
  return source;
}

async function publish(client: Client, source: string, text: string): Promise<Digest> {
  const { name, tag = "latest" } = parseReference(text);
  const tags = [{ name, tag } as never];
  return (await client.push({ source, tags, publisher: "load" })).digest;
}

/** The largest resident memory that a process had, in MiB (Linux). */
function peakMiB(pid: number): number {
  const [, kib = "0"] = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kib) / 1024;
}

function checkMemory(hub: HubProcess): void {
  if (process.platform !== "linux") return;
  const peak = peakMiB(hub.pid);
  assert.ok(peak > 0 && peak <= LIMIT_MIB + BEYOND_MIB, `the hub had ${peak.toFixed(0)} MiB`);
}

const words = ["--memory_limit", `${LIMIT_MIB}MiB`];

describe("a hub under load", () => {
  it("of 200 pulls and 20 pushes at once, serves every one, within its memory", async () => {
    await withHubProcess({ words }, async (hub) => {
      const clients = Array.from({ length: 4 }, () =>
        connect(hub.host, { threads: 1, memoryBytes: 64 * MiB }),
      );
      try {
        const first = clients[0] as Client;
        const source = makeSource("common", 1, 2 * MiB);
        const digest = await publish(first, source, "common:latest");
        const expected = readFolder(source);
        const pulls = Array.from({ length: 200 }, async (_, index) => {
          const client = clients[index % clients.length] as Client;
          const target = join(folder, `pulled-${index}`);
          await client.pull({ name: parseReference("common").name, version: digest, target });
          assert.deepEqual(readFolder(target), expected);
          rmSync(target, { recursive: true });
        });
        const pushes = Array.from({ length: 20 }, async (_, index) => {
          const client = clients[index % clients.length] as Client;
          const own = makeSource(`own-${index}`, 2 + index, 3 * MiB);
          return [index, await publish(client, own, `own:v${index}`)] as const;
        });
        await Promise.all(pulls);
        for (const [index, version] of await Promise.all(pushes)) {
          const { name } = parseReference("own");
          const { version: found } = await first.resolve(parseReference(`own:v${index}`));
          assert.equal(found, version);
          assert.equal((await first.verify(name, version)).bytes, 6 * Math.floor((3 * MiB) / 6));
        }
        checkMemory(hub);
      } finally {
        await Promise.all(clients.map((client) => client.close()));
      }
    });
  });

  it("met by clients that are slow, vanish or send nonsense, goes on serving others, within its memory", async () => {
    await withHubProcess({ words }, async (hub) => {
      const client = connect(hub.host, { threads: 1, memoryBytes: 64 * MiB });
      const hostile = new Hostile(hub.port);
      try {
        const source = makeSource("large", 50, 48 * MiB, 3);
        const digest = await publish(client, source, "large:latest");
        const { name } = parseReference("large");
        hostile.begin();
        const vanished = Array.from({ length: 4 }, (_, index) => pushAndVanish(hub, source, `gone-${index}`));
        for (let round = 0; round < 10; round++) {
          const version = await client.openVersion(name, digest);
          const parts: Uint8Array[] = [];
          const range = { start: 1000, end: 900_000 };
          for await (const part of client.cat(version, "file-1", range)) parts.push(part);
          const expected = noise(50 * 100 + 1, 16 * MiB).subarray(range.start, range.end);
          assert.ok(Buffer.concat(parts).equals(expected), `round ${round}`);
        }
        await Promise.all(vanished);
        await hostile.settled();
        const own = makeSource("after", 60, 2 * MiB);
        await publish(client, own, "after:latest");
        assert.equal((await fetch(`${hub.url}/readyz`)).status, 200);
        checkMemory(hub);
        const faults = hub.log.filter(({ level }) => level === "error");
        assert.deepEqual(faults, [], "what clients do is no fault of the hub");
      } finally {
        hostile.end();
        await client.close();
      }
    });
  });

  it("killed again and again, loses nothing that it acknowledged, and pushes go on when it is back", async () => {
    const home = mkdtempSync(join(folder, "home-"));
    let hub = await startHubProcess({ words, home });
    const { port } = hub;
    const client = connect(hub.host, { threads: 1, memoryBytes: 64 * MiB });
    const acknowledged = new Map<string, Digest>();
    const enough = 40;
    const producer = async (id: number): Promise<void> => {
      for (let count = 0; acknowledged.size < enough; count++) {
        const text = `killed:v${id}-${count}`;
        const source = makeSource(`killed-${id}-${count}`, 1000 * (id + 1) + count, MiB, 2);
        acknowledged.set(text, await publish(client, source, text));
      }
    };
    try {
      const producers = Promise.all([0, 1, 2, 3].map(producer));
      for (const reached of [5, 15, 25]) {
        while (acknowledged.size < reached) await Promise.race([producers, pause()]);
        hub.kill("SIGKILL");
        await hub.ended;
        hub = await startHubProcess({ words, home, port });
      }
      await producers;
      for (const [text, digest] of acknowledged) {
        const reference = parseReference(text);
        assert.equal((await client.resolve(reference)).version, digest, text);
        await client.verify(reference.name, digest);
      }
    } finally {
      hub.kill("SIGKILL");
      await hub.ended;
      await client.close();
    }
  });
});

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 5));
}

/** A push in a process of its own, which is killed once it has begun to send. */
async function pushAndVanish(hub: HubProcess, source: string, tag: string): Promise<void> {
  const words = ["push", "--progress", "json", "-t", `${hub.host}/vanished:${tag}`, source];
  const env = environmentIn(join(folder, tag));
  const child = spawn(LAUNCHER, words, { env, stdio: ["ignore", "ignore", "pipe"] });
  child.stderr.once("data", () => child.kill("SIGKILL"));
  child.stderr.resume();
  await once(child, "close");
}

/** Connections that misbehave, each in its own way. */
class Hostile {
  readonly #port: number;
  readonly #sockets: net.Socket[] = [];

  constructor(port: number) {
    this.#port = port;
  }

  begin(): void {
    const crlf = "\r\n";
    const head = (line: string, ...headers: string[]): string =>
      [line, "host: h", ...headers, "", ""].join(crlf);
    const h2 = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for (let count = 0; count < 30; count++) {
      // Asks for much and reads nothing.
      this.#open(head("GET /fs/large/latest/file-0 HTTP/1.1")).pause();
      // Says little, and then nothing.
      this.#open("GET / HT");
      this.#open(
        head(
          "POST /bulk/v1/frames HTTP/1.1",
          "content-type: application/protobuf",
          "content-length: 4000000",
        ) + "x",
      );
    }
    for (let count = 0; count < 5; count++) {
      this.#open(head("GET / HTTP/1.1", `x: ${"y".repeat(200_000)}`));
      this.#open(
        head("POST /bulk/v1/frames HTTP/1.1", "content-type: application/protobuf", "content-length: 4") +
          "\xff\xff\xff\xff",
      );
      this.#open(head("POST /bulk/v1/frames HTTP/1.1", "content-length: 99999999999"));
      this.#open(head("POST /bulk/v1/frames HTTP/1.1", "transfer-encoding: chunked") + "zz\r\n");
      this.#open(head("POST / HTTP/1.1", "content-length: 1", "transfer-encoding: chunked") + "0\r\n\r\n");
      this.#open(
        `${head("PUT /api/v1/catalog/a/tags/b HTTP/1.1", "content-length: 500000")}${"[".repeat(500_000)}`,
      );
      this.#open(`${h2}\xff\xff\xff\x00\x00\x00\x00\x00\x01`);
      this.#open(`${h2}\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00`);
      this.#open(`${h2}${"\x00\x00\x00\x04\x00\x00\x00\x00\x00".repeat(20_000)}`);
      this.#open("\x16\x03\x01\x02\x00\x01\x00\x01");
      this.#open(Buffer.from(noise(count, 100_000)).toString("latin1"));
    }
  }

  /** Until each has connected and sent what it has to send, or was refused. */
  async settled(): Promise<void> {
    while (this.#sockets.some((socket) => socket.connecting && !socket.destroyed)) await pause();
  }

  end(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #open(text: string): net.Socket {
    const socket = net.connect(this.#port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.resume();
    socket.write(text, "latin1");
    this.#sockets.push(socket);
    return socket;
  }
}
