/** Hubs in processes of their own on one store, which are killed and started anew. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { must } from "../../src/base/assert.ts";
import { MiB } from "../../src/base/limits.ts";
import { connect } from "../../src/sdk/index.ts";
import type { Client } from "../../src/sdk/client.ts";
import { startHubProcess, type HubProcess } from "../hub/hub-process.ts";

/** What a group is made of. */
export interface GroupOptions {
  /** The store's address. */
  readonly store: string;
  /** Where hubs keep their caches. */
  readonly folder: string;
  readonly hubs: number;
  /** What the hubs need to reach the store. */
  readonly environment: Readonly<Record<string, string>>;
}

/** Small, as the content of runs is; pruning all the time. */
const WORDS = [
  "--memory_limit",
  "64MiB",
  "--concurrency",
  "1",
  "--prune_interval",
  "2s",
  "--prune_grace",
  "0s",
];

/** A group under way: close it, whatever happens. */
export class HubGroup {
  readonly #options: GroupOptions;
  readonly #hubs: (HubProcess | undefined)[] = [];
  readonly #starting = new Set<Promise<void>>();
  #isClosed = false;
  /** Hubs that were killed. */
  kills = 0;

  private constructor(options: GroupOptions) {
    this.#options = options;
  }

  static async start(options: GroupOptions): Promise<HubGroup> {
    const group = new HubGroup(options);
    try {
      for (let index = 0; index < options.hubs; index++) await group.#start(index);
      return group;
    } catch (error) {
      await group.close();
      throw error;
    }
  }

  /** `host:port` of those that are there, beginning with the one of this number when it is. */
  addresses(first: number): string[] {
    const count = this.#options.hubs;
    const order = Array.from({ length: count }, (_, index) => (first + index) % count);
    return order.flatMap((index) => this.#hubs[index]?.host ?? []);
  }

  /** Kills a hub; another one takes its place, on another port, with its cache. */
  async restart(index: number): Promise<void> {
    const hub = this.#hubs[index];
    if (hub === undefined || this.#isClosed) return;
    this.#hubs[index] = undefined;
    this.kills++;
    hub.kill("SIGKILL");
    await hub.ended;
    await this.#start(index);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(this.#starting);
    for (const hub of this.#hubs) {
      hub?.kill("SIGKILL");
      await hub?.ended;
    }
  }

  async #start(index: number): Promise<void> {
    const { store, folder, environment } = this.#options;
    const home = join(folder, `hub-${index}`);
    mkdirSync(home, { recursive: true });
    const starting = startHubProcess({ words: ["--store", store, ...WORDS], home, environment }).then(
      (hub) => {
        this.#hubs[index] = hub;
      },
    );
    this.#starting.add(starting);
    await starting.finally(() => this.#starting.delete(starting));
  }
}

/** The client of one actor, who learns of new addresses between two calls, as from a name service. */
export class GroupClient {
  readonly #group: HubGroup;
  readonly #first: number;
  #addresses = "";
  #client: Client | undefined;

  /** `first`: the hub that it likes best. */
  constructor(group: HubGroup, first: number) {
    this.#group = group;
    this.#first = first;
  }

  /** A client of the hubs that are there now. No call of the one before may be under way. */
  async get(): Promise<Client> {
    const addresses = this.#group.addresses(this.#first).join(",");
    // While none is there, those that were are asked: they may not answer.
    if (addresses !== "" && addresses !== this.#addresses) {
      await this.close();
      this.#addresses = addresses;
      this.#client = connect(addresses, { threads: 1, memoryBytes: 64 * MiB, waitMs: 2000 });
    }
    return must(this.#client, "there was a hub at the beginning");
  }

  async close(): Promise<void> {
    await this.#client?.close();
    this.#client = undefined;
  }
}
