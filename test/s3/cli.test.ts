/** The command line and a hub on a store in S3, as users run them. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { execute } from "../cli/command.ts";
import { startHubProcess } from "../hub/hub-process.ts";
import { environmentIn } from "../program.ts";
import { radosgw, swift } from "../servers/shared.ts";
import { assertPulls, assertSameTree, numbersOf, placeOn, TAG, writeTree } from "./s3-tree.ts";

describe("the command line on S3", () => {
  test("push, update, pull, verify, history and rollback work as on a disk", async (t) => {
    const place = await placeOn(t, radosgw);
    if (place === undefined) return;
    const source = writeTree(place, 1);
    const first = (await place.json("push", "-t", TAG, source)) as { digest: string };
    await assertPulls(place, source);
    writeTree(place, 2);
    const update = (await place.json("push", "-t", TAG, source)) as { sentBytes: number; newBytes: number };
    assert.ok(update.sentBytes < 300_000, `an update sent ${update.sentBytes} bytes`);
    await assertPulls(place, source);
    await place.json("verify", TAG);
    assert.deepEqual(await numbersOf(place), [1, 2]);
    await place.json("rollback", "--to", "1", TAG);
    const shown = (await place.json("show", TAG)) as { digest: string };
    assert.equal(shown.digest, first.digest);
    assert.deepEqual(await place.keys("/tmp/"), []);
    assert.deepEqual(await place.keys("/leases/"), []);
  });

  test("a hub with --storage_driver s3 serves what the command line pushed, and takes pushes", async (t) => {
    const place = await placeOn(t, radosgw);
    if (place === undefined) return;
    const source = writeTree(place, 1);
    await place.json("push", "-t", TAG, source);
    const words = [
      "--storage_driver",
      "s3",
      "--storage_s3_bucket",
      place.bucket,
      "--storage_s3_prefix",
      "data",
    ];
    const environment = { ...place.environment, STORE: "" };
    const hub = await startHubProcess({ home: join(place.folder, "hub"), words, environment });
    try {
      const client = { ...environmentIn(join(place.folder, "client")), HUB: hub.host };
      const run = async (...args: string[]): Promise<void> => {
        const { exit, stderr } = await execute(args, place.folder, client);
        assert.equal(exit, 0, stderr);
      };
      await run("pull", "--into", "from-hub", TAG);
      assertSameTree(join(place.folder, "from-hub"), source);
      writeTree(place, 2);
      await run("push", "-t", TAG, source);
    } finally {
      hub.kill("SIGKILL");
      await hub.ended;
    }
    await assertPulls(place, source);
    assert.deepEqual(await numbersOf(place), [1, 2]);
  });

  test("on a server without conditional writes, push is refused, and works for a single writer", async (t) => {
    const place = await placeOn(t, swift);
    if (place === undefined) return;
    const source = writeTree(place, 1);
    const { exit, stderr } = await place.run(["push", "-t", TAG, source]);
    assert.equal(exit, 9, stderr);
    assert.match(stderr, /^aetherfs: FEATURE_UNSUPPORTED: .*--storage_s3_single_writer/);
    const alone = { STORAGE_S3_SINGLE_WRITER: "true" };
    for (const words of [
      ["push", "-t", TAG, source],
      ["pull", "--into", "target", TAG],
    ]) {
      const outcome = await place.run(words, alone);
      assert.equal(outcome.exit, 0, outcome.stderr);
    }
    assertSameTree(join(place.folder, "target"), source);
  });
});
