import { AetherError } from "../../base/errors.ts";
import type { DatasetIdentity, DatasetVersions } from "../../dataset/dataset-versions.ts";
import { formatDigest, parseDigest, type Digest } from "../../format/digest.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { Services } from "../services.ts";

/** What the calls of the catalog share. */
export interface Catalog extends Services {
  readonly versions: DatasetVersions;
}

/** The version that `text` names, held to be the dataset's. Errors: REFERENCE_INVALID, VERSION_NOT_FOUND. */
export async function ownVersion(
  { versions }: Catalog,
  dataset: DatasetIdentity,
  text: string,
  options: CallOptions,
): Promise<Digest> {
  const version = parseDigest(text);
  if (await versions.has(dataset, version, options)) return version;
  const { name } = dataset;
  throw new AetherError("VERSION_NOT_FOUND", `no tag of ${name} ever pointed at ${formatDigest(version)}`, {
    data: { dataset: name, digest: formatDigest(version) },
  });
}
