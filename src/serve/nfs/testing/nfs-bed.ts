/** NFS over a store of its own, for tests. */
import { OPEN_ACCESS, type Access } from "../../../auth/access.ts";
import type { MountTokens } from "../../../auth/mount-tokens.ts";
import { SILENT_LOG } from "../../../base/log.ts";
import { openPushBed, type PushBed } from "../../../dataset/testing/push-bed.ts";
import { tagOf } from "../../../dataset/tag-changes.ts";
import { WorkerPool } from "../../../dataset/workers/pool.ts";
import { formatDigest } from "../../../format/digest.ts";
import { parseReference } from "../../../format/reference.ts";
import { openStoreTree } from "../../../vfs/store-tree.ts";
import { openNfs, type NfsOptions, type NfsPort } from "../nfs.ts";
import { NfsClient } from "./nfs-client.ts";

/** A store, and NFS over it. */
export interface NfsBed {
  readonly push: PushBed;
  readonly port: NfsPort;
  /** Calls that have ended, as `PROCEDURE STATUS`. */
  readonly calls: string[];
  /** Publishes what lies in `push.source`; the version, `sha256:…`. */
  readonly publish: (...tags: readonly string[]) => Promise<string>;
  /** Another port over the same store. */
  readonly listen: (options?: Partial<NfsOptions>, access?: Access) => Promise<NfsPort>;
  /** A client, of the first port if no other is given. */
  readonly connect: (port?: NfsPort) => Promise<NfsClient>;
  readonly close: () => Promise<void>;
}

/** Opens it. Close it, whatever happens. */
export async function openNfsBed(): Promise<NfsBed> {
  const pool = new WorkerPool(2);
  const push = await openPushBed(pool);
  const calls: string[] = [];
  const ends: (() => void | Promise<void>)[] = [];
  const listen: NfsBed["listen"] = async (options = {}, access = OPEN_ACCESS) => {
    const port = await openNfs(servicesOf(push, access), {
      host: "127.0.0.1",
      port: 0,
      isShared: false,
      allowed: [{ address: "127.0.0.1", prefixBits: 32, family: "ipv4" }],
      tokens: undefined,
      handleKey: undefined,
      count: (procedure) => (status) => void calls.push(`${procedure} ${status}`),
      ...options,
    });
    ends.push(() => port.close({ graceMs: 0 }));
    return port;
  };
  const port = await listen();
  return {
    push,
    port,
    calls,
    listen,
    publish: async (...tags) =>
      formatDigest((await push.push({ tags: tags.map((text) => tagOf(parseReference(text))) })).digest),
    connect: async (to = port) => {
      const client = await NfsClient.open(to.port);
      ends.push(() => {
        client.close();
      });
      return client;
    },
    close: async () => {
      for (const end of ends.reverse()) await end();
      await pool.close();
      await push.close();
    },
  };
}

/** Tokens that a test changes. */
export function tokensOf(all: MountTokens["all"]): { all: MountTokens["all"] } {
  return { all };
}

function servicesOf({ engine }: PushBed, access: Access): Parameters<typeof openNfs>[0] {
  const stopping = new AbortController().signal;
  return { engine, tree: openStoreTree(engine), access, log: SILENT_LOG, stopping };
}
