/** A push whose session is lost, and which begins anew. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { AetherError } from "../../base/errors.ts";
import { history } from "../datasets.ts";
import type { PushEngine } from "../engine.ts";
import type { IngestSession } from "../ingest/ingest.ts";
import { withLocalIngest } from "../ingest/local-ingest.ts";
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
      let session: IngestSession | undefined;
      let published = 0;
      const engine = publishing(
        bed,
        async (...parameters) => {
          const result = await session?.publish(...parameters);
          if (++published === 2) return result ?? assert.fail("there is a session");
          bed.write("a", "another's");
          await bed.push();
          bed.write("a", "one");
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
});
