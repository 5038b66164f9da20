import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { describe, test } from "node:test";
import { AetherError } from "../../base/errors.ts";
import { SILENT_LOG, type Log } from "../../base/log.ts";
import { systemRandom } from "../../base/random.ts";
import { parseDatasetName } from "../../format/reference.ts";
import type { DatasetStore } from "../../store/dataset-store.ts";
import { openHandleKey } from "./handle-key.ts";
import { Handles, hashName } from "./handles.ts";
import { openNfsBed, type NfsBed } from "./testing/nfs-bed.ts";

const random = systemRandom;
const { signal } = new AbortController();

async function onBed(task: (bed: NfsBed) => Promise<void>): Promise<void> {
  const bed = await openNfsBed();
  try {
    await task(bed);
  } finally {
    await bed.close();
  }
}

describe("the key of handles", () => {
  test("of hubs that begin at the same time on one store, is the same, and 32 bytes", () =>
    onBed(async ({ push }) => {
      const { datasets } = push.engine.store;
      const open = (): Promise<Uint8Array> => openHandleKey({ datasets, random, log: SILENT_LOG, signal });
      const [first, ...others] = await Promise.all([open(), open(), open()]);
      assert.equal(first.byteLength, 32);
      for (const other of others) assert.deepEqual(other, first);
      assert.deepEqual(await open(), first);
    }));

  test("does not follow from the store's id: a handle that is made with what does is refused", () =>
    onBed(async (bed) => {
      bed.push.write("file", "content");
      await bed.publish("set:latest");
      const client = await bed.connect();
      const { id } = bed.push.engine.store.datasets.store;
      const place = {
        ...({ kind: "tag", dataset: hashName("dataset", parseDatasetName("set")) } as const),
        tag: hashName("tag", "latest"),
      };
      const forge = (key: Uint8Array): Buffer => new Handles(key).encode(place, undefined);
      const known = createHmac("sha256", id).update("aetherfs nfs handles 1").digest();
      await assert.rejects(client.getattr(forge(known)), /NFS 10001/);
      const secret = await bed.push.engine.store.datasets.getSecret("nfs-handles");
      const handle = forge(Buffer.from(secret?.secret ?? "", "hex"));
      assert.deepEqual(
        handle,
        await client.mount("/set/latest"),
        "with the store's secret it is the hub's own",
      );
    }));

  test("of a store that cannot keep it, is another each time, and the log says what follows", async () => {
    const warnings: string[] = [];
    const log: Log = {
      ...SILENT_LOG,
      warn: (_facts: object, text?: string) => void warnings.push(text ?? ""),
    };
    const datasets: Pick<DatasetStore, "getSecret" | "createSecret"> = {
      getSecret: () => Promise.resolve(undefined),
      createSecret: () => Promise.reject(new AetherError("STORE_UNWRITABLE", "read-only")),
    };
    const keys = [
      await openHandleKey({ datasets, random, log, signal }),
      await openHandleKey({ datasets, random, log, signal }),
    ];
    assert.notDeepEqual(keys[0], keys[1]);
    assert.equal(warnings.length, 2);
    assert.match(warnings[0] ?? "", /--nfs_handle_key_file/);
  });

  test("of a store that is away, fails as the store does", async () => {
    const datasets: Pick<DatasetStore, "getSecret" | "createSecret"> = {
      getSecret: () => Promise.reject(new AetherError("STORE_UNAVAILABLE", "away")),
      createSecret: () => Promise.resolve(true),
    };
    await assert.rejects(openHandleKey({ datasets, random, log: SILENT_LOG, signal }), {
      code: "STORE_UNAVAILABLE",
    });
  });
});
