/** Clients of the first AetherFS keep working: its contract (proto/aetherfs/{block,dataset}/v1), spoken by grpcio. */
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { rmSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { OPEN_ACCESS } from "../../src/auth/access.ts";
import { systemClock } from "../../src/base/clock.ts";
import { MiB } from "../../src/base/limits.ts";
import { SILENT_LOG } from "../../src/base/log.ts";
import { openSessions } from "../../src/dataset/ingest/hub-sessions.ts";
import { noise } from "../../src/dataset/testing/engine.ts";
import { openPushBed } from "../../src/dataset/testing/push-bed.ts";
import { WorkerPool } from "../../src/dataset/workers/pool.ts";
import { parseDatasetName, parseTag } from "../../src/format/reference.ts";
import { blockService } from "../../src/serve/api/block-service.ts";
import { datasetService } from "../../src/serve/api/dataset-service.ts";
import { createGrpc } from "../../src/serve/grpc/grpc.ts";
import { openPort } from "../../src/serve/port/one-port.ts";
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
  const pool = new WorkerPool(2);
  const bed = await openPushBed(pool);
  const stopping = new AbortController();
  const { engine } = bed;
  const log = SILENT_LOG;
  const sessions = openSessions(engine, { log });
  const services = { engine, sessions, access: OPEN_ACCESS, log, stopping: stopping.signal };
  const apis = [blockService(services), datasetService(services)];
  const grpc = createGrpc(apis, { messageBytesMax: 8 * MiB, log, stopping: stopping.signal });
  const where = { host: "127.0.0.1", port: 0, tls: undefined } as const;
  const port = await openPort({ ...where, grpc: grpc.stream, http: grpc.http, log, clock: systemClock });
  try {
    for (const [name, bytes] of Object.entries(PUSHED)) bed.write(name, bytes);
    await bed.push({ tags: [{ name: parseDatasetName("pushed"), tag: parseTag("latest") }] });
    const descriptors = join(folder, "descriptors");
    const files = ["block", "dataset"].map((name) => `aetherfs/${name}/v1/api.proto`);
    const words = ["--include_imports", `--descriptor_set_out=${descriptors}`, "--proto_path=proto"];
    execFileSync(protoc, [...words, "--proto_path=/usr/include", ...files], { cwd: root });
    const digests = Object.entries(PUSHED).flatMap(([name, bytes]) => [name, sha256(bytes)]);
    const told = await promisify(execFile)(
      python,
      ["-I", CLIENT, descriptors, `127.0.0.1:${port.port}`, ...digests],
      { timeout: CLIENT_MS_MAX, killSignal: "SIGKILL", maxBuffer: 16 * MiB },
    ).catch((error: unknown) => assert.fail(String((error as { stderr?: string }).stderr ?? error)));
    assert.match(told.stderr, /Ran 8 tests .*\n\nOK\n/s, told.stderr);
  } finally {
    stopping.abort();
    await port.close({ graceMs: 1000 });
    await sessions.close();
    await bed.close();
    await pool.close();
    rmSync(folder, { recursive: true, force: true });
  }
});

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
