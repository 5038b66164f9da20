/** What clients do seldom, or in bad faith. */
import assert from "node:assert/strict";
import { hash } from "node:crypto";
import fs from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { OPEN_ACCESS } from "../../auth/access.ts";
import { KiB, MiB } from "../../base/limits.ts";
import { SILENT_LOG } from "../../base/log.ts";
import { openStoreTree } from "../../vfs/store-tree.ts";
import { parseExportPath } from "./export-path.ts";
import { Handles } from "./handles.ts";
import { mountProgram } from "./mount-program.ts";
import { nfsProgram } from "./nfs-program.ts";
import { NfsService } from "./nfs-service.ts";
import { NfsTree } from "./nfs-tree.ts";
import { RareWarnings } from "./rare-warnings.ts";
import type { RpcCaller, RpcProcedure } from "./rpc-programs.ts";
import { Visitors } from "./visitors.ts";
import { NFS_STATUS } from "./nfs-status.ts";
import { openNfsBed, tokensOf, type NfsBed } from "./testing/nfs-bed.ts";
import { PROCEDURES, type NfsClient } from "./testing/nfs-client.ts";
import { XdrReader, XdrWriter } from "./xdr.ts";

let bed: NfsBed;
let client: NfsClient;

before(async () => {
  bed = await openNfsBed();
  bed.push.write("text", "some text");
  bed.push.write("folder/file", "inner");
  bed.push.write("big", Buffer.alloc(2 * MiB, "big"));
  fs.symlinkSync("text", `${bed.push.source}/link`);
  await bed.publish("set:v1");
  client = await bed.connect();
});
after(() => bed.close());

function failsWith(status: keyof typeof NFS_STATUS): RegExp {
  return new RegExp(`NFS ${NFS_STATUS[status]}$`);
}

describe("LOOKUP", () => {
  it("in what is no directory, is refused, whatever the name", async () => {
    const top = await client.mount("/set/v1");
    for (const name of ["text", "link"]) {
      const handle = await client.lookup(top, name);
      for (const inside of [".", "..", "x", "x".repeat(300)])
        await assert.rejects(client.lookup(handle, inside), failsWith("NFS3ERR_NOTDIR"), `${name} ${inside}`);
    }
  });

  it("of names that nothing can have, says so, however long they are", async () => {
    const top = await client.mount("/set/v1");
    for (const length of [256, 4097, 60_000])
      await assert.rejects(client.lookup(top, "x".repeat(length)), failsWith("NFS3ERR_NAMETOOLONG"));
    for (const name of ["", "\0", "text\0", "folder/file", "/", "\u00e4".repeat(127)])
      await assert.rejects(client.lookup(top, name), failsWith("NFS3ERR_NOENT"), name);
    const notUtf8 = new XdrWriter().opaque(top).opaque(Buffer.from([0x74, 0xff]));
    await assert.rejects(client.nfs(PROCEDURES.lookup, notUtf8), failsWith("NFS3ERR_NOENT"));
  });
});

describe("a store that is damaged", () => {
  it("is told to who looks, and leaves no rejection that ends the process", async (t) => {
    const unhandled: unknown[] = [];
    const note = (error: unknown): void => void unhandled.push(error);
    process.on("unhandledRejection", note);
    t.after(() => process.off("unhandledRejection", note));
    await bed.publish("broken:v1");
    const root = await client.mount("/");
    // A list says what a tag's handle is without having looked where it stands.
    const [listed] = await client.list(await client.lookup(root, "broken"));
    assert.ok(listed?.handle !== undefined);
    const folder = join(bed.push.storeFolder, "aetherfs/v1/datasets");
    const records = fs
      .readdirSync(folder, { recursive: true, encoding: "utf8", withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.parentPath.includes("broken"));
    assert.ok(records.length > 0);
    const kept = records
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => [path, fs.readFileSync(path)] as const);
    for (const [path] of kept) fs.writeFileSync(path, "{");
    await assert.rejects(client.getattr(listed.handle), failsWith("NFS3ERR_IO"));
    await new Promise(setImmediate);
    assert.deepEqual(unhandled, []);
    for (const [path, bytes] of kept) fs.writeFileSync(path, bytes);
    assert.equal((await client.getattr(listed.handle)).type, 2);
  });
});

describe("answers", () => {
  it("that may be large, take room before they are made, until they were sent or could not be made", async () => {
    const nfs = serviceOf(new Visitors(OPEN_ACCESS, undefined));
    const { procedures } = nfsProgram(nfs);
    const mount = mountProgram(nfs, []).procedures;
    const rooms: number[] = [];
    let inside = 0;
    const caller: RpcCaller = {
      ...callerAt("127.0.0.1"),
      room: (bytes) => {
        rooms.push(bytes);
        inside++;
        return Promise.resolve(() => {
          inside--;
        });
      },
    };
    const call = (procedure: RpcProcedure | undefined, args: XdrWriter) => callOf(procedure, args, caller);
    const mounted = await call(mount[1], new XdrWriter().string("/set/v1"));
    mounted.results.uint32();
    const top = Buffer.from(mounted.results.opaque(64));
    const look = async (name: string): Promise<Buffer> => {
      const found = await call(procedures[PROCEDURES.lookup], new XdrWriter().opaque(top).string(name));
      found.results.uint32();
      return Buffer.from(found.results.opaque(64));
    };
    const [text, big] = [await look("text"), await look("big")];
    assert.equal(rooms.length, 0);
    const reads = (handle: Buffer, count: number): XdrWriter =>
      new XdrWriter().opaque(handle).uint64(0n).uint32(count);
    const list = new XdrWriter().opaque(top).uint64(0n).fixed(Buffer.alloc(8)).uint32(0xffff_ffff);
    for (const [procedure, args, bytes] of [
      [procedures[PROCEDURES.read], reads(text, 100), "some text".length],
      [procedures[PROCEDURES.read], reads(big, 64 * KiB), 64 * KiB],
      [procedures[PROCEDURES.read], reads(big, 0xffff_ffff), MiB],
      [procedures[PROCEDURES.readdir], list, 256 * KiB],
      [procedures[PROCEDURES.readdirplus], list.uint32(8 * KiB), 8 * KiB],
      [mount[2], new XdrWriter(), MiB],
      [mount[5], new XdrWriter(), MiB],
    ] as const) {
      const { tail } = await call(procedure, args);
      assert.deepEqual([rooms.pop(), inside], [bytes, 1]);
      tail?.release(true);
      assert.equal(inside, 0);
    }
    const small = new XdrWriter().opaque(top).uint64(0n).fixed(Buffer.alloc(8)).uint32(10);
    const { status, tail } = await call(procedures[PROCEDURES.readdir], small);
    assert.deepEqual([status, tail, inside], ["NFS3ERR_TOOSMALL", undefined, 0]);
  });
});

describe("MOUNT", () => {
  it("of a path that is no text, leads nowhere", async () => {
    const { results } = await client.rpc.call(
      [100005, 3, 1],
      new XdrWriter().opaque(Buffer.from([0x2f, 0xff])),
    );
    assert.equal(results.uint32(), 2);
  });

  it("shows no secret, wherever it stands in the path", () => {
    for (const path of ["/~a-secret/set", "/mount/~a-secret/set", "~a-secret", "//set/~a-secret/"]) {
      const { shown } = parseExportPath(path);
      assert.ok(!shown.includes("secret") && shown.includes("~"), shown);
    }
  });

  it("with tokens, tells nobody what others mounted", async () => {
    const secret = hash("sha256", "the-secret", "buffer");
    const nfs = serviceOf(new Visitors(OPEN_ACCESS, tokensOf([{ name: "one", secret, covers: () => true }])));
    const { procedures } = mountProgram(nfs, []);
    const dump = async (address: string): Promise<string[]> => {
      const { results } = await callOf(procedures[2], new XdrWriter(), callerAt(address));
      const paths: string[] = [];
      while (results.uint32() === 1) {
        results.string(100);
        paths.push(results.string(100) ?? "");
      }
      return paths;
    };
    await callOf(procedures[1], new XdrWriter().string("/~the-secret/set/v1"), callerAt("10.0.0.1"));
    assert.deepEqual(await dump("10.0.0.1"), ["/~…/set/v1"]);
    assert.deepEqual(await dump("10.0.0.2"), []);
  });
});

function serviceOf(visitors: Visitors): NfsService {
  const { engine } = bed.push;
  const { clock, memoryBytes } = engine;
  const tree = openStoreTree(engine);
  return new NfsService({
    tree,
    places: new NfsTree({ tree, clock, memoryBytes }),
    handles: new Handles(Buffer.from("key")),
    visitors,
    fsid: 1n,
    memoryBytes,
    clock,
    warnings: new RareWarnings(clock, SILENT_LOG),
    log: SILENT_LOG,
  });
}

function callerAt(address: string): RpcCaller {
  const room = () => Promise.resolve(() => undefined);
  const signal = new AbortController().signal;
  return { address, ownAddress: "127.0.0.1", transport: "tcp", signal, room };
}

async function callOf(procedure: RpcProcedure | undefined, args: XdrWriter, caller: RpcCaller) {
  const results = new XdrWriter();
  const { status, tail } = (await procedure?.run(new XdrReader(args.bytes), results, caller)) ?? {};
  return { status, tail, results: new XdrReader(results.bytes) };
}
