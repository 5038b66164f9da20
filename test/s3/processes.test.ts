/** Many processes on one store in a bucket. */
import assert from "node:assert/strict";
import { fork, type ChildProcess } from "node:child_process";
import { on } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "../../src/base/clock.ts";
import { systemRandom } from "../../src/base/random.ts";
import {
  assertEntries,
  entriesOf,
  NAME,
  named,
  TAG,
} from "../../src/store/conformance/dataset-store-suite.ts";
import type { Store } from "../../src/store/dataset-store.ts";
import { openStore } from "../../src/store/drivers/all.ts";
import type { S3Server } from "../servers/s3-server.ts";
import { newBucket } from "../servers/buckets.ts";
import { radosgw } from "../servers/shared.ts";
import type { RaceReply, RaceTask } from "./race-child.ts";
import { settingsFor } from "./s3-fixture.ts";

const CHILD = join(import.meta.dirname, "race-child.ts");
const PROCESSES = 5;
const COUNT = 12;
const WRITERS = Array.from({ length: PROCESSES }, (_, index) => String(index).repeat(32));

/** AWS's variables, from which a child knows the server. */
function environmentFor({ endpoint, credentials }: S3Server): Record<string, string> {
  return {
    PATH: process.env["PATH"] ?? "",
    AWS_ENDPOINT_URL: endpoint,
    AWS_REGION: "us-east-1",
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
  };
}

/** What comes of the task in each of the processes, which begin at once when all are ready. */
async function race(
  server: S3Server,
  address: string,
  taskOf: (writer: string) => RaceTask,
): Promise<number[][]> {
  const env = environmentFor(server);
  const children = WRITERS.map(() => fork(CHILD, [address], { env, execArgv: [] }));
  try {
    const begun = children.map(repliesOf);
    for (const replies of begun) assert.deepEqual((await replies.next()).value, { state: "ready" });
    for (const [index, child] of children.entries()) child.send(taskOf(WRITERS[index] ?? ""));
    return await Promise.all(
      begun.map(async (replies) => {
        const reply = (await replies.next()).value as RaceReply | undefined;
        assert.ok(reply?.state === "done", JSON.stringify(reply));
        return [...reply.won];
      }),
    );
  } finally {
    for (const child of children) child.kill("SIGKILL");
  }
}

/** What a child says, in order, until it ends. */
async function* repliesOf(child: ChildProcess): AsyncGenerator<RaceReply> {
  for await (const [reply] of on(child, "message", { close: ["close"] })) yield reply as RaceReply;
}

async function withStore(
  use: (server: S3Server, address: string, store: Store) => Promise<void>,
): Promise<void> {
  const server = await radosgw.get();
  const address = `s3://${await newBucket(server)}`;
  const s3 = settingsFor(server);
  const store = await openStore(address, { create: true, clock: systemClock, random: systemRandom, s3 });
  try {
    await use(server, address, store);
  } finally {
    await store.close();
  }
}

test(`${PROCESSES} processes, racing for each entry of one history in S3, win each entry once`, async (t) => {
  if (!radosgw.require(t)) return;
  await withStore(async (server, address, store) => {
    const won = await race(server, address, (writer) => ({ kind: "create", writer, count: COUNT }));
    assert.deepEqual(
      won.flat().sort((a, b) => a - b),
      Array.from({ length: COUNT }, (_, index) => index + 1),
    );
    for (let number = 1; number <= COUNT; number++) {
      const entry = await store.datasets.getHistory(NAME, TAG, number);
      assert.equal(entry?.writeId, WRITERS[won.findIndex((numbers) => numbers.includes(number))]);
    }
    t.diagnostic(`entries won by each: ${won.map((numbers) => numbers.length).join(", ")}`);
  });
});

test(`${PROCESSES} processes, replacing one plan in S3 by its revision, lose and double no change`, async (t) => {
  if (!radosgw.require(t)) return;
  await withStore(async (server, address, store) => {
    await race(server, address, (writer) => ({ kind: "replace", writer, count: COUNT }));
    assertEntries(await entriesOf(store.datasets, named("list")), WRITERS, COUNT);
  });
});
