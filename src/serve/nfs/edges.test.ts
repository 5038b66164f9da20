/** What clients do seldom, or in bad faith. */
import assert from "node:assert/strict";
import fs from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { NFS_STATUS } from "./nfs-status.ts";
import { openNfsBed, type NfsBed } from "./testing/nfs-bed.ts";
import { PROCEDURES, type NfsClient } from "./testing/nfs-client.ts";
import { XdrWriter } from "./xdr.ts";

let bed: NfsBed;
let client: NfsClient;

before(async () => {
  bed = await openNfsBed();
  bed.push.write("text", "some text");
  bed.push.write("folder/file", "inner");
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
