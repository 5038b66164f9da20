/** /fs over a store of its own, for tests. */
import assert from "node:assert/strict";
import { createServer, request as requestOf, type IncomingHttpHeaders, type Server } from "node:http";
import { OPEN_ACCESS, type Access } from "../../../auth/access.ts";
import { SILENT_LOG } from "../../../base/log.ts";
import type { Engine } from "../../../dataset/engine.ts";
import { openPushBed, type PushBed } from "../../../dataset/testing/push-bed.ts";
import { WorkerPool } from "../../../dataset/workers/pool.ts";
import { formatDigest } from "../../../format/digest.ts";
import { parseReference } from "../../../format/reference.ts";
import { tagOf } from "../../../dataset/tag-changes.ts";
import type { BlockStore } from "../../../store/block-store.ts";
import { openStoreTree } from "../../../vfs/store-tree.ts";
import { answerLimitsOf, Answers, type AnswerLimits } from "../../answers.ts";
import { sendProblem } from "../../http-handler.ts";
import type { Services } from "../../services.ts";
import { createFs } from "../fs.ts";

/** An answer as it came, nothing of it decoded. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** A store, and /fs over it. */
export interface FsBed {
  readonly push: PushBed;
  readonly url: string;
  /** Publishes what lies in `push.source`; the version, `sha256:…`. */
  readonly publish: (...tags: readonly string[]) => Promise<string>;
  /** Another /fs over the same store, for who may do other things. */
  readonly listen: (access: Access) => Promise<{ readonly url: string; readonly close: () => void }>;
  /** Asks as fetch does, which decodes; follows nothing. */
  readonly ask: (path: string, headers?: Record<string, string>, method?: string) => Promise<Response>;
  /** Asks with these headers and no others. */
  readonly raw: (path: string, headers?: Record<string, string>, method?: string) => Promise<RawAnswer>;
  readonly close: () => Promise<void>;
}

/** Opens it; `limits` of answers are other than a hub's, and /fs reads blocks as `wrap` has them. Close it, whatever happens. */
export async function openFsBed(
  limits: Partial<AnswerLimits> = {},
  wrap = (blocks: BlockStore): BlockStore => blocks,
): Promise<FsBed> {
  const pool = new WorkerPool(2);
  const push = await openPushBed(pool);
  const { engine } = push;
  const { datasets } = engine.store;
  const store = { blocks: wrap(engine.store.blocks), datasets, close: async () => undefined };
  const served = { ...engine, store };
  const open: (() => void)[] = [];
  const listen = async (access: Access): Promise<{ url: string; close: () => void }> => {
    const { server, url } = await serve(served, access, limits);
    const close = (): void => {
      server.closeAllConnections();
      server.close();
    };
    open.push(close);
    return { url, close };
  };
  const { url } = await listen(OPEN_ACCESS);
  return {
    push,
    url,
    listen,
    publish: async (...tags) =>
      formatDigest((await push.push({ tags: tags.map((text) => tagOf(parseReference(text))) })).digest),
    ask: (path, headers = {}, method = "GET") =>
      fetch(`${url}${path}`, { headers, method, redirect: "manual" }),
    raw: (path, headers = {}, method = "GET") => askRaw(`${url}${path}`, headers, method),
    close: async () => {
      for (const close of open) close();
      await pool.close();
      await push.close();
    },
  };
}

async function serve(
  engine: Engine,
  access: Access,
  limits: Partial<AnswerLimits>,
): Promise<{ server: Server; url: string }> {
  const sessions = undefined as unknown as Services["sessions"];
  const stopping = new AbortController().signal;
  const tree = openStoreTree(engine);
  const answers = new Answers({ ...answerLimitsOf(engine.memoryBytes), ...limits }, engine.clock);
  const handler = createFs({ engine, tree, sessions, answers, access, log: SILENT_LOG, stopping });
  const server = createServer((request, response) => {
    handler(request, response).catch((error: unknown) => {
      sendProblem(response, error);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  return { server, url: `http://127.0.0.1:${address.port}` };
}

function askRaw(url: string, headers: Record<string, string>, method: string): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const asked = requestOf(url, { headers, method }, (answer) => {
      const parts: Buffer[] = [];
      answer.on("data", (part: Buffer) => parts.push(part));
      answer.on("error", reject);
      answer.on("end", () => {
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(parts) });
      });
    });
    asked.on("error", reject);
    asked.end();
  });
}
