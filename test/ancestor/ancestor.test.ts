/** Clients of the first AetherFS keep working: its contract (proto/aetherfs/{block,dataset}/v1), spoken to a hub by grpcio. */
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { MiB } from "../../src/base/limits.ts";
import { noise } from "../../src/dataset/testing/engine.ts";
import { connect } from "../../src/sdk/index.ts";
import { openHub, type TestHub } from "../hub/test-hub.ts";
import { requirePeer } from "../peers.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const CLIENT = join(root, "test/ancestor/client.py");
/** Far more than it takes: a client that waits for ever ends. */
const CLIENT_MS_MAX = 240_000;

/** What AetherFS itself pushes, which a client then reads through its view. */
const PUSHED = {
  "a.txt": Buffer.from("text"),
  "a/b": noise(1, 3 * MiB + 1),
  "a/c": new Uint8Array(),
  z: noise(2, 70_000),
} as const;

test("the first AetherFS's contract, spoken by a client that is not ours, is kept", async (t) => {
  const python = requirePeer(t, "python3-grpc");
  const protoc = requirePeer(t, "protoc");
  if (requirePeer(t, "protobuf-include") === undefined || python === undefined || protoc === undefined)
    return;
  const folder = mkdtempSync(join(tmpdir(), "aetherfs-test-"));
  const hub = await openHub();
  try {
    await push(hub, join(folder, "source"));
    const descriptors = join(folder, "descriptors");
    const files = ["block", "dataset"].map((name) => `aetherfs/${name}/v1/api.proto`);
    const words = ["--include_imports", `--descriptor_set_out=${descriptors}`, "--proto_path=proto"];
    execFileSync(protoc, [...words, "--proto_path=/usr/include", ...files], { cwd: root });
    const digests = Object.entries(PUSHED).flatMap(([name, bytes]) => [name, sha256(bytes)]);
    const told = await promisify(execFile)(python, ["-I", CLIENT, descriptors, hub.host, ...digests], {
      timeout: CLIENT_MS_MAX,
      killSignal: "SIGKILL",
      maxBuffer: 16 * MiB,
    }).catch((error: unknown) => assert.fail(String((error as { stderr?: string }).stderr ?? error)));
    assert.match(told.stderr, /Ran 8 tests .*\n\nOK\n/s, told.stderr);
  } finally {
    await hub.close();
    rmSync(folder, { recursive: true, force: true });
  }
});

async function push(hub: TestHub, source: string): Promise<void> {
  for (const [name, bytes] of Object.entries(PUSHED)) {
    mkdirSync(dirname(join(source, name)), { recursive: true });
    writeFileSync(join(source, name), bytes);
  }
  const client = connect(hub.host);
  try {
    await hub.push(client, source, ["pushed:latest"]);
  } finally {
    await client.close();
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
