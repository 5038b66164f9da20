/** What a tag's hint says of a version, so that its first pages are read before its manifest is. docs/format.md §8.3 */
import { digestOf, type Digest } from "../../format/digest.ts";
import { decodeBundle, decodeManifestObject, decodeRoot } from "../../format/manifest.ts";
import { decodePlan, planBaseOf, type Plan } from "../../format/plan.ts";
import { OPENING_BYTES_MAX, type TagOpening } from "../../format/record.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { ManifestReader } from "../../store/dataset-store.ts";

/**
 * What a hint may say of a version; undefined where it serves nobody: pages that lie with their root are read with it, and hints stay
 * small. `plan`: the version's, undefined when it is not at hand.
 */
export function openingOf(
  root: Uint8Array,
  inlinePages: readonly Uint8Array[],
  plan: Uint8Array | undefined,
): TagOpening | undefined {
  if (plan === undefined || inlinePages.length > 0) return undefined;
  return Math.max(root.byteLength, plan.byteLength) > OPENING_BYTES_MAX ? undefined : { root, plan };
}

/** The same of a version whose manifest object this is, its plan read from the store. Errors: those of the store. */
export async function openingFrom(
  datasets: ManifestReader,
  version: Digest,
  object: Uint8Array,
  options: CallOptions,
): Promise<TagOpening | undefined> {
  const { base, ...manifest } = decodeManifestObject(object);
  // Pages that lie with their root are what a base is for.
  if (base !== undefined) return undefined;
  const { root, pages } = decodeBundle({ ...manifest, base }, undefined);
  const plan = pages.length > 0 ? undefined : (await datasets.getPlan(version, options))?.value;
  return openingOf(root, pages, plan);
}

/** A version's root, and the plan of its top pages, as a hint has them; undefined when it is not of that version, or of no use. */
export function readOpening(
  version: Digest,
  { root, plan }: TagOpening,
): { readonly root: ReturnType<typeof decodeRoot>; readonly plan: Plan } | undefined {
  try {
    if (digestOf(root) !== version || planBaseOf(plan) !== undefined) return undefined;
    return { root: decodeRoot(root), plan: decodePlan(plan) };
  } catch {
    // It was a hint: the version itself says what is so.
    return undefined;
  }
}
