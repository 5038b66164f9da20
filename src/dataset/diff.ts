import { must } from "../base/assert.ts";
import { AetherError } from "../base/errors.ts";
import { MiB } from "../base/limits.ts";
import type { Digest } from "../format/digest.ts";
import type { DiffResult, OperationOptions } from "./contract.ts";
import type { ReadEngine } from "./engine.ts";
import { placeChunk, spansOf, type ChunkSpan } from "./version/chunks.ts";
import type { KnownBundles } from "./version/manifest-source.ts";
import { diffEntries, diffLeaves, loadPages, type NumberedPage } from "./version/page-diff.ts";
import type { PageKeeper } from "./version/page-source.ts";
import { openVersion, type Version } from "./version/version.ts";

/** Chunks of the first version that are remembered at most: beyond, the update is estimated too high. */
const CHUNKS_MAX = 1_000_000;
/** Removed files that may turn out to be renamed. */
const RENAMES_MAX = 131_072;
/** Encoded bytes of the first version's pages that are kept as bases of the second's. */
const KEPT_BYTES_MAX = 8 * MiB;

/** Options of diffVersions. */
export interface DiffOptions extends OperationOptions {
  /** Paths that may differ, for callers whose memory is many people's; undefined: any number. */
  readonly pathsMax?: number | undefined;
}

/**
 * What differs between two versions, by path, and what an update costs. An entry changed when its kind, content, mode or
 * target did; its time alone does not count. Files with bytes that were removed and added with the same content are
 * renamed, paired in byte order of path. Reads only pages that the versions do not share.
 * Errors: LIMIT_EXCEEDED beyond `pathsMax`; those of openVersion and PageSource.load.
 */
export async function diffVersions(
  engine: ReadEngine,
  from: Digest,
  to: Digest,
  options: DiffOptions = {},
): Promise<DiffResult> {
  const { signal, pathsMax = Number.POSITIVE_INFINITY } = options;
  const kept = new KeptPages();
  const before = await openVersion(engine, from, {
    signal,
    keeper: {
      find: () => undefined,
      keep: (digest, bytes) => {
        kept.keep(digest, bytes);
      },
    },
  });
  const known: KnownBundles = (version) => (version === from ? before.bundle : undefined);
  const keeper: PageKeeper = { find: (digest) => kept.find(digest), keep: () => undefined };
  const after = await openVersion(engine, to, { signal, known, keeper });
  const paths = await diffPaths(before, after, pathsMax);
  return { ...paths, updateBytes: await updateBytes(before, after) };
}

async function diffPaths(
  before: Version,
  after: Version,
  pathsMax: number,
): Promise<Omit<DiffResult, "updateBytes">> {
  const added = new Map<string, Digest | undefined>();
  const removed = new Set<string>();
  const changed: string[] = [];
  const removedByDigest = new Map<Digest, string[]>();
  let candidates = 0;
  for await (const { before: old, after: present } of diffEntries(before, after)) {
    if (added.size + removed.size + changed.length >= pathsMax) throw tooMany(pathsMax);
    if (old !== undefined && present !== undefined) changed.push(old.path);
    else if (old !== undefined) {
      removed.add(old.path);
      if (old.kind !== "file" || old.size === 0 || candidates === RENAMES_MAX) continue;
      candidates++;
      const same = removedByDigest.get(old.digest);
      if (same === undefined) removedByDigest.set(old.digest, [old.path]);
      else same.push(old.path);
    } else if (present !== undefined)
      added.set(present.path, present.kind === "file" ? present.digest : undefined);
  }
  const renamed: { from: string; to: string }[] = [];
  for (const [to, digest] of added) {
    const from = digest === undefined ? undefined : removedByDigest.get(digest)?.shift();
    if (from === undefined) continue;
    renamed.push({ from, to });
    removed.delete(from);
    added.delete(to);
  }
  return { added: [...added.keys()], removed: [...removed], changed, renamed };
}

function tooMany(pathsMax: number): AetherError {
  return new AetherError(
    "LIMIT_EXCEEDED",
    `more than ${pathsMax} paths differ, which is more than one answer may hold: list both versions and compare them`,
    { data: { limit: pathsMax } },
  );
}

/**
 * What a consumer of the first version fetches to have the second: the frames of chunks that it lacks, and what was read
 * here of the second's manifest and plans, which is what it would read.
 */
async function updateBytes(before: Version, after: Version): Promise<number> {
  // A consumer reads the times that changed, too: loading them counts them.
  const times = loadPages(after, (await diffLeaves(before, after, "times")).after);
  while ((await times.next()).done !== true);
  const leaves = await diffLeaves(before, after, "chunks");
  const atHand = new Set<Digest>();
  for await (const span of spansIn(before, leaves.before))
    if (atHand.size < CHUNKS_MAX) atHand.add(span.digest);
  const frames = new Set<string>();
  let bytes = 0;
  for await (const span of spansIn(after, leaves.after)) {
    if (atHand.has(span.digest)) continue;
    const { plan, place } = await placeChunk(after, span);
    const { block, offset, storedBytes } = must(
      plan.frames[place.frame],
      "a plan's places lie in its frames",
    );
    const key = `${block}:${offset}`;
    if (!frames.has(key)) bytes += storedBytes;
    frames.add(key);
  }
  return bytes + after.traffic.manifestBytes;
}

/** The chunks of some leaves; where in the stream they begin is left open. */
async function* spansIn(version: Version, leaves: readonly NumberedPage[]): AsyncGenerator<ChunkSpan> {
  for await (const { ref, firstItem, page } of loadPages(version, leaves)) {
    yield* spansOf(page, { digest: ref.digest, items: firstItem, bytes: 0 });
  }
}

/** The pages used last, encoded. */
class KeptPages {
  readonly #pages = new Map<Digest, Uint8Array>();
  #bytes = 0;

  find(digest: Digest): Uint8Array | undefined {
    return this.#pages.get(digest);
  }

  keep(digest: Digest, bytes: Uint8Array): void {
    this.#pages.set(digest, bytes);
    this.#bytes += bytes.byteLength;
    for (const [oldest, page] of this.#pages) {
      if (this.#bytes <= KEPT_BYTES_MAX) return;
      this.#pages.delete(oldest);
      this.#bytes -= page.byteLength;
    }
  }
}
