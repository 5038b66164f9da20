/** The end of a push: all that it put and built on is there, and stays; then the tags move. docs/format.md §9 */
import { codeOf } from "../../base/errors.ts";
import { digestOf, type Digest } from "../../format/digest.ts";
import { decodeRoot } from "../../format/manifest.ts";
import { objectName, type ObjectName } from "../../format/prune-record.ts";
import { isFar, type BlockReader, type CallOptions } from "../../store/block-store.ts";
import type { Engine } from "../engine.ts";
import { commitTag, type TagCommit } from "../tags.ts";
import { loadBundle } from "../version/manifest-source.ts";
import { openingOf } from "../version/opening.ts";
import { Traffic } from "../version/traffic.ts";
import { watchedManifests, type ManifestStore } from "../version/watched-reads.ts";
import { missing } from "./block-indexes.ts";
import type { ChunkIndex } from "./chunk-index.ts";
import { confirm } from "./confirm.ts";
import type { Publication, SeenTags } from "./ingest.ts";
import type { Lease } from "./lease.ts";
import { SweptNames } from "./swept-names.ts";

/** Blocks that are looked for at the same time. */
const PARALLEL_MAX = 16;
/** Blocks that one request of a list gives. */
const LIST_PAGE = 1000;

/** What one session commits in the end. */
export class Commit {
  /** Manifests and plans of the store, through which the session must read and write all that its version needs. */
  readonly manifests: ManifestStore;
  readonly #engine: Engine;
  readonly #index: ChunkIndex;
  readonly #lease: Lease;
  readonly #swept: SweptNames;
  readonly #names = new Set<ObjectName>();
  /** Blocks that the session itself has stored. */
  readonly #own = new Set<Digest>();
  readonly #seen: SeenTags["tags"];
  /** The version that is to be published, and its plan. */
  #version: Digest | undefined;
  #plan: Uint8Array | undefined;

  /** `lease` claims every block and version that the session builds on; `seen`: how tags stood when it began. */
  constructor(engine: Engine, index: ChunkIndex, lease: Lease, seen: SeenTags["tags"] = []) {
    this.#seen = seen;
    this.#engine = engine;
    this.#index = index;
    this.#lease = lease;
    this.#swept = new SweptNames(engine.store, engine.clock, lease);
    this.manifests = this.#noticingPlan(
      watchedManifests(engine.store.datasets, (name) => this.#names.add(name)),
    );
  }

  /** Says which version run() will publish, before its plan is written: the tags' hints get that. */
  expect(version: Digest): void {
    this.#version = version;
  }

  #noticingPlan(datasets: ManifestStore): ManifestStore {
    const notice = (key: Digest, bytes: Uint8Array | undefined, domain: string | undefined): void => {
      if (key === this.#version && domain === undefined) this.#plan = bytes;
    };
    return {
      ...datasets,
      getPlan: async (key, options) => {
        const found = await datasets.getPlan(key, options);
        notice(key, found?.value, options?.domain);
        return found;
      },
      putPlan: async (key, bytes, expected, options) => {
        const revision = await datasets.putPlan(key, bytes, expected, options);
        notice(key, bytes, options?.domain);
        return revision;
      },
    };
  }

  /** Makes the first claim: to be awaited before anything of the store is relied on. */
  async begin(options: CallOptions): Promise<void> {
    await this.#lease.store(options);
    await this.#swept.begin(options);
    // A prune that is under way waits for leases that do not name its epoch, and shall not wait for the session's end.
    if (this.#swept.isNeeded) await this.#lease.store(options);
  }

  /** Says that the session has stored a block: under the claim, which keeps it. */
  noteStored(block: Digest): void {
    this.#own.add(block);
  }

  /** Whether run() looks at the names of all that the version needs: each must have been read or written through here. */
  get isWatching(): boolean {
    return this.#swept.isNeeded;
  }

  /**
   * The barrier, the last look for every block that the session did not store, then the tags: whether each was moved. Errors:
   * OBJECT_MISSING when something was pruned meanwhile; SESSION_LOST when the claim was lost; those of SweptNames.settle and commitTag.
   */
  async run(publication: Publication, options: CallOptions): Promise<boolean[]> {
    const { store, random } = this.#engine;
    await Promise.all([store.blocks.flush(options), store.datasets.flush(options)]);
    // What the session stored under its claim is condemned by no epoch that may be swept while the claim lives, but by the one that
    // #settle looks at; whether the claim lives is seen below.
    await this.#checkBlocks(
      [...this.#lease.blocks].filter((block) => !this.#own.has(block)),
      options,
    );
    await this.#settle(options);
    // A machine that was paused, its clocks with it, does not know for how long: it learns here whether its claim still stands.
    await this.#lease.store(options);
    const version = digestOf(publication.root);
    const { files, bytes } = decodeRoot(publication.root);
    const { publisher, message, labels, attempt } = publication;
    const opening = openingOf(publication.root, publication.inlinePages, this.#plan);
    const moved: boolean[] = [];
    const commits: TagCommit[] = [];
    for (const [index, { name, tag, expected }] of publication.tags.entries()) {
      if (!this.#lease.isFresh) await this.#lease.store(options);
      const change = {
        digest: version,
        files,
        bytes,
        state: "announced",
        publisher,
        message,
        labels,
      } as const;
      const once = { writeId: attempt?.writeId ?? random.id(), since: attempt?.heads[index] };
      const seen = this.#seen.find((each) => each.name === name && each.tag === tag)?.seen;
      const known = { ...change, seen, opening };
      const goal = expected === undefined ? known : { ...known, expected };
      const result = await commitTag(this.#engine, name, tag, { ...goal, ...once }, options);
      moved.push(result.moved);
      commits.push(result);
    }
    const names = (): Promise<ReadonlySet<ObjectName>> => this.#namesOf(version, options);
    await confirm(this.#engine, { lease: this.#lease, tags: publication.tags, commits, names }, options);
    return moved;
  }

  /** The names of all that the version needs, those of its manifest's bases too. */
  async #namesOf(version: Digest, options: CallOptions): Promise<ReadonlySet<ObjectName>> {
    for (const block of this.#lease.blocks) this.#names.add(objectName("blocks", block));
    await this.#swept.requireAll([...this.#names], options);
    await loadBundle(this.manifests, version, { ...options, traffic: new Traffic() });
    return this.#names;
  }

  /** Whatever a prune condemned of what the version needs is taken out of it. */
  async #settle(options: CallOptions): Promise<void> {
    if (!this.#swept.isNeeded) return;
    for (const block of this.#lease.blocks) this.#names.add(objectName("blocks", block));
    try {
      await this.#swept.settle(this.#names, options);
    } catch (error) {
      // The index may know blocks that went: it is made anew from those that are there.
      if (codeOf(error) === "OBJECT_MISSING") await this.#checkBlocks([...this.#lease.blocks], options);
      throw error;
    }
  }

  /** That blocks are there, asked for one by one or, where that takes fewer requests, from a list of all. */
  async #checkBlocks(used: readonly Digest[], options: CallOptions): Promise<void> {
    const { blocks } = this.#engine.store;
    const pages = Math.ceil((this.#index.size + 1) / LIST_PAGE);
    const listed =
      used.length > pages && isFar(blocks.features)
        ? await listBlocks(blocks, new Set(used), options)
        : undefined;
    const check = async (block: Digest): Promise<void> => {
      const bytes = listed === undefined ? await blocks.stat(block, options) : listed.get(block);
      if (bytes !== undefined && bytes === this.#index.bytesOf(block)) return;
      this.#index.remove([block]);
      throw missing(block);
    };
    for (let next = 0; next < used.length; next += PARALLEL_MAX) {
      await Promise.all(used.slice(next, next + PARALLEL_MAX).map(check));
    }
  }
}

async function listBlocks(
  blocks: BlockReader,
  wanted: ReadonlySet<Digest>,
  options: CallOptions,
): Promise<ReadonlyMap<Digest, number>> {
  const found = new Map<Digest, number>();
  for await (const { digest, bytes } of blocks.list(options))
    if (wanted.has(digest)) found.set(digest, bytes);
  return found;
}
