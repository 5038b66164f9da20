/** What a pull remembers of the folder for the next one, outside of the folder. Hints: all of it may be lost. */
import fs from "node:fs";
import { hash } from "node:crypto";
import path from "node:path";
import { AetherError } from "../../base/errors.ts";
import type { Digest } from "../../format/digest.ts";
import { decodePage, type TreeKind } from "../../format/page.ts";
import type { VersionStore } from "../../store/dataset-store.ts";
import { makeFolders } from "../../store/make-folders.ts";
import type { ReadEngine } from "../engine.ts";
import { StatCacheReader, StatCacheWriter, statCacheVersion } from "../stat-cache.ts";
import type { KnownBundles } from "../version/manifest-source.ts";
import type { PageKeeper } from "../version/page-source.ts";
import { openVersion, type Version } from "../version/version.ts";
import { PageFile } from "./page-file.ts";
import { STAGING_NAME } from "./staging.ts";
import { targetError } from "./target-errors.ts";

/** Pages that are taken over before others have their turn. */
const PAGES_AT_ONCE = 64;

/** Reads what the pull before left; from begin() on, beside a staging folder whose lock keeps others away, it writes too. */
export class PullMemory {
  readonly #id: string;
  readonly #target: string;
  /** undefined: there is no cache folder that can be written; pages then lie in the staging folder, for this pull alone. */
  #folder: string | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #old: PageFile | undefined;
  #new: { readonly file: string; readonly pages: PageFile } | undefined;

  /** `target` is absolute. */
  constructor(engine: ReadEngine, target: string, signal: AbortSignal | undefined) {
    this.#id = engine.random.id();
    this.#target = target;
    this.#signal = signal;
    const { cacheDir } = engine;
    this.#folder =
      cacheDir === undefined ? undefined : path.join(cacheDir, "pull", hash("sha256", target, "hex"));
    this.#old = this.#folder === undefined ? undefined : openPages(path.join(this.#folder, "pages"));
  }

  readonly known: KnownBundles = (version) => this.#old?.findBundle(version);

  readonly keeper: PageKeeper = {
    find: (digest) => {
      const kept = this.#new?.pages.find(digest);
      if (kept !== undefined) return kept;
      const old = this.#old?.find(digest);
      if (old !== undefined) this.#new?.pages.keep(digest, old);
      return old;
    },
    keep: (digest, bytes) => {
      this.#new?.pages.keep(digest, bytes);
    },
  };

  /** Makes the file that takes this pull's pages. Errors: TARGET_UNWRITABLE, SPACE_EXHAUSTED. */
  begin(): void {
    try {
      if (this.#folder !== undefined) this.#new = this.#makePages(this.#folder);
    } catch {
      // A hint that cannot be kept is none.
      this.#folder = undefined;
    }
    try {
      this.#new ??= this.#makePages(path.join(this.#target, STAGING_NAME));
    } catch (error) {
      throw targetError(error, STAGING_NAME, this.#target);
    }
  }

  #makePages(folder: string): { readonly file: string; readonly pages: PageFile } {
    makeFolders(folder, 0o700);
    for (const name of fs.readdirSync(folder)) {
      // Of a pull that was killed.
      if (name.endsWith(".tmp")) fs.rmSync(path.join(folder, name), { force: true });
    }
    const file = path.join(folder, `pages.${this.#id}.tmp`);
    return { file, pages: new PageFile(file, "wx+") };
  }

  /** The version that the folder last held, as far as it can be read without the store; undefined when it cannot. */
  async openOld(): Promise<Version | undefined> {
    const version =
      this.#folder === undefined ? undefined : statCacheVersion(path.join(this.#folder, "stat"));
    const old = this.#old;
    if (version === undefined || old === undefined) return undefined;
    const keeper = { find: (digest: Digest) => old.find(digest), keep: () => undefined };
    try {
      const known: KnownBundles = (digest) => old.findBundle(digest);
      return await openVersion({ store: NO_STORE }, version, { known, keeper, signal: this.#signal });
    } catch (error) {
      if (error instanceof AetherError) return undefined;
      throw error;
    }
  }

  /** What the folder's files looked like when it held `old`. */
  openRecords(old: Version | undefined): StatCacheReader {
    const file = this.#folder === undefined ? undefined : path.join(this.#folder, "stat");
    return new StatCacheReader(old === undefined ? undefined : file, old?.digest);
  }

  /** Takes what they look like now; undefined when there is no place to remember it. */
  writeRecords(): StatCacheWriter | undefined {
    return this.#folder === undefined
      ? undefined
      : new StatCacheWriter(path.join(this.#folder, "stat"), this.#id);
  }

  /** Keeps the pages of this pull for the next, and those that it did not need: what the next one fetches lies on them. */
  async commit(version: Version): Promise<void> {
    if (this.#folder === undefined || this.#new === undefined) return;
    try {
      await this.#keepTrees(version, this.#new.pages);
      this.#new.pages.keepBundle(version.digest, version.bundle);
      fs.renameSync(this.#new.file, path.join(this.#folder, "pages"));
    } catch {
      // A full disk, say: the next pull fetches them again.
    }
  }

  /** Takes over the version's pages that are at hand; where one is not, what lies below it is left out. */
  async #keepTrees({ root, signal }: Version, pages: PageFile): Promise<void> {
    const visited = new Set<Digest>();
    const waiting: { kind: TreeKind; level: number; digest: Digest }[] = [];
    for (const kind of ["entries", "times", "chunks"] as const) {
      const top = root[kind];
      if (top !== undefined) waiting.push({ kind, level: top.level, digest: top.digest });
    }
    for (let count = 1, next = waiting.pop(); next !== undefined; next = waiting.pop(), count++) {
      if (count % PAGES_AT_ONCE === 0) await new Promise(setImmediate);
      signal?.throwIfAborted();
      const { kind, level, digest } = next;
      if (level === 0 && pages.has(digest)) continue;
      // A page may stand in a tree many times.
      if (level > 0 && visited.has(digest)) continue;
      if (level > 0) visited.add(digest);
      const bytes = this.keeper.find(digest);
      if (bytes === undefined || level === 0) continue;
      const page = decodePage(bytes, kind, level);
      for (const child of "children" in page ? page.children : [])
        waiting.push({ kind, level: level - 1, digest: child.digest });
    }
  }

  close(): void {
    this.#old?.close();
    if (this.#new === undefined) return;
    this.#new.pages.close();
    fs.rmSync(this.#new.file, { force: true });
  }
}

function openPages(file: string): PageFile | undefined {
  try {
    return new PageFile(file, "r");
  } catch {
    return undefined;
  }
}

/** Stands for the store where only what is at hand counts. */
const NO_STORE: VersionStore = {
  blocks: { read: refuse, stat: refuse },
  datasets: { getManifest: refuse, getPlan: refuse },
};

async function refuse(): Promise<never> {
  throw new AetherError("OBJECT_MISSING", "it is not at hand");
}
