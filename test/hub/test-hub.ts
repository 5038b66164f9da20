/** A hub inside the process of a test, over a store in a temporary folder. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MiB, PIECE_BYTES_DEFAULT } from "../../src/base/limits.ts";
import { SILENT_LOG, type Log } from "../../src/base/log.ts";
import { startHub } from "../../src/daemon/hub.ts";
import type { PushResult } from "../../src/dataset/contract.ts";
import { parseReference } from "../../src/format/reference.ts";
import { tagOf } from "../../src/dataset/tag-changes.ts";
import type { Client } from "../../src/sdk/client.ts";

/** A hub that answers. */
export interface TestHub {
  /** What stands before the slash of a reference. */
  readonly host: string;
  readonly url: string;
  readonly nfsPort: number;
  /** Pushes a path to tags of this hub, `name:tag` each. */
  readonly push: (client: Client, source: string, tags: readonly string[]) => Promise<PushResult>;
  readonly close: () => Promise<void>;
}

/** Opens it. Close it, whatever happens. */
export async function openHub(
  options: { readonly log?: Log; readonly memoryBytes?: number } = {},
): Promise<TestHub> {
  const folder = mkdtempSync(join(tmpdir(), "aetherfs-test-hub-"));
  const hub = await startHub({
    ...{
      store: join(folder, "store"),
      cacheDir: join(folder, "cache"),
      cache: { pieceBytes: PIECE_BYTES_DEFAULT, diskBytes: 64 * MiB },
      memoryBytes: options.memoryBytes ?? 256 * MiB,
    },
    ...{
      threads: 2,
      port: 0,
      host: "127.0.0.1",
      tls: undefined,
      nfs: { port: 0, portmapPort: undefined, allowed: [], tokensFile: undefined, handleKeyFile: undefined },
      pruneIntervalMs: 0,
      pruneGraceMs: 0,
      scrubRateBytes: 0,
      version: "0.0.0",
      log: options.log ?? SILENT_LOG,
    },
  });
  return {
    host: `127.0.0.1:${hub.port}`,
    url: hub.url,
    nfsPort: hub.nfsPort ?? 0,
    push: (client, source, tags) =>
      client.push({ source, tags: tags.map((text) => tagOf(parseReference(text))), publisher: "test" }),
    close: async () => {
      await hub.close({ graceMs: 0 });
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
