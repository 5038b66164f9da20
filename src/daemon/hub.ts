/** The composition root of a hub. */
import { OPEN_ACCESS } from "../auth/access.ts";
import { AetherError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { TlsFiles } from "../config/tls-files.ts";
import type { Engine } from "../dataset/engine.ts";
import { HeadMemory } from "../dataset/head-memory.ts";
import { openSessions } from "../dataset/ingest/hub-sessions.ts";
import { Pruner } from "../dataset/prune/pruner.ts";
import { Scrubber, type ScrubFigures } from "../dataset/scrub/scrubber.ts";
import { Views } from "../dataset/view/views.ts";
import { answerLimitsOf, Answers } from "../serve/answers.ts";
import { blockService } from "../serve/api/block-service.ts";
import { catalogService } from "../serve/api/catalog-service.ts";
import { datasetService } from "../serve/api/dataset-service.ts";
import { ingestService } from "../serve/api/ingest-service.ts";
import { maintenanceService } from "../serve/api/maintenance-service.ts";
import { versionService } from "../serve/api/version-service.ts";
import { createBulk } from "../serve/bulk/bulk.ts";
import { createGrpc } from "../serve/grpc/grpc.ts";
import { createFs } from "../serve/http/fs.ts";
import { showCache } from "../serve/ops/cache-figures.ts";
import type { NfsPort } from "../serve/nfs/nfs.ts";
import { createOps } from "../serve/ops/ops.ts";
import type { Meter } from "../serve/ops/meter.ts";
import { showPrunes } from "../serve/ops/prune-figures.ts";
import { openPort, type Port, type PortLoad } from "../serve/port/one-port.ts";
import { createRest } from "../serve/rest/rest.ts";
import { createWebdav, createWebdavRoot } from "../serve/webdav/webdav.ts";
import type { HttpHandler } from "../serve/http-handler.ts";
import { BODY_BYTES_MAX } from "../serve/frame-message.ts";
import { route } from "../serve/route.ts";
import type { Services } from "../serve/services.ts";
import type { S3Settings } from "../store/drivers/all.ts";
import { openStoreTree, type TreeCacheOptions } from "../vfs/store-tree.ts";
import { openEngine } from "./local.ts";
import { openNfsDoor, type NfsDoorOptions } from "./nfs.ts";
import { openS3Api, type S3ApiOptions } from "./s3-api.ts";
import { runPruneSchedule } from "./prune-schedule.ts";

/** Certificates of the port. */
export interface HubTls extends TlsFiles {
  /** How often the files are looked at, in milliseconds. */
  readonly reloadMs: number;
}

/** What a hub is made of. */
export interface HubOptions {
  /** The store's address; one is made where nothing is. */
  readonly store: string;
  /** How a store in S3 is reached. */
  readonly s3?: S3Settings | undefined;
  readonly memoryBytes: number;
  readonly threads: number;
  readonly cacheDir: string | undefined;
  /** What is kept of what was decoded for readers. */
  readonly cache: Omit<TreeCacheOptions, "log">;
  /** 0: any that is free. */
  readonly port: number;
  /** undefined: all addresses of the machine. */
  readonly host: string | undefined;
  /** Whether other processes of the same user may listen there too. */
  readonly isPortShared?: boolean;
  readonly tls: HubTls | undefined;
  /** How the S3 API is reached; undefined: below /s3 by everybody. */
  readonly s3Api?: S3ApiOptions | undefined;
  /** How NFS is reached; undefined: not at all. */
  readonly nfs?: NfsDoorOptions | undefined;
  /** How often it prunes the store, in milliseconds; 0: never by itself. */
  readonly pruneIntervalMs: number;
  /** How long what nothing needs stays, in milliseconds. */
  readonly pruneGraceMs: number;
  /** Bytes a second of the store that are read in the background to find damage; 0: none. */
  readonly scrubRateBytes: number;
  /** The product's, for descriptions. */
  readonly version: string;
  readonly log: Log;
  readonly signal?: AbortSignal;
}

/** A hub that answers. */
export interface Hub {
  readonly port: number;
  /** Where a client of this machine finds it. */
  readonly url: string;
  /** Where the S3 API has a port of its own. */
  readonly s3Url: string | undefined;
  /** Of NFS, where that is served. */
  readonly nfsPort: number | undefined;
  /** Of its portmap, where that answers. */
  readonly nfsPortmapPort: number | undefined;
  /** Refuses new work, waits at most `graceMs` for what is under way, and lets the store go. */
  readonly close: (options: { readonly graceMs: number }) => Promise<void>;
}

/** Tags whose newest entries are remembered: some 10 MB. */
const TAGS_REMEMBERED = 10_000;

/** Opens the store and the port, and serves until it is closed. Errors: those of openEngine and openPort. */
export async function startHub(options: HubOptions): Promise<Hub> {
  const { store, s3, memoryBytes, threads, cacheDir, log, signal } = options;
  const call = signal === undefined ? {} : { signal };
  const local = await openEngine({ store, s3, create: true, memoryBytes, threads, cacheDir, ...call });
  const engine: Engine = { ...local.engine, heads: new HeadMemory(TAGS_REMEMBERED) };
  const stopping = new AbortController();
  const sessions = openSessions(engine, { log });
  const scrub = startScrub(engine, options, stopping.signal);
  const tree = openStoreTree(engine, { ...options.cache, log });
  const answers = new Answers(answerLimitsOf(memoryBytes), engine.clock);
  const parts = { engine, sessions, tree, answers };
  const services: Services = { ...parts, access: OPEN_ACCESS, log, stopping: stopping.signal };
  const pruner = new Pruner({ engine, log, graceMs: options.pruneGraceMs });
  let schedule: Promise<void> | undefined;
  const closeEngine = async (): Promise<void> => {
    stopping.abort(new AetherError("HUB_UNAVAILABLE", "the hub is stopping: try again"));
    await Promise.all([schedule, scrub.ended]);
    await sessions.close();
    await local.close();
  };
  try {
    const { port, s3, nfs } = await openInterfaces(services, { pruner, scrub: scrub.figures }, options);
    const { clock, random } = engine;
    const timing = { pruner, clock, random, log, intervalMs: options.pruneIntervalMs };
    schedule = runPruneSchedule(timing, stopping.signal);
    const close = async ({ graceMs }: { readonly graceMs: number }): Promise<void> => {
      stopping.abort(new AetherError("HUB_UNAVAILABLE", "the hub is stopping: try again"));
      await Promise.all([port.close({ graceMs }), s3?.close({ graceMs }), nfs?.close({ graceMs })]);
      await closeEngine();
    };
    const s3Url = s3 && urlOf(options, s3.port);
    const nfsPorts = { nfsPort: nfs?.port, nfsPortmapPort: nfs?.portmapPort };
    return { port: port.port, url: urlOf(options, port.port), s3Url, ...nfsPorts, close };
  } catch (error) {
    await closeEngine();
    throw error;
  }
}

/** What a hub does by itself. */
interface Background {
  readonly pruner: Pruner;
  readonly scrub: () => ScrubFigures | undefined;
}

/** Reads the store through in the background, when that is wanted. */
function startScrub(
  engine: Engine,
  { scrubRateBytes: rateBytes, log }: HubOptions,
  signal: AbortSignal,
): { readonly ended: Promise<void>; readonly figures: () => ScrubFigures | undefined } {
  if (rateBytes === 0) return { ended: Promise.resolve(), figures: () => undefined };
  const scrubber = new Scrubber(engine, { log, rateBytes, signal });
  return { ended: scrubber.run(), figures: () => scrubber.figures };
}

/** The ports of a hub. */
interface Interfaces {
  readonly port: Port;
  readonly s3: Port | undefined;
  readonly nfs: NfsPort | undefined;
}

/** Everything that the port answers, told apart by the first part of the path. */
async function openInterfaces(
  services: Services,
  { pruner, scrub }: Background,
  options: HubOptions,
): Promise<Interfaces> {
  const { host, port: number, isPortShared: isShared, tls, log, s3Api = PLAIN_S3 } = options;
  const { engine, stopping } = services;
  const views = new Views(engine, stopping);
  const api = [
    catalogService(services),
    versionService(services),
    ingestService(services),
    maintenanceService(services, pruner),
    blockService(services, views),
    datasetService(services, views),
  ];
  const grpc = createGrpc(api, { messageBytesMax: BODY_BYTES_MAX, log, clock: engine.clock, stopping });
  const { healthz, readyz, metrics, meter } = createOps(services);
  const web = meter.http("grpc-web", grpc.http);
  const s3 = await openS3Api(services, s3Api, (handler) => meter.http("s3", handler));
  const fs = createFs(services);
  const http = route(
    {
      "": meter.http("webdav", createWebdavRoot(services, nothingThere)),
      api: meter.http("rest", createRest(api, { clock: engine.clock, version: options.version })),
      bulk: meter.http("bulk", createBulk(services)),
      fs: meter.http("fs", fs),
      webdav: meter.http("webdav", createWebdav(services, fs)),
      s3: s3.http,
      healthz,
      readyz,
      metrics,
      ...Object.fromEntries(grpc.names.map((name) => [name, web])),
    },
    meter.http("other", nothingThere),
  );
  const common = { host, isShared, tls, log, clock: engine.clock };
  const whole = { grpc: meter.grpc(grpc.stream), http: s3.besideBuckets(http) };
  const opened: { close: Port["close"]; load: Port["load"] }[] = [];
  const closing = async (error: unknown): Promise<never> => {
    await Promise.all(opened.map((one) => one.close({ graceMs: 0 })));
    throw error;
  };
  const nfs = await openNfsOf(services, options, meter);
  if (nfs !== undefined) opened.push(nfs);
  const s3Port = await s3.listen(common).catch(closing);
  if (s3Port !== undefined) opened.push(s3Port);
  // Last: whom /healthz answers finds the others open.
  const port = await openPort({ ...common, ...whole, port: number }).catch(closing);
  opened.push(port);
  meter.showPort(() => loadOf(opened));
  showCache(meter, () => services.tree.figures);
  showPrunes(meter, () => pruner.figures);
  meter.showScrub(scrub);
  return { port, s3: s3Port, nfs };
}

/** NFS, when it is wanted. */
async function openNfsOf(
  services: Services,
  { nfs, host, isPortShared: isShared = false }: HubOptions,
  meter: Meter,
): Promise<NfsPort | undefined> {
  if (nfs === undefined) return undefined;
  const count = (procedure: string): ((status: string) => void) => {
    const end = meter.begin("nfs");
    return (status) => {
      end(procedure, status);
    };
  };
  return openNfsDoor(services, nfs, { host, isShared }, count);
}

/** Of several ports together. */
function loadOf(ports: readonly Pick<Port, "load">[]): PortLoad {
  const sum = { connections: 0, exchanges: 0, receivedBytes: 0, sentBytes: 0 };
  for (const load of ports.map((port) => port.load())) {
    for (const name of ["connections", "exchanges", "receivedBytes", "sentBytes"] as const)
      sum[name] += load[name];
  }
  return sum;
}

const PLAIN_S3: S3ApiOptions = { port: undefined, domains: [], keysFile: undefined };

const nothingThere: HttpHandler = () => {
  const places = "/fs has files, /webdav is WebDAV, /s3 is the S3 API, /api/openapi.json describes /api";
  return Promise.reject(new AetherError("PATH_NOT_FOUND", `there is nothing here: ${places}`));
};

/** An address of which every machine has one is reached here by the loopback's. */
function urlOf({ host, tls }: HubOptions, port: number): string {
  const isAny = host === undefined || host === "0.0.0.0" || host === "::";
  const name = isAny ? "localhost" : host.includes(":") ? `[${host}]` : host;
  return `${tls === undefined ? "http" : "https"}://${name}:${port}`;
}
