/** A hub in this process, with clients and a source to push, in a temporary folder: for tests. */
import fs from "node:fs";
import path from "node:path";
import { MiB, PIECE_BYTES_DEFAULT } from "../../base/limits.ts";
import { SILENT_LOG } from "../../base/log.ts";
import { startHub, type Hub, type HubTls } from "../../daemon/hub.ts";
import { temporaryFolder } from "../../dataset/testing/folder.ts";
import type { Client } from "../client.ts";
import { openHub, type HubOptions } from "../hub-client.ts";
import { openLocal } from "../local-client.ts";

const CACHE = { pieceBytes: PIECE_BYTES_DEFAULT, diskBytes: 16 * MiB };
const PARTS = { memoryBytes: 128 * MiB, threads: 2 };

/** The hub and what is around it. */
export class HubBed {
  readonly #folder = temporaryFolder();
  readonly #clients: Client[] = [];
  readonly #others: Hub[] = [];
  #hub: Hub | undefined;
  #port = 0;
  /** Of the hub that is started next. */
  scrubRateBytes = 0;

  /** `host:port` of the hub. */
  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** A path in the bed's folder. */
  path(name: string): string {
    return path.join(this.#folder.path, name);
  }

  /** Starts the hub: at its second time, where it was. */
  async start(tls?: HubTls): Promise<void> {
    this.#hub = await this.#startHub("hub-cache", this.#port, tls);
    this.#port = this.#hub.port;
  }

  /** Starts one more hub on the same store, with a cache of its own; `host:port` of it. */
  async startAnother(): Promise<string> {
    const hub = await this.#startHub(`hub-cache-${this.#others.length}`, 0, undefined);
    this.#others.push(hub);
    return `127.0.0.1:${hub.port}`;
  }

  #startHub(cache: string, port: number, tls: HubTls | undefined): Promise<Hub> {
    const place = { store: this.path("store"), cacheDir: this.path(cache), host: "127.0.0.1", port, tls };
    const background = { pruneIntervalMs: 0, pruneGraceMs: 0, scrubRateBytes: this.scrubRateBytes };
    return startHub({ ...PARTS, ...place, ...background, cache: CACHE, version: "0.0.0", log: SILENT_LOG });
  }

  /** Stops the hub; what is under way is broken off. */
  async stop(): Promise<void> {
    await this.#hub?.close({ graceMs: 0 });
    this.#hub = undefined;
  }

  /** A client of the hub, or of whoever stands at `address` for it, with a cache of its own. */
  client(address = this.address, waitMs?: number): Client {
    return this.clientWith({ address, cacheDir: this.path(`cache-${this.#clients.length}`), waitMs });
  }

  /** A client of the hub with these settings. */
  clientWith(options: Partial<HubOptions>): Client {
    const client = openHub({ ...PARTS, address: this.address, cacheDir: undefined, ...options });
    this.#clients.push(client);
    return client;
  }

  /** A client of a store that no hub knows, in a folder of this name. */
  async local(name = `local-${this.#clients.length}`): Promise<Client> {
    const store = this.path(name);
    const client = await openLocal({ ...PARTS, store, create: true, cacheDir: undefined });
    this.#clients.push(client);
    return client;
  }

  /** Writes files below a folder of the bed, and gives its path. */
  write(folder: string, files: Readonly<Record<string, string | Uint8Array>>): string {
    for (const [name, content] of Object.entries(files)) {
      const file = path.join(this.path(folder), name);
      fs.mkdirSync(path.dirname(file), { recursive: true });
      fs.writeFileSync(file, content);
    }
    return this.path(folder);
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()));
    await this.stop();
    await Promise.all(this.#others.map((hub) => hub.close({ graceMs: 0 })));
    this.#folder.remove();
  }
}

/** Runs `work` with a bed whose hub is up, and takes it away afterwards, whatever happens. */
export async function withHubBed(work: (bed: HubBed) => Promise<void>): Promise<void> {
  const bed = new HubBed();
  try {
    await bed.start();
    await work(bed);
  } finally {
    await bed.close();
  }
}
