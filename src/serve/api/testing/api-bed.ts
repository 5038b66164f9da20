/** Services over a store in a temporary folder, and clients of them without a network: for tests of src/serve/api/. */
import assert from "node:assert/strict";
import type { DescService } from "@bufbuild/protobuf";
import { createClient, createRouterTransport, type Client, type Interceptor } from "@connectrpc/connect";
import { OPEN_ACCESS, type Access } from "../../../auth/access.ts";
import type { ErrorCode } from "../../../base/errors.ts";
import { SILENT_LOG } from "../../../base/log.ts";
import type { IngestSessions } from "../../../dataset/ingest/sessions.ts";
import { openPushBed, type PushBed } from "../../../dataset/testing/push-bed.ts";
import { WorkerPool } from "../../../dataset/workers/pool.ts";
import { fromRpcError, toRpcError } from "../../../rpc/rpc-error.ts";
import type { RpcService } from "../../../rpc/rpc-service.ts";
import { answerLimitsOf, Answers } from "../../answers.ts";
import { openStoreTree } from "../../../vfs/store-tree.ts";
import type { Services } from "../../services.ts";

const NO_SESSIONS: IngestSessions = {
  prepare: () => Promise.reject(new Error("no sessions here")),
  begin: () => Promise.reject(new Error("no sessions here")),
  use: () => {
    throw new Error("no sessions here");
  },
  close: () => Promise.resolve(),
};

/** A bed to push with, and the services of a hub over its store. */
export interface ApiBed {
  readonly push: PushBed;
  readonly services: Services;
  /** What a hub does when it is told to stop. */
  readonly stop: () => void;
  readonly close: () => Promise<void>;
}

/** Makes it; `access` is everybody's unless told otherwise. */
export async function openApiBed(access: Access = OPEN_ACCESS): Promise<ApiBed> {
  const pool = new WorkerPool(2);
  const push = await openPushBed(pool);
  const stopping = new AbortController();
  return {
    push,
    services: {
      engine: push.engine,
      sessions: NO_SESSIONS,
      tree: openStoreTree(push.engine),
      answers: new Answers(answerLimitsOf(push.engine.memoryBytes), push.engine.clock),
      access,
      log: SILENT_LOG,
      stopping: stopping.signal,
    },
    stop: () => {
      stopping.abort();
    },
    close: async () => {
      await push.close();
      await pool.close();
    },
  };
}

/** A client of a service in this process, which sees errors as a hub's clients do. */
export function clientOf<S extends DescService>(
  definition: S,
  { service, impl }: RpcService,
  headers: Readonly<Record<string, string>> = {},
): Client<S> {
  const withHeaders: Interceptor = (next) => (request) => {
    for (const [name, value] of Object.entries(headers)) request.header.set(name, value);
    return next(request);
  };
  const transport = createRouterTransport(
    (router) => {
      router.service(service, impl);
    },
    { router: { interceptors: [withTableErrors] }, transport: { interceptors: [withHeaders] } },
  );
  return createClient(definition, transport);
}

const withTableErrors: Interceptor = (next) => async (request) => {
  try {
    const response = await next(request);
    return response.stream ? { ...response, message: guarded(response.message) } : response;
  } catch (error) {
    throw toRpcError(error);
  }
};

async function* guarded<T>(messages: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* messages;
  } catch (error) {
    throw toRpcError(error);
  }
}

/** Checks that a call fails with a code of the error table. */
export async function failsWith(call: Promise<unknown>, code: ErrorCode): Promise<void> {
  await assert.rejects(call, (error: unknown) => {
    assert.equal(fromRpcError(error, "test").code, code, String(error));
    return true;
  });
}
