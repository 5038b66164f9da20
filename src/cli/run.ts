import { openLog } from "../daemon/log.ts";
import { systemClock } from "../base/clock.ts";
import { tlsFilesOf } from "../config/tls-files.ts";
import { startHub, type HubTls } from "../daemon/hub.ts";
import type { NfsDoorOptions } from "../daemon/nfs.ts";
import { refuseUnsupported, storeAddressOf } from "../daemon/hub-settings.ts";
import { s3SettingsOf } from "../daemon/s3-settings.ts";
import type { Config } from "../config/schema.ts";
import type { Context } from "./context.ts";
import { packageVersion } from "./version.ts";

/** `aetherfs run`: a hub until a signal ends it, which is a good end. */
export async function run({ config, environment, signal }: Context): Promise<void> {
  const begunMs = systemClock.elapsedMs();
  refuseUnsupported(config);
  const log = openLog({
    level: config.logLevel,
    format: config.logFormat,
    write: (line) => void process.stderr.write(line),
  });
  const store = storeAddressOf(config);
  const hub = await startHub({
    store,
    s3: s3SettingsOf(config, environment),
    memoryBytes: config.memoryLimit,
    threads: config.concurrency,
    cacheDir: config.cacheDir,
    cache: { pieceBytes: config.cachePieceSize, diskBytes: config.cacheSize },
    port: config.port,
    host: config.bind,
    isPortShared: config.portShared,
    tls: tlsOf(config),
    s3Api: { port: config.s3Port, domains: config.s3Domains, keysFile: config.s3KeysFile },
    nfs: nfsOf(config),
    pruneIntervalMs: config.pruneInterval * 1000,
    pruneGraceMs: config.pruneGrace * 1000,
    scrubRateBytes: config.scrubRate,
    version: packageVersion(),
    log,
    signal,
  });
  const startMs = Math.round(systemClock.elapsedMs() - begunMs);
  const { url, s3Url, nfsPort, nfsPortmapPort } = hub;
  const nfs = { ...(nfsPort && { nfsPort }), ...(nfsPortmapPort && { nfsPortmapPort }) };
  log.info({ url, ...(s3Url && { s3Url }), ...nfs, store, startMs }, "ready");
  log.warn({}, "everybody who reaches the port may read and write: there is no access control yet");
  await new Promise<void>((resolve) => {
    signal.addEventListener("abort", () => {
      resolve();
    });
    if (signal.aborted) resolve();
  });
  log.info({}, "stopping: what is under way is finished");
  await hub.close({ graceMs: config.shutdownTimeout * 1000 });
  log.info({}, "stopped");
}

function nfsOf(config: Config): NfsDoorOptions | undefined {
  if (!config.nfsEnable) return undefined;
  const { nfsPort: port, nfsAllow: allowed, nfsTokensFile: tokensFile } = config;
  const { nfsPortmapPort: portmapPort, nfsHandleKeyFile: handleKeyFile } = config;
  return { port, portmapPort, allowed, tokensFile, handleKeyFile };
}

function tlsOf(config: Config): HubTls | undefined {
  const files = tlsFilesOf(config, "server");
  return files === undefined ? undefined : { ...files, reloadMs: config.tlsReloadInterval * 1000 };
}
