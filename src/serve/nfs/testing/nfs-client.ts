/** NFS and MOUNT for tests and benches. RFC 1813 */
import assert from "node:assert/strict";
import { XdrWriter, type XdrReader } from "../xdr.ts";
import { RpcClient } from "./rpc-client.ts";

/** Numbers of procedures. */
export const PROCEDURES = {
  null: 0,
  getattr: 1,
  setattr: 2,
  lookup: 3,
  access: 4,
  readlink: 5,
  read: 6,
  readdir: 16,
  readdirplus: 17,
  fsstat: 18,
  fsinfo: 19,
  pathconf: 20,
} as const;

/** What a client cares about of fattr3. */
export interface Attributes {
  /** 1 a file, 2 a directory, 5 a symbolic link. */
  readonly type: number;
  readonly mode: number;
  readonly size: number;
  readonly fileId: bigint;
  /** `seconds.nanos` */
  readonly mtime: string;
}

/** An entry of READDIRPLUS. */
export interface ListedEntry {
  readonly name: string;
  readonly fileId: bigint;
  readonly cookie: bigint;
  readonly attributes: Attributes | undefined;
  readonly handle: Buffer | undefined;
}

/** What READDIRPLUS gave. */
export interface ListedPage {
  readonly entries: readonly ListedEntry[];
  readonly verifier: Buffer;
  readonly isEnd: boolean;
}

/** A client on one connection. Every status that is not expected rejects: "NFS 70". */
export class NfsClient {
  readonly rpc: RpcClient;

  private constructor(rpc: RpcClient) {
    this.rpc = rpc;
  }

  static async open(port: number): Promise<NfsClient> {
    return new NfsClient(await RpcClient.open(port));
  }

  close(): void {
    this.rpc.close();
  }

  /** The handle of a path that is exported. */
  async mount(path: string): Promise<Buffer> {
    const results = await this.#ok([100005, 3, 1], new XdrWriter().string(path));
    return Buffer.from(results.opaque(64));
  }

  /** What follows NFS3_OK. */
  async nfs(procedure: number, args: XdrWriter): Promise<XdrReader> {
    return this.#ok([100003, 3, procedure], args);
  }

  async getattr(handle: Buffer): Promise<Attributes> {
    return readAttributes(await this.nfs(PROCEDURES.getattr, new XdrWriter().opaque(handle)));
  }

  async lookup(handle: Buffer, ...names: readonly string[]): Promise<Buffer> {
    let at = handle;
    for (const name of names) {
      const results = await this.nfs(PROCEDURES.lookup, new XdrWriter().opaque(at).string(name));
      at = Buffer.from(results.opaque(64));
    }
    return at;
  }

  async read(
    handle: Buffer,
    offset: number,
    count: number,
  ): Promise<{ readonly bytes: Buffer; readonly isEnd: boolean }> {
    const args = new XdrWriter().opaque(handle).uint64(BigInt(offset)).uint32(count);
    const results = await this.nfs(PROCEDURES.read, args);
    optionalAttributes(results);
    const bytesCount = results.uint32();
    const isEnd = results.uint32() === 1;
    const bytes = results.opaque(1 << 20);
    assert.equal(bytes.byteLength, bytesCount);
    return { bytes, isEnd };
  }

  async page(
    handle: Buffer,
    after: { readonly cookie: bigint; readonly verifier: Buffer },
    maxBytes = 4096,
    dirBytes = maxBytes,
  ): Promise<ListedPage> {
    const args = new XdrWriter().opaque(handle).uint64(after.cookie).fixed(after.verifier);
    const results = await this.nfs(PROCEDURES.readdirplus, args.uint32(dirBytes).uint32(maxBytes));
    optionalAttributes(results);
    const verifier = Buffer.from(results.fixed(8));
    const entries: ListedEntry[] = [];
    while (results.uint32() === 1) {
      const fileId = results.uint64();
      const name = results.string(4096) ?? "";
      const cookie = results.uint64();
      const attributes = optionalAttributes(results);
      const own = results.uint32() === 1 ? Buffer.from(results.opaque(64)) : undefined;
      entries.push({ name, fileId, cookie, attributes, handle: own });
    }
    return { entries, verifier, isEnd: results.uint32() === 1 };
  }

  /** Everything in a directory but "." and "..". */
  async list(handle: Buffer, maxBytes = 4096): Promise<ListedEntry[]> {
    const all: ListedEntry[] = [];
    let after: { cookie: bigint; verifier: Buffer } = FROM_START;
    for (let isEnd = false; !isEnd;) {
      const page = await this.page(handle, after, maxBytes);
      all.push(...page.entries);
      after = { cookie: all.at(-1)?.cookie ?? 0n, verifier: page.verifier };
      isEnd = page.isEnd;
    }
    return all.filter(({ name }) => name !== "." && name !== "..");
  }

  async #ok(call: readonly [number, number, number], args: XdrWriter): Promise<XdrReader> {
    const { isAccepted, status, results } = await this.rpc.call(call, args);
    if (!isAccepted || status !== 0) throw new Error(`RPC ${isAccepted ? "accepted" : "denied"} ${status}`);
    const own = results.uint32();
    if (own !== 0) throw new Error(`NFS ${own}`);
    return results;
  }
}

/** Where a list begins. */
export const FROM_START = { cookie: 0n, verifier: Buffer.alloc(8) };

function optionalAttributes(results: XdrReader): Attributes | undefined {
  return results.uint32() === 1 ? readAttributes(results) : undefined;
}

function readAttributes(results: XdrReader): Attributes {
  const [type, mode] = [results.uint32(), results.uint32()];
  results.fixed(12);
  const size = Number(results.uint64());
  results.fixed(24);
  const fileId = results.uint64();
  results.fixed(8);
  const mtime = `${results.uint32()}.${results.uint32()}`;
  results.fixed(8);
  return { type, mode, size, fileId, mtime };
}
