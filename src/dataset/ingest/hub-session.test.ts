import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import { codeOf, type ErrorCode } from "../../base/errors.ts";
import { MiB } from "../../base/limits.ts";
import { SILENT_LOG } from "../../base/log.ts";
import { digestBytes, digestOf } from "../../format/digest.ts";
import { CODECS } from "../../format/frame.ts";
import { encodeEntryPage, encodeInnerPage, type EncodedPage } from "../../format/page.ts";
import { parseDatasetName } from "../../format/reference.ts";
import { ChunkTreeBuilder } from "../../format/tree.ts";
import type { TagReference } from "../contract.ts";
import { noise } from "../testing/engine.ts";
import { deltaFrame, fileVersion, plainFrame } from "../testing/hub-frames.ts";
import { BED_TAG, openPushBed, type PushBed } from "../testing/push-bed.ts";
import { WorkerPool } from "../workers/pool.ts";
import { openSessions } from "./hub-sessions.ts";
import type { HubPublication, HubSession, IngestSessions, ReceivedFrame } from "./sessions.ts";

const pool = new WorkerPool(2);
after(() => pool.close());

const OTHER_DOMAIN: TagReference = { name: parseDatasetName("@other/set"), tag: BED_TAG.tag };

interface Hub {
  readonly bed: PushBed;
  readonly sessions: IngestSessions;
  readonly begin: (tag?: TagReference) => Promise<HubSession>;
}

/** Runs a test on a hub of its own. */
function onHub(test: (hub: Hub) => Promise<void>): () => Promise<void> {
  return async () => {
    const bed = await openPushBed(pool);
    const sessions = openSessions(bed.engine, { log: SILENT_LOG });
    const begin = async (tag = BED_TAG): Promise<HubSession> => {
      const { id } = await sessions.begin({ tags: [tag], publisher: "test" }, {});
      return sessions.use(id);
    };
    try {
      await test({ bed, sessions, begin });
    } finally {
      await sessions.close();
      await bed.close();
    }
  };
}

async function put(
  session: HubSession,
  sequence: number,
  ...frames: readonly ReceivedFrame[]
): Promise<void> {
  await (
    await session.putFrames(sequence, frames, {})
  ).done;
}

function publication(chunks: readonly Uint8Array[], tag = BED_TAG): HubPublication {
  const { root, inlinePages } = fileVersion(chunks);
  return { root, inlinePages, base: undefined, tags: [tag], publisher: "test", message: "", labels: {} };
}

async function fails(call: Promise<unknown>, code: ErrorCode): Promise<void> {
  await assert.rejects(call, (error: unknown) => {
    assert.equal(codeOf(error), code, String(error));
    return true;
  });
}

const TEXT = Buffer.from("one line and another line and another line\n".repeat(200));

describe("frames that a hub is given", () => {
  const chunk = new Uint8Array(TEXT);
  const good = plainFrame(chunk);
  const wrong: readonly (readonly [string, ErrorCode, ReceivedFrame])[] = [
    ["with another digest", "OBJECT_CORRUPT", { ...good, digests: digestBytes(digestOf(Buffer.from("x"))) }],
    ["which decode to more than they say", "OBJECT_CORRUPT", { ...good, lengths: [chunk.byteLength - 1] }],
    ["which decode to less than they say", "OBJECT_CORRUPT", { ...good, lengths: [chunk.byteLength + 1] }],
    ["which do not decode", "OBJECT_CORRUPT", { ...good, stored: noise(1, 100) }],
    ["cut off", "OBJECT_CORRUPT", { ...good, stored: good.stored.subarray(0, good.stored.byteLength - 1) }],
    ["raw, of another length", "OBJECT_INVALID", { ...good, codec: CODECS.raw }],
    ["with a chunk that is too long", "OBJECT_INVALID", { ...good, lengths: [16 * MiB + 1] }],
    ["with a length that is no number", "OBJECT_INVALID", { ...good, lengths: [Number.NaN] }],
    ["without a chunk", "OBJECT_INVALID", { ...good, lengths: [], digests: new Uint8Array() }],
    ["with no bytes", "OBJECT_INVALID", { ...good, stored: new Uint8Array() }],
    ["with half a digest", "OBJECT_INVALID", { ...good, digests: new Uint8Array(16) }],
    ["plain, with two chunks", "OBJECT_INVALID", { ...good, lengths: [1, 2], digests: new Uint8Array(64) }],
    [
      "plain, with a base",
      "OBJECT_MISSING",
      { ...good, base: { digests: good.digests, offset: 0, bytes: 1 } },
    ],
    ["delta, without a base", "OBJECT_INVALID", { ...good, codec: CODECS.delta }],
    [
      "delta, on no chunk",
      "OBJECT_INVALID",
      { ...good, codec: CODECS.delta, base: { digests: new Uint8Array(), offset: 0, bytes: 1 } },
    ],
    ["delta, on a chunk that is not there", "OBJECT_MISSING", deltaFrame(chunk, noise(2, 5000))],
  ];

  for (const [what, code, frame] of wrong) {
    it(
      `${what}, are refused as ${code}, and so is everything that comes after`,
      onHub(async ({ begin }) => {
        const session = await begin();
        await fails(put(session, 0, frame), code);
        await fails(put(session, 1, good), code);
        await fails(session.publish(publication([chunk]), {}), code);
        await session.abort();
      }),
    );
  }

  it(
    "which decode to too much together, are refused",
    onHub(async ({ begin }) => {
      const session = await begin();
      const bomb = { ...good, lengths: [16 * MiB] };
      await fails(put(session, 0, ...Array.from({ length: 65 }, () => bomb)), "LIMIT_EXCEEDED");
    }),
  );

  it(
    "of any bytes, are refused with a code of the table and never stored",
    onHub(async ({ bed, begin }) => {
      const frames = fc.record({
        codec: fc.constantFrom(0, 1, 2),
        digests: fc.uint8Array({ maxLength: 96 }),
        lengths: fc.array(fc.oneof(fc.nat(70_000), fc.constantFrom(-1, 0.5, Infinity, 2 ** 60)), {
          maxLength: 3,
        }),
        stored: fc.uint8Array({ maxLength: 200 }),
        base: fc.option(
          fc.record({ digests: fc.uint8Array({ maxLength: 64 }), offset: fc.integer(), bytes: fc.integer() }),
          { nil: undefined },
        ),
      });
      await fc.assert(
        fc.asyncProperty(frames, async (frame) => {
          const session = await begin();
          await assert.rejects(put(session, 0, frame), (error) => codeOf(error).startsWith("OBJECT_"));
          await session.abort();
        }),
        { numRuns: 40 },
      );
      assert.equal(bed.files("blocks").size, 0);
    }),
  );
});

describe("delta frames that a hub is given", () => {
  const base = new Uint8Array(Buffer.concat([TEXT, noise(5, 3000)]));
  const next = new Uint8Array(Buffer.concat([TEXT, noise(5, 2900), Buffer.from("changed")]));

  it(
    "on a chunk of the domain, are taken, and the version is read",
    onHub(async ({ bed, begin }) => {
      const first = await begin();
      await put(first, 0, plainFrame(base));
      await first.publish(publication([base]), {});
      const second = await begin();
      assert.equal(await second.canBase([digestOf(base)], next.byteLength, {}), true);
      await put(second, 0, deltaFrame(next, base));
      const { version } = await second.publish(publication([base, next]), {});
      await bed.read(version);
    }),
  );

  it(
    "with another range or another base than they were made with, are refused",
    onHub(async ({ begin }) => {
      const first = await begin();
      await put(first, 0, plainFrame(base), plainFrame(noise(8, base.byteLength)));
      await first.publish(publication([base, noise(8, base.byteLength)]), {});
      const frame = deltaFrame(next, base);
      const itsBase = { digests: digestBytes(digestOf(base)), offset: 0, bytes: base.byteLength };
      const wrong: readonly (readonly [ErrorCode, ReceivedFrame["base"]])[] = [
        ["OBJECT_CORRUPT", { ...itsBase, bytes: base.byteLength - 1000 }],
        ["OBJECT_CORRUPT", { ...itsBase, digests: digestBytes(digestOf(noise(8, base.byteLength))) }],
        ["OBJECT_INVALID", { ...itsBase, offset: 1 }],
        ["OBJECT_INVALID", { ...itsBase, bytes: 0 }],
        ["OBJECT_INVALID", { ...itsBase, offset: -5 }],
        ["OBJECT_INVALID", { ...itsBase, bytes: 2 * MiB }],
      ];
      for (const [code, each] of wrong) {
        const session = await begin();
        await fails(put(session, 0, { ...frame, base: each }), code);
        await session.abort();
      }
    }),
  );

  it(
    "that lie on each other deeper than three, are refused",
    onHub(async ({ begin }) => {
      let below = base;
      for (let depth = 0; depth <= 4; depth++) {
        const chunk = new Uint8Array(Buffer.concat([base, Buffer.from([depth])]));
        const session = await begin();
        const frame = depth === 0 ? plainFrame(chunk) : deltaFrame(chunk, below);
        if (depth === 4) {
          assert.equal(await session.canBase([digestOf(below)], chunk.byteLength, {}), false);
          await fails(put(session, 0, frame), "OBJECT_MISSING");
        } else {
          await put(session, 0, frame);
          await session.publish(publication([chunk]), {});
        }
        below = chunk;
      }
    }),
  );

  it(
    "on a chunk of another domain, are refused; nothing tells that it is there",
    onHub(async ({ begin }) => {
      const theirs = await begin(OTHER_DOMAIN);
      await put(theirs, 0, plainFrame(base));
      await theirs.publish(publication([base], OTHER_DOMAIN), {});
      const session = await begin();
      assert.deepEqual(await session.missing([digestOf(base)], {}), [true]);
      assert.equal(await session.canBase([digestOf(base)], next.byteLength, {}), false);
      await fails(put(session, 0, deltaFrame(next, base)), "OBJECT_MISSING");
    }),
  );
});

describe("bodies of a session", () => {
  const chunks = [noise(1, 5000), noise(2, 5000), noise(3, 5000)] as const;

  it(
    "sent twice, are taken once",
    onHub(async ({ begin }) => {
      const session = await begin();
      await put(session, 0, plainFrame(chunks[0]));
      await put(session, 0, plainFrame(chunks[0]));
      await put(session, 0, plainFrame(chunks[1]));
      const { totals } = await session.publish(publication([chunks[0]]), {});
      assert.ok(totals.storedBytes < 7000, `${totals.storedBytes} bytes were stored`);
    }),
  );

  it(
    "with one left out, are refused until it comes",
    onHub(async ({ bed, begin }) => {
      const session = await begin();
      await fails(put(session, 1, plainFrame(chunks[1])), "ARGUMENT_INVALID");
      await put(session, 0, plainFrame(chunks[0]));
      await fails(put(session, 2, plainFrame(chunks[2])), "ARGUMENT_INVALID");
      await put(session, 1, plainFrame(chunks[1]));
      await bed.read((await session.publish(publication(chunks.slice(0, 2)), {})).version);
    }),
  );

  it(
    "sent at once, are taken in their order",
    onHub(async ({ bed, begin }) => {
      const session = await begin();
      await Promise.all(chunks.map((chunk, index) => put(session, index, plainFrame(chunk))));
      await bed.read((await session.publish(publication(chunks), {})).version);
    }),
  );

  it(
    "given up while one is verified, the session ends and its claim is gone",
    onHub(async ({ bed, begin }) => {
      const session = await begin();
      const { done } = await session.putFrames(0, chunks.map(plainFrame), {});
      const ended = done.catch((error: unknown) => codeOf(error));
      await session.abort();
      assert.ok(["SESSION_LOST", undefined].includes((await ended) as string | undefined));
      await fails(put(session, 1, plainFrame(chunks[0])), "SESSION_LOST");
      assert.equal(bed.files("leases").size, 0);
    }),
  );
});

describe("pages that a hub is given", () => {
  const entry = { path: "a", kind: "directory", mode: 0o755 } as const;

  it(
    "that are malformed, or not in their one form, are refused",
    onHub(async ({ begin }) => {
      const page = encodeEntryPage([entry]);
      const unsafe = encodeEntryPage([{ ...entry, path: "../a" }]);
      const wrong: readonly (readonly [ErrorCode, Uint8Array])[] = [
        ["OBJECT_INVALID", new Uint8Array()],
        ["OBJECT_INVALID", noise(1, 100)],
        ["OBJECT_INVALID", page.subarray(0, page.byteLength - 1)],
        ["OBJECT_INVALID", new Uint8Array(65 * 1024)],
        ["MANIFEST_UNSAFE", unsafe],
      ];
      const session = await begin();
      for (const [code, bytes] of wrong) await fails(session.putPages(0, [bytes], {}), code);
      await session.putPages(0, [page], {});
    }),
  );

  it(
    "that name a page that is not there, or say of it what is not so, are refused",
    onHub(async ({ begin }) => {
      const leaves: EncodedPage[] = [];
      const tree = new ChunkTreeBuilder((page) => leaves.push(page));
      tree.add({ digest: digestOf(noise(1, 10)), length: 10 });
      tree.finish();
      const [leaf] = leaves;
      assert.ok(leaf !== undefined);
      const child = { digest: leaf.digest, items: 1, bytes: 10, firstPath: "" };
      const session = await begin();
      await fails(session.putPages(0, [encodeInnerPage("chunks", 1, [child])], {}), "OBJECT_MISSING");
      await session.putPages(0, [leaf.bytes], {});
      for (const wrong of [
        { ...child, items: 2 },
        { ...child, bytes: 11 },
      ]) {
        await fails(session.putPages(1, [encodeInnerPage("chunks", 1, [wrong])], {}), "OBJECT_INVALID");
      }
      await fails(session.putPages(1, [encodeInnerPage("chunks", 2, [child])], {}), "OBJECT_INVALID");
      await fails(
        session.putPages(1, [encodeInnerPage("times", 1, [{ ...child, bytes: 0 }])], {}),
        "OBJECT_INVALID",
      );
      await session.putPages(1, [encodeInnerPage("chunks", 1, [child])], {});
    }),
  );
});

describe("a publish through a hub", () => {
  const chunks = [noise(1, 5000), noise(2, 5000)] as const;

  it(
    "asked for again, is answered again; every other call says that the session has ended",
    onHub(async ({ bed, begin }) => {
      const session = await begin();
      await put(session, 0, ...chunks.map(plainFrame));
      const wanted = publication(chunks);
      const [first, second] = await Promise.all([session.publish(wanted, {}), session.publish(wanted, {})]);
      assert.deepEqual(second, first);
      assert.deepEqual(await session.publish(wanted, {}), first);
      assert.deepEqual(first.moved, [true]);
      await fails(session.publish(publication([chunks[0]]), {}), "SESSION_LOST");
      await fails(session.missing([], {}), "SESSION_LOST");
      await bed.read(first.version);
    }),
  );

  it(
    "of what is not there, is refused, and goes through once it came",
    onHub(async ({ bed, begin }) => {
      const session = await begin();
      assert.deepEqual(await session.missing(chunks.map(digestOf), {}), [true, true]);
      await put(session, 0, plainFrame(chunks[0]));
      await fails(session.publish(publication(chunks), {}), "OBJECT_MISSING");
      assert.equal(bed.files("tags").size, 0);
      await put(session, 1, plainFrame(chunks[1]));
      await bed.read((await session.publish(publication(chunks), {})).version);
    }),
  );

  it(
    "of chunks that nobody ever asked for or put, is refused",
    onHub(async ({ bed, begin }) => {
      const session = await begin();
      await fails(session.publish(publication(chunks), {}), "OBJECT_MISSING");
      assert.equal(bed.files("tags").size, 0);
    }),
  );

  it(
    "of a root that is malformed, or that its pages contradict, is refused",
    onHub(async ({ bed, begin }) => {
      const session = await begin();
      await put(session, 0, ...chunks.map(plainFrame));
      const good = publication(chunks);
      const other = publication([chunks[0]]);
      const wrong: readonly (readonly [ErrorCode, HubPublication])[] = [
        ["FORMAT_UNSUPPORTED", { ...good, root: noise(1, 50) }],
        ["OBJECT_INVALID", { ...good, root: new Uint8Array([...good.root, 0]) }],
        ["OBJECT_INVALID", { ...good, inlinePages: [...good.inlinePages, ...other.inlinePages] }],
        ["OBJECT_INVALID", { ...good, inlinePages: [...good.inlinePages, ...good.inlinePages] }],
        ["OBJECT_MISSING", { ...good, inlinePages: good.inlinePages.slice(1) }],
        ["OBJECT_MISSING", { ...good, inlinePages: [] }],
      ];
      for (const [code, each] of wrong) await fails(session.publish(each, {}), code);
      assert.equal(bed.files("tags").size, 0);
      await session.publish(good, {});
    }),
  );

  it(
    "to a tag of another domain, is refused",
    onHub(async ({ begin }) => {
      const session = await begin();
      await put(session, 0, ...chunks.map(plainFrame));
      await fails(session.publish(publication(chunks, OTHER_DOMAIN), {}), "ACCESS_DENIED");
    }),
  );

  it(
    "of the same content by two sessions at once, goes through for both",
    onHub(async ({ bed, begin }) => {
      const both = await Promise.all([begin(), begin()]);
      const missing = await Promise.all(both.map((session) => session.missing(chunks.map(digestOf), {})));
      assert.deepEqual(missing, [
        [true, true],
        [true, true],
      ]);
      await Promise.all(both.map((session) => put(session, 0, ...chunks.map(plainFrame))));
      const published = await Promise.all(both.map((session) => session.publish(publication(chunks), {})));
      assert.equal(published[0]?.version, published[1]?.version);
      for (const { version } of published) await bed.read(version);
    }),
  );
});
