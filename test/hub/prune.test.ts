/** A hub that prunes by itself, as a process. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { MiB } from "../../src/base/limits.ts";
import { noise } from "../../src/dataset/testing/engine.ts";
import { tagOf } from "../../src/dataset/tag-changes.ts";
import { parseReference } from "../../src/format/reference.ts";
import { openHub } from "../../src/sdk/hub-client.ts";
import { withHubProcess } from "./hub-process.ts";

const TARGET = tagOf(parseReference("data:one"));
const SAID = { publisher: "test", message: "", labels: {} };

/** A version that nothing needs any more. */
async function pushAndRemove(address: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "aetherfs-test-prune-"));
  const client = openHub({ address, memoryBytes: 128 * MiB, threads: 1, cacheDir: undefined });
  try {
    writeFileSync(join(folder, "data.bin"), noise(1, 200_000));
    await client.push({ source: folder, tags: [TARGET], publisher: "test" });
    await client.removeTag(TARGET, SAID);
  } finally {
    await client.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A figure of /metrics; NaN while there is none. */
async function figure(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const found = new RegExp(`^aetherfs_prune_${name} (\\S+)$`, "m").exec(text)?.[1];
  assert.ok(found !== undefined, name);
  return Number(found === "Nan" ? NaN : found);
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 50));
}

describe("a hub with a schedule", () => {
  it("removes what is not needed, says so in its log and metrics, and ends well while it prunes", async () => {
    const words = ["--prune_interval", "200ms", "--prune_grace", "0s"];
    await withHubProcess({ words }, async (hub) => {
      await pushAndRemove(hub.host);
      while ((await figure(hub.url, "removed_bytes_total")) < 200_000) await pause();
      assert.ok((await figure(hub.url, "last_success_timestamp_seconds")) > 1_700_000_000);
      assert.ok((await figure(hub.url, "removed_objects_total")) >= 2);
      assert.equal(await figure(hub.url, "failures_total"), 0);
      assert.equal(await figure(hub.url, "held_up_by"), 0);
      const line = hub.log.find(({ msg, removedBytes }) => msg === "pruned" && Number(removedBytes) > 0);
      assert.equal(line?.["who"], "schedule");
      hub.kill("SIGTERM");
      assert.equal(await hub.ended, 0);
    });
  });

  it("with the interval 0, prunes only when it is asked to", async () => {
    const words = ["--prune_interval", "0", "--prune_grace", "0s"];
    await withHubProcess({ words }, async (hub) => {
      await pushAndRemove(hub.host);
      assert.equal(await figure(hub.url, "runs_total"), 0);
      assert.ok(Number.isNaN(await figure(hub.url, "last_success_timestamp_seconds")));
      const answer = await fetch(`${hub.url}/api/v1/maintenance/prune`, {
        method: "POST",
        body: "{}",
        headers: { "content-type": "application/json" },
      });
      const lines = (await answer.text()).split("\n").filter((line) => line !== "");
      const { result } = JSON.parse(lines.at(-1) ?? "") as { result?: { removed?: { blocks?: string } } };
      assert.equal(result?.removed?.blocks, "1");
      assert.equal(await figure(hub.url, "runs_total"), 1);
    });
  });
});
