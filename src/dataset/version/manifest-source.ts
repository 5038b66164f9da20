/** Reading manifest objects. docs/format.md §6 */
import { AetherError } from "../../base/errors.ts";
import { digestOf, formatDigest, type Digest } from "../../format/digest.ts";
import { decodeBundle, decodeManifestObject, type ManifestBundle } from "../../format/manifest.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { ManifestReader } from "../../store/dataset-store.ts";
import type { Traffic } from "./traffic.ts";

/** Bundles that are at hand, so that the objects they come from need not be read. */
export type KnownBundles = (version: Digest) => ManifestBundle | undefined;

/** Options of loadBundle. */
export interface BundleOptions extends CallOptions {
  readonly known?: KnownBundles | undefined;
  readonly traffic: Traffic;
}

/**
 * The bundle of a version, its root verified against the version's digest; pages are verified where they are used.
 * Errors: VERSION_NOT_FOUND; OBJECT_MISSING when a base is gone; OBJECT_CORRUPT, OBJECT_INVALID, FORMAT_UNSUPPORTED.
 */
export async function loadBundle(
  datasets: ManifestReader,
  version: Digest,
  options: BundleOptions,
): Promise<ManifestBundle> {
  return (await loadAtDepth(datasets, version, undefined, options)).bundle;
}

/** `depthMax` is what the object that names this one as its base allows; it falls, so the recursion ends. */
async function loadAtDepth(
  datasets: ManifestReader,
  version: Digest,
  depthMax: number | undefined,
  options: BundleOptions,
): Promise<{ readonly bundle: ManifestBundle }> {
  const known = options.known?.(version);
  if (known !== undefined && digestOf(known.root) === version) return { bundle: known };
  const bytes = await datasets.getManifest(version, options);
  if (bytes === undefined) throw missing(version, depthMax !== undefined);
  options.traffic.manifestBytes += bytes.byteLength;
  const object = decodeManifestObject(bytes);
  if (depthMax !== undefined && object.depth > depthMax) {
    throw new AetherError("OBJECT_INVALID", `manifest ${formatDigest(version)} stands too deep to be a base`);
  }
  const base =
    object.base === undefined
      ? undefined
      : (await loadAtDepth(datasets, object.base, object.depth - 1, options)).bundle;
  const bundle = decodeBundle(object, base);
  if (digestOf(bundle.root) !== version) {
    throw new AetherError(
      "OBJECT_CORRUPT",
      `the manifest of ${formatDigest(version)} does not match its digest`,
      {
        data: { digest: formatDigest(version) },
      },
    );
  }
  return { bundle };
}

function missing(version: Digest, isBase: boolean): AetherError {
  const digest = formatDigest(version);
  if (!isBase)
    return new AetherError(
      "VERSION_NOT_FOUND",
      `the store has no version ${digest}: it never had it, or nothing kept it and it was pruned`,
      { data: { digest } },
    );
  return new AetherError("OBJECT_MISSING", `the manifest ${digest}, which another needs, is missing`, {
    data: { digest },
  });
}
