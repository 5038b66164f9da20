/** Versions in which whole pages repeat, as of copies of a file. */
import assert from "node:assert/strict";
import path from "node:path";
import { after, describe, it } from "node:test";
import { must } from "../../base/assert.ts";
import { KiB } from "../../base/limits.ts";
import { digestOf } from "../../format/digest.ts";
import { pull } from "../pull/pull.ts";
import { noise } from "../testing/engine.ts";
import { readFolder } from "../testing/folder.ts";
import { producerOf } from "../testing/hub-producer.ts";
import { BED_TAG } from "../testing/push-bed.ts";
import { onHub } from "../testing/session-bed.ts";
import { TEST_CHUNKING } from "../testing/version-builder.ts";
import { openVersion, topRef } from "../version/version.ts";
import { WorkerPool } from "../workers/pool.ts";
import { push } from "./push.ts";

const pool = new WorkerPool(2);
after(() => pool.close());

describe("a version in which pages repeat", () => {
  it(
    "has each once with its root, is taken by a hub, and reads as it was",
    onHub(pool, async ({ bed, sessions, begin }) => {
      const bytes = noise(1, 1500 * KiB);
      for (const name of ["a", "b", "c"]) bed.write(name, bytes);
      const engine = { ...bed.engine, ingest: producerOf(sessions) };
      const options = { source: bed.source, tags: [BED_TAG], publisher: "test", chunking: TEST_CHUNKING };
      const { digest } = await push(engine, options);
      const target = path.join(bed.cacheDir, "target");
      await pull(bed.engine, { name: BED_TAG.name, version: digest, target });
      assert.deepEqual(readFolder(target), readFolder(bed.source));

      const version = await openVersion(bed.engine, digest);
      const [top] = await version.pages.load([must(topRef(version, "chunks"), "it has content")]);
      const leaves = top !== undefined && "children" in top ? top.children.map((child) => child.digest) : [];
      assert.ok(new Set(leaves).size < leaves.length, "pages repeat");
      const inline = version.bundle.pages;
      assert.ok(inline.length > 0, "they lie with the root");
      assert.equal(new Set(inline.map(digestOf)).size, inline.length);

      // Stores have bundles from before, with a page as often as it is named: they can be copied.
      const session = await begin();
      const { root } = version.bundle;
      const twice = { root, inlinePages: [...inline, ...inline], base: undefined };
      const tags = [BED_TAG];
      const again = { ...twice, tags, publisher: "test", message: "", labels: {} };
      assert.equal((await session.publish(again, {})).version, digest);
      await bed.read(digest);
    }),
  );
});
