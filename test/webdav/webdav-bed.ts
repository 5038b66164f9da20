/** WebDAV at a port of its own, over a store in a temporary folder. */
import { OPEN_ACCESS, type Access } from "../../src/auth/access.ts";
import { SILENT_LOG } from "../../src/base/log.ts";
import { tagOf } from "../../src/dataset/tag-changes.ts";
import { openPushBed, type PushBed } from "../../src/dataset/testing/push-bed.ts";
import { WorkerPool } from "../../src/dataset/workers/pool.ts";
import { formatDigest } from "../../src/format/digest.ts";
import { parseReference } from "../../src/format/reference.ts";
import { answerLimitsOf, Answers } from "../../src/serve/answers.ts";
import { createFs } from "../../src/serve/http/fs.ts";
import type { PortTls } from "../../src/serve/port/certificates.ts";
import { openPort } from "../../src/serve/port/one-port.ts";
import type { Services } from "../../src/serve/services.ts";
import { createWebdav } from "../../src/serve/webdav/webdav.ts";
import { openStoreTree } from "../../src/vfs/store-tree.ts";
import type { Tree } from "../../src/vfs/tree.ts";

/** Another WebDAV over the same store. */
export interface ListenOptions {
  readonly access?: Access;
  readonly tls?: PortTls;
  /** What is looked at instead of the store's tree. */
  readonly tree?: (tree: Tree) => Tree;
}

/** A store, and WebDAV over it. */
export interface WebdavBed {
  readonly push: PushBed;
  /** `http://127.0.0.1:PORT/webdav`. */
  readonly url: string;
  /** Publishes what lies in `push.source`; the version, `sha256:…`. */
  readonly publish: (...tags: readonly string[]) => Promise<string>;
  readonly listen: (options?: ListenOptions) => Promise<string>;
  readonly close: () => Promise<void>;
}

/** Opens it. Close it, whatever happens. */
export async function openWebdavBed(): Promise<WebdavBed> {
  const pool = new WorkerPool(2);
  const push = await openPushBed(pool);
  const closers: (() => Promise<void>)[] = [];
  const listen = async ({ access = OPEN_ACCESS, tls, tree }: ListenOptions = {}): Promise<string> => {
    const { engine } = push;
    const whole = openStoreTree(engine);
    const answers = new Answers(answerLimitsOf(engine.memoryBytes), engine.clock);
    const services: Services = {
      answers,
      ...{ engine, access, log: SILENT_LOG, tree: tree?.(whole) ?? whole },
      ...{ sessions: undefined as unknown as Services["sessions"], stopping: new AbortController().signal },
    };
    const port = await openPort({
      ...{ host: "127.0.0.1", port: 0, tls, log: SILENT_LOG, clock: engine.clock },
      http: createWebdav(services, createFs(services)),
      grpc: (stream) => {
        stream.close();
      },
    });
    closers.push(() => port.close({ graceMs: 0 }));
    return `${tls === undefined ? "http" : "https"}://127.0.0.1:${port.port}/webdav`;
  };
  return {
    push,
    url: await listen(),
    listen,
    publish: async (...tags) =>
      formatDigest((await push.push({ tags: tags.map((text) => tagOf(parseReference(text))) })).digest),
    close: async () => {
      await Promise.all(closers.map((close) => close()));
      await pool.close();
      await push.close();
    },
  };
}

/** An answer, whole. */
export interface DavAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** Asks. Redirects are not followed. */
export async function ask(
  url: string,
  method: string,
  headers: Readonly<Record<string, string>> = {},
  body?: string | Uint8Array<ArrayBuffer>,
): Promise<DavAnswer> {
  const answer = await fetch(url, {
    method,
    headers,
    redirect: "manual",
    ...(body === undefined ? {} : { body }),
  });
  return { status: answer.status, headers: answer.headers, text: await answer.text() };
}

/** The tree; `onBatch` is called for each batch of a list, before it is given. */
export function watched(tree: Tree, onBatch: () => void): Tree {
  const list: Tree["list"] = async function* (directory, options) {
    for await (const batch of tree.list(directory, options)) {
      onBatch();
      yield batch;
    }
  };
  return new Proxy(tree, {
    get: (target, name) => {
      const member: unknown = name === "list" ? list : Reflect.get(target, name, target);
      return typeof member === "function" ? (member.bind(target) as unknown) : member;
    },
  });
}
