import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Client } from "@connectrpc/connect";
import type { Access } from "../../auth/access.ts";
import { AetherError } from "../../base/errors.ts";
import { openSessions } from "../../dataset/ingest/hub-sessions.ts";
import { noise } from "../../dataset/testing/engine.ts";
import { fileVersion, plainFrame } from "../../dataset/testing/hub-frames.ts";
import { readHead } from "../../dataset/tag-head.ts";
import { digestBytes, digestFromBytes, digestOf } from "../../format/digest.ts";
import { parseDatasetName, parseTag } from "../../format/reference.ts";
import { IngestAPI } from "../../gen/aetherfs/hub/v1/ingest_pb.ts";
import { ingestService } from "./ingest-service.ts";
import { clientOf, failsWith, openApiBed, type ApiBed } from "./testing/api-bed.ts";

const TAGS = [{ name: "test", tag: "latest" }];
const NONE = new Uint8Array();

/** Who is called "reader" may not write. */
const ACCESS: Access = {
  identify: async ({ who }) => {
    await Promise.resolve();
    if (who === "nobody") throw new AetherError("UNAUTHENTICATED", "nobody");
    return { name: typeof who === "string" ? who : "somebody" };
  },
  check: async ({ name }, action, dataset) => {
    await Promise.resolve();
    if (name === "reader" && action === "write") throw new AetherError("ACCESS_DENIED", "read only");
    if (dataset === "closed") throw new AetherError("ACCESS_DENIED", "closed");
  },
};

let bed: ApiBed;
let client: Client<typeof IngestAPI>;
let clientAs: (who: string) => Client<typeof IngestAPI>;
let close: () => Promise<void>;

before(async () => {
  bed = await openApiBed(ACCESS);
  const sessions = openSessions(bed.services.engine, { log: bed.services.log });
  const service = ingestService({ ...bed.services, sessions });
  client = clientOf(IngestAPI, service);
  clientAs = (who) => clientOf(IngestAPI, service, { who });
  close = () => sessions.close();
});

after(async () => {
  await close();
  await bed.close();
});

function frameOf(chunk: Uint8Array): Record<string, unknown> {
  const { codec, digests, stored } = plainFrame(chunk);
  return { codec, digests, lengths: [BigInt(chunk.byteLength)], stored };
}

describe("IngestAPI", () => {
  const chunks = [noise(1, 5000), noise(2, 6000)] as const;
  const joined = Buffer.concat(chunks.map((chunk) => digestBytes(digestOf(chunk))));
  const { version, root, inlinePages } = fileVersion(chunks);
  const pages = inlinePages.map((page) => new Uint8Array(page));
  const publication = { root: new Uint8Array(root), inlinePages: pages, tags: TAGS, message: "first" };

  it("from Prepare to Publish, takes a version, which the next Prepare then builds on", async () => {
    const prepared = await client.prepare({ tags: TAGS });
    assert.deepEqual([prepared.chunking, prepared.predecessors], ["", []]);
    assert.match(prepared.storeId, /^[0-9a-f]{32}$/);
    const { session, ttlSeconds, bodyBytesMax } = await client.begin({ tags: TAGS });
    assert.match(session, /^[0-9a-f]{32}$/);
    assert.ok(ttlSeconds >= 10 && bodyBytesMax > 16 * 1024 * 1024);
    assert.deepEqual((await client.missing({ session, digests: joined })).missing, [true, true]);
    await client.renew({ session });
    await client.putFrames({ session, sequence: 0n, frames: [frameOf(chunks[0])] });
    await client.putFrames({ session, sequence: 0n, frames: [frameOf(chunks[0])] });
    await client.putFrames({ session, sequence: 1n, frames: [frameOf(chunks[1])] });
    const published = await client.publish({ session, ...publication });
    assert.equal(digestFromBytes(published.version), version);
    assert.deepEqual(published.moved, [true]);
    assert.ok(published.storedBytes > 11_000n && published.manifestBytes > 0n);
    assert.deepEqual(await client.publish({ session, ...publication }), published);
    await bed.push.read(version);
    const next = await client.prepare({ tags: TAGS });
    assert.deepEqual(
      next.predecessors.map((bytes) => digestFromBytes(bytes)),
      [version],
    );
    const again = await client.begin({ tags: TAGS, reference: digestBytes(version) });
    const asked = { session: again.session, digests: joined };
    assert.deepEqual((await client.missing(asked)).missing, [false, false]);
    const delta = { bases: joined, decodedBytes: 5000n };
    const deltas = [delta, { ...delta, bases: NONE }, { ...delta, decodedBytes: 1n << 40n }];
    const { canBase } = await client.canBase({ session: again.session, deltas });
    assert.deepEqual(canBase, [true, false, false]);
    await client.abort({ session: again.session });
    await failsWith(client.renew({ session: again.session }), "SESSION_LOST");
  });

  it("of who may not write one of the datasets, is refused at every door", async () => {
    await failsWith(clientAs("reader").prepare({ tags: TAGS }), "ACCESS_DENIED");
    await failsWith(clientAs("reader").begin({ tags: TAGS }), "ACCESS_DENIED");
    await failsWith(client.begin({ tags: [...TAGS, { name: "closed", tag: "latest" }] }), "ACCESS_DENIED");
    const { session } = await client.begin({ tags: TAGS });
    await failsWith(clientAs("reader").publish({ session, ...publication }), "ACCESS_DENIED");
    const closed = [{ name: "closed", tag: "latest" }];
    await failsWith(client.publish({ session, ...publication, tags: closed }), "ACCESS_DENIED");
    await failsWith(clientAs("nobody").missing({ session, digests: NONE }), "UNAUTHENTICATED");
    await client.abort({ session });
  });

  it("with arguments that are malformed or too many, is refused", async () => {
    const { session } = await client.begin({ tags: TAGS });
    const many = Array.from({ length: 65 }, () => ({ name: "test", tag: "latest" }));
    await failsWith(client.begin({ tags: [] }), "ARGUMENT_INVALID");
    await failsWith(client.begin({ tags: many }), "ARGUMENT_INVALID");
    await failsWith(client.begin({ tags: [{ name: "../x", tag: "latest" }] }), "REFERENCE_INVALID");
    await failsWith(client.begin({ tags: [{ name: "test", tag: "a b" }] }), "REFERENCE_INVALID");
    await failsWith(client.begin({ tags: TAGS, reference: new Uint8Array(31) }), "ARGUMENT_INVALID");
    await failsWith(client.begin({ tags: TAGS, publisher: "x".repeat(257) }), "LIMIT_EXCEEDED");
    await failsWith(client.missing({ session, digests: new Uint8Array(33) }), "ARGUMENT_INVALID");
    await failsWith(client.missing({ session, digests: new Uint8Array(32 * 65_537) }), "LIMIT_EXCEEDED");
    await failsWith(client.missing({ session: "", digests: NONE }), "SESSION_LOST");
    const unknown = { ...frameOf(chunks[0]), codec: 7 };
    await failsWith(client.putFrames({ session, sequence: 0n, frames: [unknown] }), "OBJECT_INVALID");
    const long = { session, ...publication, message: "x".repeat(5000) };
    await failsWith(client.publish(long), "LIMIT_EXCEEDED");
    const labels = { ["k".repeat(300)]: "v" };
    await failsWith(client.publish({ session, ...publication, labels }), "LIMIT_EXCEEDED");
    await failsWith(client.publish({ session, ...publication, root: NONE }), "FORMAT_UNSUPPORTED");
    await failsWith(client.publish({ session, ...publication, writeId: "zz" }), "ARGUMENT_INVALID");
    for (const heads of [[1n, 2n], [1n << 60n]]) {
      const attempt = { writeId: "0".repeat(32), heads };
      await failsWith(client.publish({ session, ...publication, ...attempt }), "ARGUMENT_INVALID");
    }
    await client.abort({ session });
  });

  it("who says nothing of the publisher, is written down by its name", async () => {
    const as = clientAs("alice");
    const tags = [{ name: "named", tag: "latest" }];
    const { session } = await as.begin({ tags });
    await as.putFrames({ session, sequence: 0n, frames: chunks.map(frameOf) });
    await as.publish({ session, ...publication, tags });
    const { record } = await readHead(
      bed.push.store.datasets,
      parseDatasetName("named"),
      parseTag("latest"),
      {},
    );
    assert.match(JSON.stringify(record), /"alice"/);
  });
});
