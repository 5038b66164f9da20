import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import { codeOf, type ErrorCode } from "../../base/errors.ts";
import { MiB } from "../../base/limits.ts";
import { digestBytes, digestOf } from "../../format/digest.ts";
import { CODECS } from "../../format/frame.ts";
import { encodeEntryPage, encodeInnerPage, type EncodedPage } from "../../format/page.ts";
import { parseTag } from "../../format/reference.ts";
import { ChunkTreeBuilder } from "../../format/tree.ts";
import { noise } from "../testing/engine.ts";
import { deltaFrame, plainFrame } from "../testing/hub-frames.ts";
import { receivedPage } from "../testing/hub-producer.ts";
import { BED_TAG } from "../testing/push-bed.ts";
import { OTHER_DOMAIN, fails, onHub, publication, put } from "../testing/session-bed.ts";
import { loadBundle } from "../version/manifest-source.ts";
import { Traffic } from "../version/traffic.ts";
import { WorkerPool } from "../workers/pool.ts";
import type { ReceivedFrame } from "./sessions.ts";

const pool = new WorkerPool(2);
after(() => pool.close());

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
      onHub(pool, async ({ begin }) => {
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
    onHub(pool, async ({ begin }) => {
      const session = await begin();
      const bomb = { ...good, lengths: [16 * MiB] };
      await fails(put(session, 0, ...Array.from({ length: 65 }, () => bomb)), "LIMIT_EXCEEDED");
    }),
  );

  it(
    "of any bytes, are refused with a code of the table and never stored",
    onHub(pool, async ({ bed, begin }) => {
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
    onHub(pool, async ({ bed, begin }) => {
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
    onHub(pool, async ({ begin }) => {
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
    "that lie on each other deeper than three, are taken, whether asked for before or not; what they lie on is stored anew",
    onHub(pool, async ({ bed, begin }) => {
      let below = base;
      for (let depth = 0; depth <= 9; depth++) {
        const chunk = new Uint8Array(Buffer.concat([base, Buffer.from([depth])]));
        const session = await begin();
        const frame = depth === 0 ? plainFrame(chunk) : deltaFrame(chunk, below);
        if (depth % 2 === 1)
          assert.equal(await session.canBase([digestOf(below)], chunk.byteLength, {}), true);
        await put(session, 0, frame);
        const { version } = await session.publish(publication([chunk]), {});
        await bed.read(version);
        below = chunk;
      }
      const depths = (await bed.frames()).map((info) => info.depth);
      assert.equal(Math.max(...depths), 3);
      assert.ok(depths.length > 10, `${depths.length} frames`);
    }),
  );

  it(
    "on a chunk of another domain, are refused; nothing tells that it is there",
    onHub(pool, async ({ begin }) => {
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
    onHub(pool, async ({ begin }) => {
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
    onHub(pool, async ({ bed, begin }) => {
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
    onHub(pool, async ({ bed, begin }) => {
      const session = await begin();
      await Promise.all(chunks.map((chunk, index) => put(session, index, plainFrame(chunk))));
      await bed.read((await session.publish(publication(chunks), {})).version);
    }),
  );

  it(
    "given up while one is verified, the session ends and its claim is gone",
    onHub(pool, async ({ bed, begin }) => {
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
    onHub(pool, async ({ begin }) => {
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
      for (const [code, bytes] of wrong) await fails(session.putPages(0, [receivedPage(bytes)], {}), code);
      await session.putPages(0, [receivedPage(page)], {});
    }),
  );

  it(
    "that name a page that is not there, or say of it what is not so, are refused",
    onHub(pool, async ({ begin }) => {
      const leaves: EncodedPage[] = [];
      const tree = new ChunkTreeBuilder((page) => leaves.push(page));
      tree.add({ digest: digestOf(noise(1, 10)), length: 10 });
      tree.finish();
      const [leaf] = leaves;
      assert.ok(leaf !== undefined);
      const child = { digest: leaf.digest, items: 1, bytes: 10, firstPath: "" };
      const session = await begin();
      await fails(
        session.putPages(0, [receivedPage(encodeInnerPage("chunks", 1, [child]))], {}),
        "OBJECT_MISSING",
      );
      await session.putPages(0, [receivedPage(leaf.bytes)], {});
      for (const wrong of [
        { ...child, items: 2 },
        { ...child, bytes: 11 },
      ]) {
        await fails(
          session.putPages(1, [receivedPage(encodeInnerPage("chunks", 1, [wrong]))], {}),
          "OBJECT_INVALID",
        );
      }
      await fails(
        session.putPages(1, [receivedPage(encodeInnerPage("chunks", 2, [child]))], {}),
        "OBJECT_INVALID",
      );
      await fails(
        session.putPages(1, [receivedPage(encodeInnerPage("times", 1, [{ ...child, bytes: 0 }]))], {}),
        "OBJECT_INVALID",
      );
      await session.putPages(1, [receivedPage(encodeInnerPage("chunks", 1, [child]))], {});
    }),
  );
});

describe("pages that the domain has already", () => {
  it(
    "need not be sent again; they are claimed with all that they name",
    onHub(pool, async ({ bed, begin }) => {
      for (let file = 0; file < 1500; file++) bed.write(`d${file % 9}/f${file}`, noise(file, 60));
      const { digest } = await bed.push();
      const { root, pages } = await loadBundle(bed.store.datasets, digest, { traffic: new Traffic() });
      assert.equal(pages.length, 0, "the version's pages lie in blocks");
      const session = await begin();
      const rest = { base: undefined, publisher: "test", message: "", labels: {} };
      const tags = [{ ...BED_TAG, tag: parseTag("again") }];
      const { version, moved } = await session.publish({ root, inlinePages: [], tags, ...rest }, {});
      assert.deepEqual([version, moved], [digest, [true]]);
      const foreign = await begin(OTHER_DOMAIN);
      const theirs = { root, inlinePages: [], tags: [OTHER_DOMAIN], ...rest };
      await fails(foreign.publish(theirs, {}), "OBJECT_MISSING");
    }),
  );
});
