/** Many who read parts of files at once, at any pace: the hub's memory is used again and again, and each gets the right bytes. */
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import fs from "node:fs";
import { Agent, get, type IncomingMessage } from "node:http";
import { connect as connectHttp2, type ClientHttp2Session } from "node:http2";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { MiB } from "../../src/base/limits.ts";
import { noise } from "../../src/dataset/testing/engine.ts";
import { temporaryFolder } from "../../src/dataset/testing/folder.ts";
import { connect } from "../../src/sdk/index.ts";
import { openHub, type TestHub } from "./test-hub.ts";

const READERS = 24;
const PARTS_EACH = 8;
const PART_BYTES_MAX = 3 * MiB;
const LINES = 400_000;

/** A part of a file that somebody asks for: `end` is the byte after its last one. */
interface Part {
  readonly file: string;
  readonly start: number;
  readonly end: number;
}

const contents = new Map([
  ["raw.bin", noise(5, 20 * MiB + 321)],
  ["text.txt", Buffer.from(Array.from({ length: LINES }, (_, line) => `${line} ${line * 7919}\n`).join(""))],
  ["small.bin", noise(6, 50_000)],
]);

let hub: TestHub;
let folder: ReturnType<typeof temporaryFolder>;
before(async () => {
  folder = temporaryFolder();
  const source = path.join(folder.path, "source");
  fs.mkdirSync(source);
  for (const [name, bytes] of contents) fs.writeFileSync(path.join(source, name), bytes);
  // So little that not all parts under way fit.
  hub = await openHub({ memoryBytes: 48 * MiB });
  const client = connect(hub.host, { cacheDir: path.join(folder.path, "cache") });
  try {
    await hub.push(client, source, ["set:one"]);
  } finally {
    await client.close();
  }
});
after(async () => {
  await hub.close();
  folder.remove();
});

function anyPart(): Part {
  const [file, bytes] = [...contents][randomInt(contents.size)] ?? ["", Buffer.alloc(0)];
  const start = randomInt(bytes.byteLength);
  return { file, start, end: Math.min(bytes.byteLength, start + 1 + randomInt(PART_BYTES_MAX)) };
}

function isRight({ file, start, end }: Part, bytes: Buffer): void {
  const wanted = contents.get(file)?.subarray(start, end) ?? Buffer.alloc(0);
  assert.ok(bytes.equals(wanted), `${file} from ${start} to ${end}`);
}

function headersOf({ start, end }: Part): { readonly range: string } {
  return { range: `bytes=${start}-${end - 1}` };
}

async function bytesOf(stream: AsyncIterable<unknown>): Promise<Buffer> {
  const bytes: Buffer[] = [];
  for await (const part of stream) bytes.push(part as Buffer);
  return Buffer.concat(bytes);
}

async function answerTo(part: Part, agent: Agent): Promise<IncomingMessage> {
  const options = { agent, headers: headersOf(part) };
  return new Promise((resolve, reject) => {
    get(`${hub.url}/fs/set/one/${part.file}`, options, resolve).on("error", reject);
  });
}

/** Reads one part after another on a connection of its own. */
async function readOn(): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  try {
    for (let count = 0; count < PARTS_EACH; count++) {
      const part = anyPart();
      isRight(part, await bytesOf(await answerTo(part, agent)));
    }
  } finally {
    agent.destroy();
  }
}

/** Asks, and goes in the middle of the answer. */
async function leaveOff(): Promise<void> {
  const agent = new Agent();
  for (let count = 0; count < PARTS_EACH; count++) {
    const answer = await answerTo(anyPart(), agent);
    answer.on("error", () => undefined);
    await new Promise((resolve) => answer.once("data", resolve));
    answer.destroy();
  }
}

/** Asks for more than sockets hold, and takes nothing of the answer before `others` are done. */
async function waitFor(others: Promise<unknown>): Promise<void> {
  const agent = new Agent();
  const part = { file: "raw.bin", start: randomInt(MiB), end: 20 * MiB };
  const answer = await answerTo(part, agent);
  await others;
  isRight(part, await bytesOf(answer));
}

/** Parts of one session of HTTP/2, several under way at a time; every fourth is broken off. */
async function readStreams(session: ClientHttp2Session): Promise<void> {
  for (let count = 0; count < PARTS_EACH; count++) {
    const part = anyPart();
    const stream = session.request({ ":path": `/fs/set/one/${part.file}`, ...headersOf(part) });
    if (count % 4 === 3) {
      stream.on("error", () => undefined);
      await new Promise((resolve) => stream.once("data", resolve));
      stream.close(8);
    } else isRight(part, await bytesOf(stream));
  }
}

describe("a hub with little memory", { timeout: 240_000 }, () => {
  it("read by many in parts over HTTP/1.1, of whom some are slow and some leave, gives each the right bytes", async () => {
    const reading = Array.from({ length: READERS }, (_, index) => (index % 4 === 3 ? leaveOff() : readOn()));
    const done = Promise.all(reading);
    const slow = Array.from({ length: READERS / 3 }, () => waitFor(done.catch(() => undefined)));
    await Promise.all([done, ...slow]);
  });

  it("read in parts on many streams of HTTP/2, of which some are broken off, gives each the right bytes", async () => {
    const sessions = Array.from({ length: 3 }, () => connectHttp2(hub.url));
    try {
      await Promise.all(sessions.flatMap((session) => Array.from({ length: 6 }, () => readStreams(session))));
    } finally {
      for (const session of sessions) session.destroy();
    }
  });

  it("asked for a small file by many at once, and in parts, gives each the right bytes", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 20 });
    try {
      const asked = Array.from({ length: 400 }, async () => {
        const part = { ...anyPart(), file: "small.bin", start: randomInt(40_000), end: 50_000 };
        isRight(part, await bytesOf(await answerTo(part, agent)));
      });
      await Promise.all(asked);
    } finally {
      agent.destroy();
    }
  });
});
