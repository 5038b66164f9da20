/** An S3 API over a store in a temporary folder, for tests. */
import assert from "node:assert/strict";
import { createServer, request as send, type IncomingHttpHeaders } from "node:http";
import { S3Client } from "@aws-sdk/client-s3";
import type { AccessKeys } from "../../../auth/access-keys.ts";
import { OPEN_ACCESS, type Access } from "../../../auth/access.ts";
import { SILENT_LOG, type Log } from "../../../base/log.ts";
import { openPushBed, type PushBed } from "../../../dataset/testing/push-bed.ts";
import { WorkerPool } from "../../../dataset/workers/pool.ts";
import { parseReference } from "../../../format/reference.ts";
import { tagOf } from "../../../dataset/tag-changes.ts";
import { openStoreTree } from "../../../vfs/store-tree.ts";
import { answerLimitsOf, Answers, type AnswerLimits } from "../../answers.ts";
import type { Services } from "../../services.ts";
import { createS3 } from "../s3.ts";

/** The one key of beds that have keys. */
export const BED_KEY = { id: "AKIDBED", secret: "bed/secret+of=the+bed" };

/** What makes an API other than one that answers everybody at its root. */
export interface S3BedOptions {
  readonly keys?: AccessKeys;
  readonly access?: Access;
  readonly base?: string;
  readonly log?: Log;
  /** Added to the machine's time. */
  readonly aheadMs?: number;
  readonly limits?: Partial<AnswerLimits>;
}

/** An answer, whole. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
}

/** A store, and APIs over it. */
export interface S3Bed {
  readonly bed: PushBed;
  /** Pushes the source to tags, `name:tag` each. */
  readonly push: (...tags: string[]) => Promise<string>;
  /** Opens an API; its URL has its base. */
  readonly open: (options?: S3BedOptions) => Promise<string>;
  /** A client of the SDK, which signs with BED_KEY unless it is to sign nothing. */
  readonly client: (url: string, options?: { readonly isSigned: boolean }) => S3Client;
  readonly close: () => Promise<void>;
}

/** Keys with BED_KEY alone, which is alice's. */
export const BED_KEYS: AccessKeys = {
  find: (id) => (id === BED_KEY.id ? { secret: BED_KEY.secret, name: "alice" } : undefined),
};

/** Opens it. Close it, whatever happens. */
export async function openS3Bed(): Promise<S3Bed> {
  const pool = new WorkerPool(2);
  const bed = await openPushBed(pool);
  const closers: (() => void)[] = [];
  const open = async (options: S3BedOptions = {}): Promise<string> => {
    const { keys, access = OPEN_ACCESS, base = "", log = SILENT_LOG, aheadMs = 0, limits } = options;
    const clock = { ...bed.engine.clock, nowMs: () => bed.engine.clock.nowMs() + aheadMs };
    const services: Services = {
      engine: { ...bed.engine, clock },
      tree: openStoreTree(bed.engine),
      answers: new Answers({ ...answerLimitsOf(bed.engine.memoryBytes), ...limits }, bed.engine.clock),
      sessions: undefined as unknown as Services["sessions"],
      access,
      log,
      stopping: new AbortController().signal,
    };
    const handler = createS3({ services, keys, place: { base, domains: ["s3.test"] } });
    const server = createServer((request, response) => void handler(request, response));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    closers.push(() => {
      server.closeAllConnections();
      server.close();
    });
    const address = server.address();
    assert.ok(address !== null && typeof address === "object");
    return `http://127.0.0.1:${address.port}${base}`;
  };
  return {
    bed,
    push: async (...tags) =>
      (await bed.push({ tags: tags.map((text) => tagOf(parseReference(text))) })).digest,
    open,
    client: (endpoint, { isSigned } = { isSigned: true }) => {
      const credentials = { accessKeyId: BED_KEY.id, secretAccessKey: BED_KEY.secret };
      const plain = { signer: { sign: async <T>(request: T) => request } };
      const client = new S3Client({
        endpoint,
        region: "us-east-1",
        forcePathStyle: true,
        maxAttempts: 1,
        credentials,
        ...(isSigned ? {} : plain),
      });
      closers.push(() => {
        client.destroy();
      });
      return client;
    },
    close: async () => {
      for (const close of closers) close();
      await pool.close();
      await bed.close();
    },
  };
}

/** Sends a request as it is written, unlike fetch, which mends paths and headers. */
export function ask(
  url: string,
  options: {
    readonly method?: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: Uint8Array;
  } = {},
): Promise<Answer> {
  const { method = "GET", headers = {}, body } = options;
  const { hostname, port, origin } = new URL(url);
  const path = url.slice(origin.length);
  return new Promise((resolve, reject) => {
    const request = send({ hostname, port, path, method, headers, agent: false }, (response) => {
      const pieces: Buffer[] = [];
      response.on("data", (piece: Buffer) => pieces.push(piece));
      response.on("error", reject);
      response.on("end", () => {
        const whole = Buffer.concat(pieces);
        const { statusCode: status = 0, headers: got } = response;
        resolve({ status, headers: got, body: whole, text: whole.toString() });
      });
    });
    request.on("error", reject);
    request.end(body);
  });
}

/** The texts of all elements of that name. */
export function textsOf({ text }: Answer, name: string): string[] {
  return [...text.matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, "g"))].map(([, inner = ""]) => inner);
}
