/** One version, copied to another place in one session. docs/format.md §9 */
import { AetherError, codeOf } from "../../base/errors.ts";
import { formatDigest, type Digest } from "../../format/digest.ts";
import type { ManifestBase } from "../../format/manifest.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { TagReference } from "../contract.ts";
import { isDamage } from "../damage.ts";
import type { PushEngine, ReadEngine } from "../engine.ts";
import type { IngestSession, Published, TagGoal } from "../ingest/ingest.ts";
import { openFirst } from "../push/predecessor.ts";
import type { Annotations } from "../tags.ts";
import { manifestBaseOf, openVersion, type Version } from "../version/version.ts";
import { ChunkCopy } from "./chunk-copy.ts";
import { commonPages, PageCopy, PageFrames } from "./page-copy.ts";

/** Times that a copy begins anew because the target changed under it, or is damaged. */
const TRIES_MAX = 3;

/** A version, and what becomes of it at the target. */
export interface VersionCopy extends Annotations {
  readonly version: Digest;
  /** Tags of the dataset, which need not be there: they say where the version belongs. */
  readonly place: readonly TagReference[];
  /** The tags to set; none: the version's content alone is copied. */
  readonly tags: readonly TagGoal[];
  readonly dryRun?: boolean | undefined;
  /** Looks at everything that the version names, also at what the version before has: for a target that may be damaged. */
  readonly isThorough?: boolean | undefined;
  /** How far: bytes of the stream, of them those that were missing, and bytes of all. */
  readonly onProgress?: ((bytes: number, newBytes: number, totalBytes: number) => void) | undefined;
}

/** What copying a version took. */
export interface VersionCopied {
  readonly published: Published;
  /** Bytes of the version's files. */
  readonly bytes: number;
  /** Bytes read from the source. */
  readonly fetchedBytes: number;
}

/**
 * Copies a version: the manifest as it is, and what the target lacks of pages and frames. What is wrong at the target is stored
 * anew, and what is wrong with the source found before anything refers to it.
 * Errors: those of reading the source, whose messages say so; those of the session.
 */
export async function copyVersion(
  source: ReadEngine,
  target: PushEngine,
  wanted: VersionCopy,
  options: CallOptions,
): Promise<VersionCopied> {
  let isSuspicious = wanted.isThorough === true;
  for (let tries = 1; ; tries++) {
    const blame = new Blame();
    try {
      return await copyOnce(source, target, wanted, { blame, isSuspicious }, options);
    } catch (error) {
      if (isDamage(error) && !blame.isTargets(error)) throw sourceError(wanted.version, error as AetherError);
      const again = codeOf(error) === "SESSION_LOST" || isDamage(error);
      if (!again || tries === TRIES_MAX || options.signal?.aborted === true) throw error;
      // What was sent as it lay is decoded here then: if that is what was wrong, the source is told so.
      if (isDamage(error)) isSuspicious = true;
    }
  }
}

function sourceError(version: Digest, error: AetherError): AetherError {
  const what = `${formatDigest(version)} cannot be read from the source`;
  return new AetherError(error.code, `${what}: ${error.message}`, { data: error.data, cause: error });
}

/** Tells what went wrong at the target from what is wrong with the source. */
class Blame {
  readonly #targets = new WeakSet();

  isTargets(error: unknown): boolean {
    return error instanceof Error && this.#targets.has(error);
  }

  /** What fails of this, failed at the target. */
  async target<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      if (error instanceof Error) this.#targets.add(error);
      throw error;
    }
  }

  session(inner: IngestSession): IngestSession {
    return {
      bases: inner.bases,
      takesProposals: inner.takesProposals,
      missing: (digests, options) => this.target(inner.missing(digests, options)),
      canBase: (bases, bytes, options) => this.target(inner.canBase(bases, bytes, options)),
      put: (frames, options) => this.target(inner.put(frames, options)),
      putPage: (page, form, options) => this.target(inner.putPage(page, form, options)),
      publish: (publication, options) => this.target(inner.publish(publication, options)),
      abort: () => inner.abort(),
    };
  }
}

async function copyOnce(
  source: ReadEngine,
  target: PushEngine,
  wanted: VersionCopy,
  { blame, isSuspicious }: { readonly blame: Blame; readonly isSuspicious: boolean },
  options: CallOptions,
): Promise<VersionCopied> {
  const { version: digest, place: tags, publisher, dryRun } = wanted;
  const keeper = new PageFrames();
  const version = await openVersion(source, digest, { ...options, keeper });
  const { predecessors } = await target.ingest.prepare(tags, options);
  const before = isSuspicious ? undefined : await blame.target(openFirst(target, predecessors, options));
  const start = { tags, publisher, dryRun, reference: before?.digest };
  const session = blame.session(await target.ingest.begin(start, options));
  try {
    const held = before === undefined ? new Set<Digest>() : await blame.target(commonPages(before, version));
    await copyContent({ source, version, session, decodesAll: isSuspicious }, keeper, held, wanted, options);
    const base = before === undefined ? undefined : await blame.target(baseOn(target, before, version));
    const published = await publish(session, version, base, wanted, options);
    return { published, bytes: version.root.bytes, fetchedBytes: version.traffic.fetchedBytes };
  } catch (error) {
    await session.abort();
    throw error;
  }
}

async function copyContent(
  parts: {
    readonly source: ReadEngine;
    readonly version: Version;
    readonly session: IngestSession;
    readonly decodesAll: boolean;
  },
  frames: PageFrames,
  held: ReadonlySet<Digest>,
  { onProgress }: VersionCopy,
  options: CallOptions,
): Promise<void> {
  const { version, session } = parts;
  const { bytes: totalBytes } = version.root;
  let newBytes = 0;
  const onBatch = (end: number, more: number): void => {
    newBytes += more;
    onProgress?.(end, newBytes, totalBytes);
  };
  await new ChunkCopy({ ...parts, onBatch }).run(held, options);
  await new PageCopy(version, session, frames).run(held, options);
  onProgress?.(totalBytes, newBytes, totalBytes);
}

/** What the manifest object may be encoded against. */
async function baseOn(
  target: PushEngine,
  before: Version,
  version: Version,
): Promise<ManifestBase | undefined> {
  const isOfUse = before.digest !== version.digest && version.bundle.pages.length > 0;
  return isOfUse ? await manifestBaseOf(target, before) : undefined;
}

function publish(
  session: IngestSession,
  { bundle: { root, pages: inlinePages } }: Version,
  base: ManifestBase | undefined,
  { tags, publisher, message, labels }: VersionCopy,
  options: CallOptions,
): Promise<Published> {
  return session.publish({ root, inlinePages, base, tags, publisher, message, labels }, options);
}
