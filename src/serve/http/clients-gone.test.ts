/** Clients of /fs that leave while the store has not answered. */
import assert from "node:assert/strict";
import { request } from "node:http";
import { it } from "node:test";
import { noise } from "../../dataset/testing/engine.ts";
import { StalledBlocks } from "../../dataset/testing/stalled-blocks.ts";
import { openFsBed } from "./testing/fs-bed.ts";

const BIG = noise(3, 2_000_000);
const SMALL = noise(4, 20_000);

it("a client that leaves ends what the store was asked for it; one that stays has it all", async () => {
  const made: StalledBlocks[] = [];
  const bed = await openFsBed({}, (blocks) => {
    const stalled = new StalledBlocks(blocks);
    made.push(stalled);
    return stalled;
  });
  const [blocks] = made;
  assert.ok(blocks !== undefined);
  try {
    bed.push.write("big.bin", BIG);
    bed.push.write("small.bin", SMALL);
    await bed.publish("set:v1");
    // The way there is known then.
    await bed.raw("/fs/set/v1/");
    blocks.isStalled = true;
    for (const path of ["/fs/set/v1/big.bin", "/fs/set/v1/small.bin", "/fs/set/v1/?archive=tar"]) {
      const leaving = request(`${bed.url}${path}`);
      leaving.on("error", () => undefined);
      leaving.end();
      await blocks.until((calls) => calls > 0);
      leaving.destroy();
      await blocks.until((calls) => calls === 0);
    }
    const leaving = request(`${bed.url}/fs/set/v1/big.bin`);
    leaving.on("error", () => undefined);
    leaving.end();
    const staying = bed.raw("/fs/set/v1/big.bin");
    await blocks.until((calls) => calls > 0);
    leaving.destroy();
    blocks.letGo();
    assert.ok((await staying).body.equals(BIG));
    assert.ok((await bed.raw("/fs/set/v1/small.bin")).body.equals(SMALL));
  } finally {
    await bed.close();
  }
});
