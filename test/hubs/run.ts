/** One run of many hubs, publishers, readers and watchers on one store. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { MiB } from "../../src/base/limits.ts";
import { systemRandom } from "../../src/base/random.ts";
import type { EventRecord, HistoryRecord } from "../../src/format/record.ts";
import { parseDatasetName, type DatasetName } from "../../src/format/reference.ts";
import { open } from "../../src/sdk/index.ts";
import type { Client } from "../../src/sdk/client.ts";
import { openStore } from "../../src/store/drivers/all.ts";
import { fractionsOf, pick, type Fractions } from "../crash/seeded.ts";
import { pause, publish, read, TAGS, Watcher, type GetClient, type Stage } from "./actors.ts";
import { GroupClient, HubGroup, type GroupOptions } from "./hub-group.ts";
import type { FinalState, Recording, Watching } from "./recording.ts";

/** What a run is made of. */
export interface RunOptions extends GroupOptions {
  readonly seed: number;
  /** Publishes of each publisher. */
  readonly publishes: number;
}

/** What came of it. */
export interface Run {
  readonly recording: Recording;
  readonly state: FinalState;
  readonly kills: number;
}

const PUBLISHERS = 3;
const READERS = 2;
/** How long watchers may take to be told the last event before the checker has its say, in milliseconds. */
const WATCHERS_MS_MAX = 60_000;

/** Runs until all has been published, while hubs are killed and started anew; then reads what the store holds. */
export async function runHubs(options: RunOptions): Promise<Run> {
  const { store, seed } = options;
  const fractions = fractionsOf(seed);
  const name = parseDatasetName(`@hubs/run-${seed}`);
  const folder = join(options.folder, "actors");
  mkdirSync(folder, { recursive: true });
  const stage: Stage = { name, folder, changes: [], looks: [], readings: [] };
  const direct = await open(store, { create: true, threads: 1, memoryBytes: 64 * MiB });
  try {
    await changeBoth(stage, "first", direct);
    const group = await HubGroup.start(options);
    try {
      const recording = await runActors(stage, group, direct, { ...options, fractions });
      return { recording, state: await readState(store, name), kills: group.kills };
    } finally {
      await group.close();
    }
  } finally {
    await direct.close();
  }
}

async function runActors(
  stage: Stage,
  group: HubGroup,
  direct: Client,
  options: RunOptions & { readonly fractions: Fractions },
): Promise<Recording> {
  const { fractions, publishes, hubs } = options;
  const clients: GroupClient[] = [];
  const clientOf = (first: number): GetClient => {
    const client = new GroupClient(group, first % hubs);
    clients.push(client);
    return () => client.get();
  };
  const getDirect: GetClient = () => Promise.resolve(direct);
  const killer = new Killer(group, hubs, fractions);
  const writing = { count: publishes, fractions, onChange: killer.count };
  let isOver = false;
  const readingOptions = (first: number) => ({
    fractions,
    isOver: () => isOver,
    getUrl: () => group.addresses(first).map((host) => `http://${host}`)[0],
  });
  const watchers = [
    new Watcher(stage, "watcher-0", clientOf(0)),
    new Watcher(stage, "watcher-1", clientOf(1)),
    new Watcher(stage, "watcher-store", getDirect),
  ];
  let readers: Promise<void>[] = [];
  let watchings: Watching[] = [];
  try {
    readers = Array.from({ length: READERS }, (_, index) =>
      read(stage, `reader-${index}`, clientOf(index + 1), readingOptions(index)),
    );
    const publishers = Array.from({ length: PUBLISHERS }, (_, index) =>
      publish(stage, `publisher-${index}`, clientOf(index), writing),
    );
    await Promise.all([...publishers, publish(stage, "publisher-store", getDirect, writing)]);
    await killer.end();
    // Who died between a change and its event leaves the event to whoever changes the tag next.
    await changeBoth(stage, "last", direct);
    const last = await lastEvent(stage.name, direct);
    const deadlineMs = performance.now() + WATCHERS_MS_MAX;
    while (watchers.some((each) => each.last < last) && performance.now() < deadlineMs) await pause(20);
  } finally {
    isOver = true;
    await killer.end();
    await Promise.all(readers);
    watchings = await Promise.all(watchers.map((watcher) => watcher.end()));
    await Promise.all(clients.map((client) => client.close()));
  }
  const { changes, looks, readings } = stage;
  return { changes, looks, readings, watchings };
}

/** Kills a hub, or two at once, every few changes. */
class Killer {
  readonly #group: HubGroup;
  readonly #hubs: number;
  readonly #fractions: Fractions;
  readonly #restarts = new Set<Promise<void>>();
  #left = 3;
  #isOver = false;

  constructor(group: HubGroup, hubs: number, fractions: Fractions) {
    this.#group = group;
    this.#hubs = hubs;
    this.#fractions = fractions;
  }

  /** A change was made. */
  readonly count = (): void => {
    if (--this.#left > 0 || this.#isOver) return;
    this.#left = 2 + pick(this.#fractions, 8);
    const first = pick(this.#fractions, this.#hubs);
    this.#restart(first);
    if (pick(this.#fractions, 5) === 0) this.#restart((first + 1) % this.#hubs);
  };

  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#restarts);
  }

  #restart(index: number): void {
    const restart = pause(pick(this.#fractions, 60)).then(() => this.#group.restart(index));
    this.#restarts.add(restart);
    void restart.finally(() => this.#restarts.delete(restart)).catch(() => undefined);
  }
}

/** Publishes, and lets the second tag follow. */
async function changeBoth(stage: Stage, actor: string, direct: Client): Promise<void> {
  const once = { count: 1, fractions: () => 0.2, onChange: () => undefined };
  await publish(stage, actor, () => Promise.resolve(direct), once);
}

async function lastEvent(name: DatasetName, client: Client): Promise<number> {
  let last = 0;
  for await (const { sequence } of client.watch(name, { sequence: 1, untilNow: true })) last = sequence;
  return last;
}

/** Histories and events as the store has them, read one by one. */
async function readState(address: string, name: DatasetName): Promise<FinalState> {
  const store = await openStore(address, { create: false, clock: systemClock, random: systemRandom });
  const { datasets } = store;
  try {
    const histories = new Map<string, HistoryRecord[]>();
    for (const tag of TAGS) {
      const history = [];
      for (let number = 1; ; number++) {
        const entry = await datasets.getHistory(name, tag, number);
        if (entry === undefined) break;
        history.push(entry);
      }
      histories.set(tag, history);
    }
    const events: EventRecord[] = [];
    for (let sequence = 1; ; sequence++) {
      const event = await datasets.getEvent(name, sequence);
      if (event === undefined) break;
      events.push(event);
    }
    return { histories, events };
  } finally {
    await store.close();
  }
}
