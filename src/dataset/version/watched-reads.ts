import type { Digest } from "../../format/digest.ts";
import { objectName, type ObjectName } from "../../format/prune-record.ts";
import type { DatasetStore, ManifestReader, PlanOptions } from "../../store/dataset-store.ts";
import { domainPlanDigest } from "../../store/keys.ts";

/** Manifests and plans of a store, to be read and written. */
export type ManifestStore = Pick<
  DatasetStore,
  "getManifest" | "addManifest" | "putManifest" | "getPlan" | "putPlan"
>;

/** Manifests and plans as they are read, each name told of: what a reader reads is what it needs. */
export function watchedReads(datasets: ManifestReader, onName: (name: ObjectName) => void): ManifestReader {
  return {
    getManifest: (version, options) => {
      onName(objectName("manifests", version));
      return datasets.getManifest(version, options);
    },
    getPlan: (key, options) => {
      onName(planName(key, options));
      return datasets.getPlan(key, options);
    },
  };
}

/** As watchedReads; names that are written are told of too. */
export function watchedManifests(datasets: ManifestStore, onName: (name: ObjectName) => void): ManifestStore {
  return {
    ...watchedReads(datasets, onName),
    addManifest: (version, bytes, options) => {
      onName(objectName("manifests", version));
      return datasets.addManifest(version, bytes, options);
    },
    putManifest: (version, bytes, options) => {
      onName(objectName("manifests", version));
      return datasets.putManifest(version, bytes, options);
    },
    putPlan: (key, bytes, expected, options) => {
      onName(planName(key, options));
      return datasets.putPlan(key, bytes, expected, options);
    },
  };
}

/** The name of a plan. */
export function planName(key: Digest, { domain }: PlanOptions = {}): ObjectName {
  if (domain === undefined) return objectName("plans", key);
  return objectName("domain-plans", domainPlanDigest(key, domain));
}
