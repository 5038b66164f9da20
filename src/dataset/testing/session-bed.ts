/** A hub's sessions over a store of their own, for tests. */
import assert from "node:assert/strict";
import { codeOf, type ErrorCode } from "../../base/errors.ts";
import { SILENT_LOG } from "../../base/log.ts";
import { parseDatasetName } from "../../format/reference.ts";
import type { TagReference } from "../contract.ts";
import { openSessions } from "../ingest/hub-sessions.ts";
import type { HubPublication, HubSession, IngestSessions, ReceivedFrame } from "../ingest/sessions.ts";
import type { WorkerPool } from "../workers/pool.ts";
import { fileVersion } from "./hub-frames.ts";
import { BED_TAG, openPushBed, type PushBed } from "./push-bed.ts";

/** A tag of another scope than the bed's. */
export const OTHER_DOMAIN: TagReference = { name: parseDatasetName("@other/set"), tag: BED_TAG.tag };

/** Sessions, the store that they write to, and what begins one. */
export interface SessionBed {
  readonly bed: PushBed;
  readonly sessions: IngestSessions;
  readonly begin: (tag?: TagReference) => Promise<HubSession>;
}

/** What runs a test on a hub of its own. */
export function onHub(pool: WorkerPool, test: (hub: SessionBed) => Promise<void>): () => Promise<void> {
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

/** Puts frames, and waits until they are taken. */
export async function put(
  session: HubSession,
  sequence: number,
  ...frames: readonly ReceivedFrame[]
): Promise<void> {
  await (
    await session.putFrames(sequence, frames, {})
  ).done;
}

/** A version of one file of these chunks, to be published. */
export function publication(chunks: readonly Uint8Array[], tag = BED_TAG): HubPublication {
  const { root, inlinePages } = fileVersion(chunks);
  return { root, inlinePages, base: undefined, tags: [tag], publisher: "test", message: "", labels: {} };
}

/** The call fails with the code. */
export async function fails(call: Promise<unknown>, code: ErrorCode): Promise<void> {
  await assert.rejects(call, (error: unknown) => {
    assert.equal(codeOf(error), code, String(error));
    return true;
  });
}
