/** The sessions of a hub's producers. */
import type { CallOptions } from "../../store/block-store.ts";
import type { TagReference } from "../contract.ts";
import type { IngestSession, IngestStart, SessionOptions } from "./ingest.ts";

/** What a producer knows a session by. */
export interface BegunSession {
  readonly id: string;
  /** How long the producer may be silent. */
  readonly ttlSeconds: number;
}

/** Sessions by their ids: each ends by publish, abort, or when nothing is heard of it. */
export interface IngestSessions {
  /** As Ingest.prepare. */
  prepare(tags: readonly TagReference[], options: CallOptions): Promise<IngestStart>;
  /** As Ingest.begin; waits while too many are under way. Errors: LIMIT_EXCEEDED when too many wait. */
  begin(session: SessionOptions, options: CallOptions): Promise<BegunSession>;
  /** The session, which lives on from now. `put` verifies what it is given. Errors: SESSION_LOST. */
  use(id: string): IngestSession;
  /** Ends all of them. */
  close(): Promise<void>;
}
