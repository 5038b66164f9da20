import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import type { ErrorCode } from "../../base/errors.ts";
import { digestOf } from "../../format/digest.ts";
import { encodeManifest, type ManifestBase } from "../../format/manifest.ts";
import { noise } from "../testing/engine.ts";
import { plainFrame } from "../testing/hub-frames.ts";
import { OTHER_DOMAIN, fails, onHub, publication, put } from "../testing/session-bed.ts";
import { WorkerPool } from "../workers/pool.ts";
import type { HubPublication } from "./sessions.ts";

const pool = new WorkerPool(2);
after(() => pool.close());

describe("a publish through a hub", () => {
  const chunks = [noise(1, 5000), noise(2, 5000)] as const;

  it(
    "asked for again, is answered again; every other call says that the session has ended",
    onHub(pool, async ({ bed, begin }) => {
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
    "of a manifest object, also against the version before, makes the version of its root and pages",
    onHub(pool, async ({ bed, begin }) => {
      const asObject = (wanted: HubPublication, base?: ManifestBase): HubPublication => {
        const manifest = encodeManifest({ root: wanted.root, pages: wanted.inlinePages }, base);
        const content = { root: new Uint8Array(), inlinePages: [], base: base?.version };
        return { ...wanted, ...content, manifest };
      };
      const first = await begin();
      await put(first, 0, ...chunks.map(plainFrame));
      const one = publication(chunks);
      const before = await first.publish(asObject(one), {});
      assert.equal(before.version, digestOf(one.root));
      const base = { version: before.version, depth: 0, bundle: { root: one.root, pages: one.inlinePages } };
      const many = Array.from({ length: 40 }, (_, index) => noise(10 + index, 100));
      const second = await begin();
      await put(second, 0, ...many.map(plainFrame));
      const two = publication([...many, ...chunks]);
      const third = publication([...chunks, ...many]);
      const { version } = await second.publish(asObject(two, base), {});
      assert.equal(version, digestOf(two.root));
      await bed.read(version);
      const session = await begin();
      const foreign = { ...base, version: digestOf(third.root) };
      const wrong: readonly (readonly [ErrorCode, HubPublication])[] = [
        ["OBJECT_MISSING", asObject(third, foreign)],
        ["OBJECT_MISSING", { ...asObject(third, { ...base, version }), base: undefined }],
        ["OBJECT_INVALID", { ...one, manifest: new Uint8Array(40) }],
        ["OBJECT_INVALID", { ...one, manifest: asObject(one).manifest?.subarray(0, 50) }],
      ];
      for (const [code, each] of wrong) await fails(session.publish(each, {}), code);
      await session.abort();
    }),
  );

  it(
    "of what is not there, is refused, and goes through once it came",
    onHub(pool, async ({ bed, begin }) => {
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
    onHub(pool, async ({ bed, begin }) => {
      const session = await begin();
      await fails(session.publish(publication(chunks), {}), "OBJECT_MISSING");
      assert.equal(bed.files("tags").size, 0);
    }),
  );

  it(
    "of a root that is malformed, or that its pages contradict, is refused",
    onHub(pool, async ({ bed, begin }) => {
      const session = await begin();
      await put(session, 0, ...chunks.map(plainFrame));
      const good = publication(chunks);
      const other = publication([chunks[0]]);
      const wrong: readonly (readonly [ErrorCode, HubPublication])[] = [
        ["FORMAT_UNSUPPORTED", { ...good, root: noise(1, 50) }],
        ["OBJECT_INVALID", { ...good, root: new Uint8Array([...good.root, 0]) }],
        ["OBJECT_INVALID", { ...good, inlinePages: [...good.inlinePages, ...other.inlinePages] }],
        ["OBJECT_MISSING", { ...good, inlinePages: good.inlinePages.slice(1) }],
        ["OBJECT_MISSING", { ...good, inlinePages: [] }],
      ];
      for (const [code, each] of wrong) await fails(session.publish(each, {}), code);
      assert.equal(bed.files("tags").size, 0);
      await session.publish(good, {});
    }),
  );

  it(
    "of a root with more pages than lie with one, is refused",
    onHub(pool, async ({ begin }) => {
      const session = await begin();
      const many = Array.from({ length: 3000 }, (_, index) => noise(index, 16));
      await put(session, 0, ...many.map(plainFrame));
      await fails(session.publish(publication(many), {}), "LIMIT_EXCEEDED");
    }),
  );

  it(
    "to a tag of another domain, is refused",
    onHub(pool, async ({ begin }) => {
      const session = await begin();
      await put(session, 0, ...chunks.map(plainFrame));
      await fails(session.publish(publication(chunks, OTHER_DOMAIN), {}), "ACCESS_DENIED");
    }),
  );

  it(
    "of the same content by two sessions at once, goes through for both",
    onHub(pool, async ({ bed, begin }) => {
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
