import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Client } from "@connectrpc/connect";
import { OPEN_ACCESS, type Access } from "../../auth/access.ts";
import { must } from "../../base/assert.ts";
import { AetherError } from "../../base/errors.ts";
import { SILENT_LOG } from "../../base/log.ts";
import { Pruner } from "../../dataset/prune/pruner.ts";
import { removeTag } from "../../dataset/tag-changes.ts";
import { noise } from "../../dataset/testing/engine.ts";
import { BED_TAG } from "../../dataset/testing/push-bed.ts";
import { MaintenanceAPI, type PruneResponse } from "../../gen/aetherfs/hub/v1/maintenance_pb.ts";
import { maintenanceService } from "./maintenance-service.ts";
import { clientOf, failsWith, openApiBed, type ApiBed } from "./testing/api-bed.ts";

const DENIED: Access = {
  ...OPEN_ACCESS,
  check: (_identity, action) =>
    action === "admin" ? Promise.reject(new AetherError("ACCESS_DENIED", "not you")) : Promise.resolve(),
};
const ANN = { publisher: "ann", message: "", labels: {} };

interface Bed extends ApiBed {
  readonly client: Client<typeof MaintenanceAPI>;
  readonly pruner: Pruner;
}

/** A store with one version that nothing needs any more. */
async function withBed(work: (bed: Bed) => Promise<void>, access?: Access): Promise<void> {
  const bed = await openApiBed(access);
  try {
    bed.push.write("data", noise(1, 100_000));
    await bed.push.push();
    await removeTag(bed.push.engine, BED_TAG, ANN);
    const pruner = new Pruner({ engine: bed.push.engine, log: SILENT_LOG });
    await work({
      ...bed,
      pruner,
      client: clientOf(MaintenanceAPI, maintenanceService(bed.services, pruner)),
    });
  } finally {
    await bed.close();
  }
}

async function gather(stream: AsyncIterable<PruneResponse>): Promise<PruneResponse[]> {
  const messages: PruneResponse[] = [];
  for await (const message of stream) messages.push(message);
  return messages;
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 10));
}

/** A push that began before whatever is condemned from now on, and says no more. */
async function holdUp({ push }: ApiBed): Promise<void> {
  const record = { id: "0".repeat(32), holder: "ann's laptop", created: "2026-11-28T00:00:00Z", beat: 0 };
  const claims = { ttlSeconds: 900, blocks: [], versions: [], epoch: 0 };
  await push.store.datasets.replaceLease({ ...record, ...claims }, undefined);
}

describe("MaintenanceAPI.Prune", () => {
  it("asked by an admin, says how far it is, and at last what it did", async () => {
    await withBed(async ({ client, push }) => {
      const first = await gather(client.prune({}));
      assert.equal(must(first[0]?.progress, "progress comes first").phase, "mark");
      const condemned = must(first.at(-1)?.result, "the result comes last");
      assert.equal(condemned.removed?.blocks, 0n);
      assert.ok((condemned.condemned?.blocks ?? 0n) > 0n);
      assert.ok((condemned.ripeInMs ?? 0n) > 23n * 3_600_000n, "a day of grace unless told otherwise");
      const last = (await gather(client.prune({ graceMs: 0n }))).at(-1)?.result;
      assert.equal(last?.removed?.blocks, condemned.condemned?.blocks);
      assert.equal(push.files("blocks").size, 0);
    });
  });

  it("asked by somebody else, is refused", async () => {
    await withBed(async ({ client, push }) => {
      await failsWith(gather(client.prune({ graceMs: 0n })), "ACCESS_DENIED");
      assert.ok(push.files("blocks").size > 0);
    }, DENIED);
  });

  it("with a share that is none, or no bytes a second, is refused", async () => {
    await withBed(async ({ client }) => {
      await failsWith(gather(client.prune({ repackBelow: 1.5 })), "ARGUMENT_INVALID");
      await failsWith(gather(client.prune({ bytesPerSecond: 0n })), "ARGUMENT_INVALID");
    });
  });

  it("while another is under way, is refused; when the client goes away, ends, and the next one goes on", async () => {
    await withBed(async (bed) => {
      const { client, push, pruner } = bed;
      await gather(client.prune({}));
      await holdUp(bed);
      const gone = new AbortController();
      const call = { graceMs: 0n, waitMs: 3_600_000n };
      await assert.rejects(async () => {
        for await (const { progress } of client.prune(call, { signal: gone.signal })) {
          if (progress?.phase !== "wait") continue;
          await failsWith(gather(client.prune({})), "OBJECT_CONFLICT");
          gone.abort();
        }
      });
      while (pruner.figures.isUnderWay) await pause();
      assert.equal(pruner.figures.failures, 0, "who interrupts makes none fail");
      const held = (await gather(client.prune({ graceMs: 0n }))).at(-1)?.result;
      assert.deepEqual(
        held?.holders.map(({ holder, since }) => [holder, since]),
        [["ann's laptop", "2026-11-28T00:00:00Z"]],
      );
      assert.ok(push.files("blocks").size > 0);
      await push.store.datasets.removeLease("0".repeat(32));
      await gather(client.prune({ graceMs: 0n }));
      assert.equal(push.files("blocks").size, 0);
    });
  });

  it("while the hub stops, ends with HUB_UNAVAILABLE", async () => {
    await withBed(async (bed) => {
      await gather(bed.client.prune({}));
      await holdUp(bed);
      const stream = bed.client.prune({ graceMs: 0n, waitMs: 3_600_000n });
      const ended = gather(stream);
      while (!bed.pruner.figures.isUnderWay) await pause();
      bed.stop();
      await failsWith(ended, "HUB_UNAVAILABLE");
    });
  });
});
