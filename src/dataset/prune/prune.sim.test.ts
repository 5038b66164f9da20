/**
 * Publishers, pruners and readers on one store, whose clocks differ, who stand still for longer than leases live, and die: at
 * every moment all that a tag's history names must be there.
 */
import assert from "node:assert/strict";
import path from "node:path";
import { after, describe, it } from "node:test";
import { codeOf } from "../../base/errors.ts";
import { MiB } from "../../base/limits.ts";
import { parseObjectName } from "../../format/prune-record.ts";
import { digestOf, type Digest } from "../../format/digest.ts";
import { CODECS, encodeDelta, encodePlain } from "../../format/frame.ts";
import { decodeManifestObject, type ManifestBase } from "../../format/manifest.ts";
import { parseDatasetName, parseTag, type DatasetName } from "../../format/reference.ts";
import type { Store } from "../../store/dataset-store.ts";
import { openStore } from "../../store/drivers/all.ts";
import type { TagReference } from "../contract.ts";
import type { Engine } from "../engine.ts";
import { joinDigests } from "../ingest/block-packer.ts";
import type { IngestFrame } from "../ingest/ingest.ts";
import { beginLocalSession, withLocalIngest } from "../ingest/local-ingest.ts";
import type { LocalSession } from "../ingest/local-session.ts";
import { updateDataset } from "../dataset-settings.ts";
import { deleteDataset, undeleteDataset } from "../deletion.ts";
import { RetentionRules } from "../retention.ts";
import { verifyStore } from "../scrub/verify-store.ts";
import { removeTag, rollback, tagVersion } from "../tag-changes.ts";
import { readHead } from "../tag-head.ts";
import { fileVersion } from "../testing/hub-frames.ts";
import { temporaryFolder } from "../testing/folder.ts";
import { withoutFloors } from "../testing/prune-bed.ts";
import { Actor, Death, VirtualWorld, type ActorOptions } from "../testing/virtual-world.ts";
import { loadBundle } from "../version/manifest-source.ts";
import { Traffic } from "../version/traffic.ts";
import { WorkerPool } from "../workers/pool.ts";
import { readEpoch } from "./epochs.ts";
import { isBelow, takenEntries } from "./floors.ts";
import { LeaseWatch } from "./lease-watch.ts";
import { LiveSet } from "./live-set.ts";
import { Marker } from "./mark.ts";
import { prune } from "./prune.ts";
import { entriesBackwards } from "./roots.ts";

const SEEDS = Number(process.env["AETHERFS_SIM_SEEDS"] ?? 12);
const SEED_FIRST = Number(process.env["AETHERFS_SIM_SEED"] ?? 1);
const MINUTE_MS = 60_000;
const CHUNKS = 24;
const PUBLISHES = 25;
const PRUNES = 20;
const TAGS: readonly TagReference[] = ["a", "b"].flatMap((name) =>
  ["latest", "stable", "old"].map((tag) => ({ name: parseDatasetName(name), tag: parseTag(tag) })),
);
/** Retentions, one of which a dataset has at a time: most often the first, and more is kept again now and then. */
const KEEP = [
  ...[1, 2, 3].map(() => ({ keepLast: 3, keepTags: ["st*"] })),
  { keepLast: 1, keepTags: [] },
  { keepLast: 6, keepTags: ["l*"] },
  { keepLast: null, keepTags: [] },
];
const SAYS = { publisher: "sim", message: "", labels: {} };
/** What who pushes or prunes beside others may meet; the command says it, and may be given again. */
const EXPECTED: ReadonlySet<string> = new Set([
  ...["OBJECT_MISSING", "OBJECT_CONFLICT", "OBJECT_INVALID", "SESSION_LOST", "TAG_CONFLICT", "TAG_NOT_FOUND"],
  ...["VERSION_NOT_FOUND", "DATASET_NOT_FOUND"],
]);

const pool = new WorkerPool(1);
const folder = temporaryFolder();
after(async () => {
  await pool.close();
  folder.remove();
});

/** Every odd chunk is much like the even one before it, and lies on it as a delta. */
function chunk(number: number): Uint8Array {
  const seed = Buffer.from(`chunk ${number >> 1} `);
  const bytes = Buffer.concat(
    Array.from({ length: 8 }, (_, index) =>
      Buffer.from(digestOf(Buffer.concat([seed, Buffer.from([index])]))),
    ),
  );
  return number % 2 === 0 ? bytes : Buffer.concat([bytes, Buffer.from(`changed ${number}`)]);
}

/** What a history names that must be there. */
interface Needed {
  readonly name: DatasetName;
  readonly domain: string;
  readonly version: Digest;
}

class Simulation {
  readonly world: VirtualWorld;
  readonly raw: Store;
  /** Versions that somebody is about to commit: their tag may move, and be taken back. */
  readonly #committing = new Map<Digest, number>();
  /** Where pruners keep copies of plans; undefined: nowhere. */
  readonly #cacheDir: string | undefined;
  #publishersLeft = 0;
  readonly counts = { published: 0, pruned: 0, removed: 0, repacked: 0, read: 0, deaths: 0, taken: 0 };

  constructor(world: VirtualWorld, raw: Store, cacheDir: string | undefined) {
    this.#cacheDir = cacheDir;
    this.world = world;
    this.raw = raw;
  }

  engineOf(store: Store, clock = this.world.clock): Engine {
    const random = { fraction: this.world.fraction, id: this.world.id };
    return { store, clock, random, pool, memoryBytes: 64 * MiB, cacheDir: undefined };
  }

  #spawn(options: ActorOptions, store: Store): { actor: Actor; engine: Engine } {
    const actor = new Actor(this.world, store, options);
    return { actor, engine: this.engineOf(actor.store, actor.clock) };
  }

  /** Runs `step` again and again, in a new process whenever the one before died. */
  async actor(
    steps: number,
    options: () => ActorOptions,
    step: (engine: Engine) => Promise<void>,
    store = this.raw,
  ): Promise<void> {
    let { engine } = this.#spawn(options(), store);
    for (let count = 0; count < steps; count++) {
      try {
        await step(engine);
      } catch (error) {
        if (error instanceof Death) {
          this.counts.deaths++;
          ({ engine } = this.#spawn(options(), store));
        } else if (!EXPECTED.has(codeOf(error))) throw error;
      }
      await this.world.sleep(this.world.fraction() * 5 * MINUTE_MS);
    }
  }

  async publisher(): Promise<void> {
    this.#publishersLeft++;
    const { world } = this;
    const options = (): ActorOptions => ({
      callsMax: 30 + world.below(600),
      pauses: 0.004,
      pauseMsMax: 40 * MINUTE_MS,
    });
    await this.actor(PUBLISHES, options, async (engine) => {
      const target = TAGS[world.below(TAGS.length)] ?? assert.fail();
      const source = TAGS[world.below(TAGS.length)] ?? assert.fail();
      const kind = world.below(12);
      if (kind < 6) await this.#publish(engine, target);
      else if (kind === 6) await deleteDataset(engine, target.name, { publisher: "sim" });
      else if (kind === 7) await undeleteDataset(engine, target.name);
      else if (kind < 10) await removeTag(engine, target, SAYS);
      else if (kind === 10)
        await this.#guarded(await this.#goal(engine, target), () => rollback(engine, target, SAYS));
      else
        await this.#guarded(await this.#goal(engine, source), () =>
          tagVersion(engine, { ...source, host: undefined, digest: undefined }, target, SAYS),
        );
    });
    this.#publishersLeft--;
  }

  /** Any version that the tag ever pointed at may be where a rollback goes. */
  async #goal(engine: Engine, { name, tag }: TagReference): Promise<Digest[]> {
    const { record } = await readHead(engine.store.datasets, name, tag, {});
    const versions: Digest[] = [];
    for (let number = record?.number ?? 0; number > 0; number--) {
      const entry = await this.raw.datasets.getHistory(name, tag, number);
      if (entry !== undefined) versions.push(entry.digest);
    }
    return versions;
  }

  async #guarded(versions: readonly Digest[], task: () => Promise<unknown>): Promise<void> {
    for (const version of versions) this.#committing.set(version, (this.#committing.get(version) ?? 0) + 1);
    try {
      await task();
    } finally {
      for (const version of versions) this.#committing.set(version, (this.#committing.get(version) ?? 1) - 1);
    }
  }

  async #publish(engine: Engine, target: TagReference): Promise<void> {
    if (this.world.chance(0.2))
      await updateDataset(engine, target.name, KEEP[this.world.below(KEEP.length)] ?? assert.fail());
    const numbers = new Set<number>();
    for (let count = 3 + this.world.below(8); count > 0; count--) {
      const number = this.world.below(CHUNKS);
      numbers.add(number & ~1).add(number);
    }
    const chunks = [...numbers].sort((a, b) => a - b).map(chunk);
    const { version, root, inlinePages } = fileVersion(chunks);
    const { predecessors, seen } = await withLocalIngest(engine).ingest.prepare([target]);
    const reference = this.world.chance(0.6) ? predecessors[0] : undefined;
    const wanted = { tags: [target], publisher: "sim", reference, seen };
    const session = await beginLocalSession(engine, wanted, {});
    try {
      await this.#put(session, chunks);
      const base = reference === undefined ? undefined : await baseOf(engine, reference);
      await this.#guarded([version], () =>
        session.publish({ root, inlinePages, base, tags: [target], ...SAYS }),
      );
      this.counts.published++;
    } catch (error) {
      if (!(error instanceof Death)) await session.abort();
      throw error;
    }
  }

  async #put(session: LocalSession, chunks: readonly Uint8Array[]): Promise<void> {
    const digests = chunks.map(digestOf);
    const lacks = await session.missing(digests);
    for (const [index, bytes] of chunks.entries()) {
      if (lacks[index] !== true) continue;
      const before = chunks[index - 1];
      const isDelta = bytes.byteLength % 8 !== 0 && before !== undefined;
      if (isDelta && (await session.canBase([digestOf(before)], bytes.byteLength)))
        await session.put([deltaOf(bytes, before)]);
      else await session.put([plainOf(bytes)]);
    }
  }

  /** Prunes; `store`: as an AetherFS has it that knows no floors. */
  async pruner(store?: Store): Promise<void> {
    const { world } = this;
    const watches = new WeakMap<Store, LeaseWatch>();
    const options = (): ActorOptions => ({
      callsMax: 100 + world.below(2000),
      pauses: 0.002,
      pauseMsMax: 40 * MINUTE_MS,
    });
    const run = async (engine: Engine): Promise<void> => {
      const watch = watches.get(engine.store) ?? new LeaseWatch(engine.clock);
      watches.set(engine.store, watch);
      const graceMs = world.chance(0.7) ? 0 : world.below(10 * MINUTE_MS);
      const result = await prune(
        { ...engine, cacheDir: this.#cacheDir },
        {
          graceMs,
          repackBelow: 0.6,
          waitMs: world.below(10 * MINUTE_MS),
          watch,
        },
      );
      this.counts.pruned++;
      this.counts.removed += result.removed.blocks;
      this.counts.repacked += result.repacked.blocks;
    };
    await this.actor(PRUNES, options, run, store);
  }

  /** Looks at the whole store at random moments, as nobody in the simulation can. */
  async checker(): Promise<void> {
    while (this.#publishersLeft > 0) {
      await this.world.sleep(this.world.fraction() * 5 * MINUTE_MS);
      await this.check();
    }
  }

  /**
   * Entries that retention keeps, since their tag was last removed, and that no prune let go: what was before, or was let go,
   * may have been taken; of all that was not removed only what tags point at is certain while an AetherFS prunes that knows no floors.
   */
  async #needed(): Promise<readonly Needed[]> {
    const { datasets } = this.raw;
    const needed: Needed[] = [];
    const isSure = (await readEpoch(datasets, {}))?.value.floors !== false;
    for await (const name of datasets.listDatasets()) {
      const { value: dataset } = (await datasets.getDataset(name)) ?? assert.fail();
      if (dataset.deleted !== null) continue;
      for await (const tag of datasets.listTags(name)) {
        const rules = new RetentionRules(dataset.retention, tag, this.world.nowMs);
        const taken = await takenEntries(datasets, dataset, tag, {});
        let isFirst = true;
        for await (const { state, ...record } of entriesBackwards(datasets, name, tag, {})) {
          if (state === "deleted") break;
          const [isKept, isTaken] = [rules.keeps({ state, ...record }), isBelow(taken, record.number)];
          if (isKept && !isTaken && (isSure || isFirst))
            needed.push({ name, domain: dataset.domain, version: record.digest });
          if (isKept && isTaken) this.counts.taken++;
          const isSettled: boolean = isFirst && !this.#isUnsettled(record.digest);
          assert.ok(!isSettled || !isTaken, "no prune lets go what a tag points at");
          isFirst = false;
        }
      }
    }
    return needed;
  }

  #isUnsettled(version: Digest): boolean {
    return (this.#committing.get(version) ?? 0) > 0;
  }

  /** What a check of the store finds. */
  async lost(): Promise<Digest[]> {
    const { lost } = await verifyStore(this.engineOf(this.raw), { structureOnly: true });
    return lost.map(({ version }) => version).filter((version) => !this.#isUnsettled(version));
  }

  /** Removes the manifest of something that is needed: a check of the store must say so. */
  async lose(): Promise<void> {
    const needed = await this.#needed();
    if (needed.length === 0) return;
    const { version } = needed[this.world.below(needed.length)] ?? assert.fail();
    await this.raw.datasets.removeObject("manifests", version);
    assert.ok((await this.lost()).includes(version), "what is missing is told");
  }

  async check(): Promise<void> {
    const engine = this.engineOf(this.raw);
    assert.deepEqual(await this.lost(), [], `at ${this.world.nowMs}`);
    for (const { version, domain, name } of await this.#needed()) {
      if (this.#isUnsettled(version)) continue;
      const live = new LiveSet();
      try {
        await new Marker(engine, live, {}).mark(version, domain);
        for (const object of live.names()) {
          const { kind, digest } = parseObjectName(object) ?? assert.fail();
          if (kind === "blocks") assert.notEqual(await this.raw.blocks.stat(digest), undefined, object);
        }
      } catch (error) {
        assert.fail(`at ${this.world.nowMs}: ${name}@${version} is not whole: ${String(error)}`);
      }
      this.counts.read++;
    }
  }
}

async function baseOf({ store: { datasets } }: Engine, version: Digest): Promise<ManifestBase | undefined> {
  const object = await datasets.getManifest(version);
  if (object === undefined) return undefined;
  const bundle = await loadBundle(datasets, version, { traffic: new Traffic() });
  return { version, depth: decodeManifestObject(object).depth, bundle };
}

function plainOf(bytes: Uint8Array): IngestFrame {
  return {
    ...encodePlain(bytes, 3),
    chunks: [{ digest: digestOf(bytes), length: bytes.byteLength }],
    base: undefined,
  };
}

function deltaOf(bytes: Uint8Array, base: Uint8Array): IngestFrame {
  return {
    codec: CODECS.delta,
    chunks: [{ digest: digestOf(bytes), length: bytes.byteLength }],
    stored: encodeDelta(bytes, base, 3).stored,
    base: {
      digests: joinDigests([digestOf(base)]),
      lengths: [base.byteLength],
      offset: 0,
      bytes: base.byteLength,
    },
  };
}

describe("of publishers, pruners, deaths and wrong clocks", () => {
  for (let seed = SEED_FIRST; seed < SEED_FIRST + SEEDS; seed++) {
    it(`nothing that a tag names is ever lost: seed ${seed}`, async (test) => {
      const world = new VirtualWorld(seed);
      const random = { fraction: world.fraction, id: world.id };
      const raw = await openStore("memory:", { create: true, clock: world.clock, random });
      const simulation = new Simulation(
        world,
        raw,
        seed % 3 === 0 ? undefined : path.join(folder.path, `${seed}`),
      );
      const publishers = [1, 2, 3].map(() => simulation.publisher());
      const second = simulation.pruner(seed % 4 === 0 ? withoutFloors(raw) : undefined);
      await world.run([...publishers, simulation.pruner(), second, simulation.checker()]);
      await simulation.check();
      await simulation.lose();
      const { counts } = simulation;
      test.diagnostic(JSON.stringify(counts));
      assert.ok(counts.published > 0 && counts.read > 0);
    });
  }
});
