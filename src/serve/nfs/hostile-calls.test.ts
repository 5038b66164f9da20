/** Calls whose heads are right and whose arguments are anything: each has an answer, and nobody else notices. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { deleteDataset, removeDeleted } from "../../dataset/deletion.ts";
import { parseDatasetName } from "../../format/reference.ts";
import { NFS_STATUS } from "./nfs-status.ts";
import { openNfsBed, type NfsBed } from "./testing/nfs-bed.ts";
import { PROCEDURES, type NfsClient } from "./testing/nfs-client.ts";
import { XdrWriter } from "./xdr.ts";

const [SUCCESS, GARBAGE_ARGUMENTS] = [0, 4];
const NFS_PROCEDURES_COUNT = 22;
const MOUNT_PROCEDURES_COUNT = 6;
const MNT = 1;
const STATUSES: ReadonlySet<number> = new Set(Object.values(NFS_STATUS));

let bed: NfsBed;
let client: NfsClient;
let handles: Buffer[];

before(async () => {
  bed = await openNfsBed();
  bed.push.write("text", "some text");
  bed.push.write("folder/file", "inner");
  const version = await bed.publish("set:v1");
  await bed.publish("@team/set:v1");
  client = await bed.connect();
  const paths = ["/", "/@team", "/set", "/set/v1", `/set/${version}`, "/set/v1/folder"];
  handles = await Promise.all(paths.map((path) => client.mount(path)));
  handles.push(await client.lookup(await client.mount("/set/v1"), "text"));
});
after(() => bed.close());

/** Calls, and checks that the answer is one of the protocol's; its status, undefined where there is none. */
async function call(program: number, procedure: number, args: Uint8Array): Promise<number | undefined> {
  const { isAccepted, status, results } = await client.rpc.call(
    [program, 3, procedure],
    new XdrWriter().fixed(args),
  );
  assert.equal(isAccepted, true);
  assert.ok(status === SUCCESS || status === GARBAGE_ARGUMENTS, `accept_stat ${status}`);
  const hasStatus = program === 100003 ? procedure !== PROCEDURES.null : procedure === MNT;
  if (status !== SUCCESS || !hasStatus) return undefined;
  const own = results.uint32();
  assert.ok(STATUSES.has(own), `status ${own}`);
  return own;
}

const mutation = fc.array(fc.tuple(fc.nat(63), fc.integer({ min: 1, max: 255 })), {
  minLength: 1,
  maxLength: 4,
});

describe("arguments", () => {
  it("of any bytes, to any procedure, have an answer", async () => {
    const nfs = fc.tuple(fc.constant(100003), fc.nat(NFS_PROCEDURES_COUNT - 1));
    const mount = fc.tuple(fc.constant(100005), fc.nat(MOUNT_PROCEDURES_COUNT - 1));
    const property = fc.asyncProperty(
      fc.oneof(nfs, mount),
      fc.uint8Array({ maxLength: 200 }),
      async ([program, procedure], args) => {
        await call(program, procedure, args);
      },
    );
    await fc.assert(property, { numRuns: 400 });
  });

  it("after a handle that is good, have an answer", async () => {
    const property = fc.asyncProperty(
      fc.nat(NFS_PROCEDURES_COUNT - 1),
      fc.nat(100),
      fc.uint8Array({ maxLength: 60 }),
      async (procedure, which, rest) => {
        const args = new XdrWriter().opaque(handles[which % handles.length] ?? Buffer.alloc(0)).fixed(rest);
        await call(100003, procedure, args.bytes);
      },
    );
    await fc.assert(property, { numRuns: 400 });
  });

  it("with a handle in which a bit is another, are refused", async () => {
    const reading = Object.values(PROCEDURES).filter(
      (number) => number !== PROCEDURES.null && number !== PROCEDURES.setattr,
    );
    const property = fc.asyncProperty(
      fc.constantFrom(...reading),
      fc.nat(100),
      mutation,
      async (procedure, which, changes) => {
        const good = handles[which % handles.length] ?? Buffer.alloc(0);
        const handle = Buffer.from(good);
        for (const [at, by] of changes)
          handle[at % handle.byteLength] = (handle[at % handle.byteLength] ?? 0) ^ by;
        fc.pre(!handle.equals(good));
        const args = new XdrWriter().opaque(handle).fixed(Buffer.alloc(40));
        assert.equal(await call(100003, procedure, args.bytes), NFS_STATUS.NFS3ERR_BADHANDLE);
      },
    );
    await fc.assert(property, { numRuns: 400 });
  });
});

describe("handles of a dataset that was deleted and made again", () => {
  it("lead to the new one's names, and to no version of the old one", async () => {
    await bed.publish("again:v1", "again:only-before");
    const dataset = await client.mount("/again");
    const tag = await client.lookup(dataset, "v1");
    const gone = await client.lookup(dataset, "only-before");
    const file = await client.lookup(tag, "text");
    const { engine } = bed.push;
    const name = parseDatasetName("again");
    const { value } = (await engine.store.datasets.getDataset(name)) ?? {};
    await deleteDataset(engine, name, { publisher: "test" });
    // As prune does in the end.
    assert.equal(await removeDeleted(engine, name, value?.incarnation ?? "", {}), true);
    bed.push.write("text", "another text");
    await bed.publish("again:v1");
    const fresh = await bed.connect(await bed.listen());
    await assert.rejects(fresh.getattr(file), /NFS 70$/);
    await assert.rejects(fresh.getattr(gone), /NFS 70$/);
    const anew = await fresh.lookup(tag, "text");
    assert.equal((await fresh.read(anew, 0, 100)).bytes.toString(), "another text");
    assert.deepEqual(
      (await fresh.list(dataset)).map(({ name }) => name),
      ["v1"],
    );
  });
});
