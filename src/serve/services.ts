/** What every interface of a hub works with. Made by the composition root. */
import type { Access } from "../auth/access.ts";
import type { Engine } from "../dataset/engine.ts";
import type { IngestSessions } from "../dataset/ingest/sessions.ts";
import type { Log } from "../base/log.ts";
import type { Answers } from "./answers.ts";
import type { Tree } from "../vfs/tree.ts";

/** The parts of a hub. They hold no state of one request. */
export interface Services {
  readonly engine: Engine;
  readonly sessions: IngestSessions;
  /** One for all interfaces: what one of them decoded, the others need not. */
  readonly tree: Tree;
  /** One for all interfaces, too: what they have under way counts together. */
  readonly answers: Answers;
  readonly access: Access;
  readonly log: Log;
  /** Aborts when the hub stops: streams that have no end of their own end then. */
  readonly stopping: AbortSignal;
}
