/** A push whose session is lost, and which begins anew. */
import assert from "node:assert/strict";
import fs from "node:fs";
import { after, describe, it } from "node:test";
import { AetherError } from "../../base/errors.ts";
import { history } from "../datasets.ts";
import type { PushEngine } from "../engine.ts";
import type { IngestSession } from "../ingest/ingest.ts";
import { withLocalIngest } from "../ingest/local-ingest.ts";
import { readHead } from "../tag-head.ts";
import { BED_TAG, withPushBed, type PushBed } from "../testing/push-bed.ts";
import { WorkerPool } from "../workers/pool.ts";
import { push } from "./push.ts";

const pool = new WorkerPool(2);
after(() => pool.close());

/** The bed's engine; each publish is done by `publish`. */
function publishing(
  bed: PushBed,
  publish: (...parameters: Parameters<IngestSession["publish"]>) => ReturnType<IngestSession["publish"]>,
  real: (session: IngestSession) => void,
): PushEngine {
  const engine = withLocalIngest(bed.engine);
  const { ingest } = engine;
  return {
    ...engine,
    ingest: {
      folder: ingest.folder,
      prepare: (...parameters) => ingest.prepare(...parameters),
      begin: async (...parameters) => {
        const session = await ingest.begin(...parameters);
        real(session);
        return new Proxy(session, {
          get: (target, key): unknown => {
            if (key === "publish") return publish;
            const member: unknown = Reflect.get(target, key);
            return typeof member === "function" ? (member.bind(target) as unknown) : member;
          },
        });
      },
    },
  };
}

async function writeIdsOf(bed: PushBed): Promise<string[]> {
  const ids: string[] = [];
  for await (const { writeId } of history(bed.engine, BED_TAG.name, BED_TAG.tag)) ids.push(writeId);
  return ids;
}

describe("a push whose session is lost", () => {
  it("after it published, and others moved the tag since, is in the history once", async () => {
    await withPushBed(pool, async (bed) => {
      bed.write("a", "before");
      await bed.push();
      bed.write("a", "one");
      fs.utimesSync(`${bed.source}/a`, 1e9, 1e9);
      let session: IngestSession | undefined;
      let published = 0;
      const engine = publishing(
        bed,
        async (...parameters) => {
          const result = await session?.publish(...parameters);
          if (++published === 2) return result ?? assert.fail("there is a session");
          bed.write("a", "another's");
          await bed.push();
          // The same version again takes the same time.
          bed.write("a", "one");
          fs.utimesSync(`${bed.source}/a`, 1e9, 1e9);
          throw new AetherError("SESSION_LOST", "killed");
        },
        (each) => {
          session = each;
        },
      );
      const result = await push(engine, { source: bed.source, tags: [BED_TAG], publisher: "" });
      assert.deepEqual([published, result.moved], [2, [true]]);
      const ids = await writeIdsOf(bed);
      assert.deepEqual([ids.length, new Set(ids).size], [3, 3]);
    });
  });

  it("every time, gives up at last, and says so", async () => {
    await withPushBed(pool, async (bed) => {
      bed.write("a", "one");
      let begun = 0;
      const engine = publishing(
        bed,
        () => Promise.reject(new AetherError("SESSION_LOST", "killed")),
        () => begun++,
      );
      const pushed = push(engine, { source: bed.source, tags: [BED_TAG], publisher: "" });
      await assert.rejects(pushed, { code: "SESSION_LOST" });
      assert.equal(begun, 8);
    });
  });

  it("after it published, and its folder changed since, publishes what the folder has now", () =>
    withPushBed(pool, async (bed) => {
      bed.write("file", "before");
      await bed.push();
      bed.write("file", "one");
      const { datasets } = bed.store;
      let isOver = false;
      const losing = new Proxy(datasets, {
        get: (target, name): unknown => {
          const member: unknown = Reflect.get(target, name);
          if (typeof member !== "function") return member;
          if (name !== "createHistory" || isOver) return member.bind(target) as unknown;
          return async (...parameters: unknown[]): Promise<never> => {
            isOver = true;
            await Reflect.apply(member, target, parameters);
            bed.write("file", "another");
            throw new AetherError("SESSION_LOST", "the hub was started anew");
          };
        },
      });
      const store = { ...bed.store, blocks: bed.store.blocks, datasets: losing };
      const { digest } = await bed.push({}, { store });
      const { record } = await readHead(datasets, BED_TAG.name, BED_TAG.tag, {});
      assert.equal(record?.digest, digest);
    }));
});
