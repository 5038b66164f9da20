/** A version's chunks, by ranges of its stream. */
import { AetherError } from "../../base/errors.ts";
import { checkRange } from "../../base/byte-range.ts";
import { formatDigest, type Digest } from "../../format/digest.ts";
import type { Page } from "../../format/page.ts";
import { walkLeaves, type Position } from "./leaves.ts";
import type { PlacedChunk } from "./unit.ts";
import { topRef, type Version } from "./version.ts";

/** A chunk of a version's stream. */
export interface ChunkSpan {
  readonly digest: Digest;
  /** Bytes. */
  readonly length: number;
  /** Where it begins in the stream. */
  readonly start: number;
  /** The leaf page that names it, its number there, and its number in the version: what placing it needs. */
  readonly leaf: Digest;
  readonly leafIndex: number;
  readonly index: number;
}

/**
 * The chunks that hold bytes `start` (inclusive) to `end` (exclusive) of the stream, in order, in batches of about a
 * page; pages before and after are not read. Errors: RANGE_INVALID; those of PageSource.load.
 */
export async function* chunks(
  version: Version,
  start = 0,
  end = version.root.bytes,
): AsyncGenerator<ChunkSpan[]> {
  checkRange({ start, end }, version.root.bytes);
  if (start === end) return;
  const leaves = walkLeaves(
    version,
    topRef(version, "chunks"),
    (child, at) => at.bytes + child.bytes <= start || at.bytes >= end,
  );
  for await (const { page, ref, items, bytes } of leaves) {
    const batch = spansOf(page, { digest: ref.digest, items, bytes }).filter(
      (span) => span.start < end && span.start + span.length > start,
    );
    if (batch.length > 0) yield batch;
  }
}

/** The chunks that a leaf page names; `items` and `bytes` are those of the stream before it. Errors: OBJECT_INVALID. */
export function spansOf(page: Page, leaf: Position & { readonly digest: Digest }): ChunkSpan[] {
  if (page.kind !== "chunks" || !("chunks" in page)) {
    throw new AetherError("OBJECT_INVALID", "a leaf of chunks is none");
  }
  let start = leaf.bytes;
  return page.chunks.map(({ digest, length }, leafIndex) => {
    const span = { digest, length, start, leaf: leaf.digest, leafIndex, index: leaf.items + leafIndex };
    start += length;
    return span;
  });
}

/**
 * Where a chunk lies; `isShort`: by a plan that may leave it to another, which is all that a reader takes who has the base.
 * Errors: those of PlanSource.get; OBJECT_INVALID when the plan does not say it.
 */
export async function placeChunk(version: Version, span: ChunkSpan, isShort = false): Promise<PlacedChunk> {
  const { digest, length, leaf } = span;
  if (version.pages.isInline(leaf)) {
    const plan = await (isShort ? version.plans.getShort(version.digest) : version.plans.get(version.digest));
    const place = plan.covers === "version" ? plan.places[span.index] : undefined;
    if (place !== undefined) return { digest, bytes: length, plan, place };
  }
  const plan = await (isShort ? version.plans.getShort(leaf) : version.plans.get(leaf));
  const place = plan.covers === "items" ? plan.places[span.leafIndex] : undefined;
  if (place !== undefined) return { digest, bytes: length, plan, place };
  throw new AetherError("OBJECT_INVALID", `no plan says where chunk ${formatDigest(digest)} lies`);
}

/** Forgets the plans that place a chunk, so that they are read again. */
export function forgetPlace(version: Version, span: ChunkSpan): void {
  version.plans.forget(span.leaf);
  version.plans.forget(version.digest);
}
