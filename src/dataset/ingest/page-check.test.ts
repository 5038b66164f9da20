import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { concatBytes } from "../../base/bytes.ts";
import type { ErrorCode } from "../../base/errors.ts";
import { KiB } from "../../base/limits.ts";
import { digestBytes, digestOf, type Digest } from "../../format/digest.ts";
import { CODECS, encodeDelta } from "../../format/frame.ts";
import { encodeChunkPage, encodeInnerPage } from "../../format/page.ts";
import { noise } from "../testing/engine.ts";
import { fileVersion, plainFrame } from "../testing/hub-frames.ts";
import { receivedPage } from "../testing/hub-producer.ts";
import { BED_TAG } from "../testing/push-bed.ts";
import { fails, onHub, publication, put, type SessionBed } from "../testing/session-bed.ts";
import { WorkerPool } from "../workers/pool.ts";
import { beginLocalSession } from "./local-ingest.ts";
import type { HubSession, ReceivedPage } from "./sessions.ts";

const pool = new WorkerPool(2);
after(() => pool.close());

describe("pages that a hub is given as deltas", () => {
  const items = Array.from({ length: 100 }, (_, item) => digestOf(noise(item, 10)));
  const pageOf = (digests: readonly Digest[]): Uint8Array =>
    encodeChunkPage(digests.map((digest) => ({ digest, length: 10 })));
  const old = pageOf(items);
  const page = pageOf([digestOf(noise(1000, 10)), ...items.slice(1)]);
  const { stored } = encodeDelta(page, old, 9);
  const good: ReceivedPage = {
    codec: CODECS.delta,
    pageBytes: page.byteLength,
    bases: digestBytes(digestOf(old)),
    stored,
  };

  /** A hub whose domain has the old page, in a version. */
  async function withOld({ bed, begin }: SessionBed): Promise<HubSession> {
    const local = await beginLocalSession(bed.engine, { tags: [BED_TAG], publisher: "test" }, {});
    await local.putPage({ kind: "chunks", level: 0, digest: digestOf(old), bytes: old });
    const { root, inlinePages } = fileVersion([]);
    const rest = { base: undefined, tags: [BED_TAG], publisher: "test", message: "", labels: {} };
    const chunks = items.map((digest, item) => ({ digest, length: 10, bytes: noise(item, 10) }));
    await local.missing(items);
    for (const { bytes, ...chunk } of chunks)
      await local.put([{ codec: CODECS.raw, chunks: [chunk], stored: bytes, base: undefined }]);
    await local.publish({ root, inlinePages, ...rest });
    return begin();
  }

  const wrong: readonly (readonly [string, ErrorCode, Partial<ReceivedPage>])[] = [
    ["on a page that is not there", "OBJECT_MISSING", { bases: digestBytes(digestOf(page)) }],
    ["without a base", "OBJECT_INVALID", { bases: new Uint8Array() }],
    ["with half a digest", "OBJECT_INVALID", { bases: new Uint8Array(16) }],
    ["on too many pages", "OBJECT_INVALID", { bases: concatBytes(Array(5).fill(good.bases)) }],
    ["longer than they say", "OBJECT_CORRUPT", { pageBytes: page.byteLength - 1 }],
    ["shorter than they say", "OBJECT_CORRUPT", { pageBytes: page.byteLength + 1 }],
    ["longer than a page", "OBJECT_INVALID", { pageBytes: 64 * KiB + 1 }],
    ["of no length", "OBJECT_INVALID", { pageBytes: Number.NaN }],
    ["which do not decode", "OBJECT_CORRUPT", { stored: noise(1, 100) }],
    ["plain, with a base", "OBJECT_INVALID", { codec: CODECS.zstd }],
    [
      "which decode to no page",
      "OBJECT_INVALID",
      { stored: encodeDelta(noise(1, page.byteLength), old, 3).stored },
    ],
  ];
  for (const [what, code, change] of wrong) {
    it(
      `${what} are refused`,
      onHub(pool, async (hub) => {
        const session = await withOld(hub);
        await fails(session.putPages(0, [{ ...good, ...change }], {}), code);
        await session.abort();
      }),
    );
  }

  it(
    "are stored so, once, and read by who needs them",
    onHub(pool, async (hub) => {
      const session = await withOld(hub);
      const chunk = noise(1000, 10);
      await session.missing([digestOf(chunk)], {});
      await put(session, 0, plainFrame(chunk));
      await session.putPages(0, [good, good], {});
      // Something else is published, so that the block is stored.
      await session.publish(publication([chunk]), {});
      const frames = (await hub.bed.frames()).filter(({ isPage }) => isPage);
      const delta = frames.filter(({ codec }) => codec === CODECS.delta);
      assert.equal(frames.length, 2);
      assert.deepEqual(
        delta.map(({ depth, storedBytes, base }) => [depth, storedBytes, base?.lengths]),
        [[1, stored.byteLength, [old.byteLength]]],
      );
      const again = await hub.begin();
      const child = { digest: digestOf(page), items: 100, bytes: 1000, firstPath: "" };
      await again.putPages(0, [receivedPage(encodeInnerPage("chunks", 1, [child]))], {});
      await again.abort();
    }),
  );

  it(
    "that are no shorter than the page are stored plain",
    onHub(pool, async (hub) => {
      const session = await withOld(hub);
      const random = pageOf(items.slice(0, 2).map((digest) => digestOf(digestBytes(digest))));
      const long = encodeDelta(random, old, 1).stored;
      assert.ok(long.byteLength >= random.byteLength, "the delta saves nothing");
      await session.missing(
        items.slice(0, 2).map((digest) => digestOf(digestBytes(digest))),
        {},
      );
      const chunks = items.slice(0, 2).map((digest) => digestBytes(digest));
      await put(session, 0, ...chunks.map((chunk) => plainFrame(chunk)));
      await session.putPages(0, [{ ...good, pageBytes: random.byteLength, stored: long }], {});
      await session.publish(publication(chunks), {});
      const frames = (await hub.bed.frames()).filter(({ isPage }) => isPage);
      assert.deepEqual(
        frames.map(({ codec }) => codec === CODECS.delta),
        [false, false],
      );
    }),
  );
});
