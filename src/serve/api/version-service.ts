/** VersionAPI: manifests and plans, to those who may read the dataset. docs/protocol.md §3 */
import type { MethodImpl } from "@connectrpc/connect";
import { AetherError } from "../../base/errors.ts";
import { totalBytes } from "../../base/bytes.ts";
import { MiB } from "../../base/limits.ts";
import { DatasetVersions } from "../../dataset/dataset-versions.ts";
import { requireDataset } from "../../dataset/datasets.ts";
import { BlockDomains } from "../../dataset/version/block-domains.ts";
import { readPlan, wholePlan } from "../../dataset/version/load-plan.ts";
import { loadBundle } from "../../dataset/version/manifest-source.ts";
import { Traffic } from "../../dataset/version/traffic.ts";
import { DIGEST_BYTES, digestFromBytes, type Digest } from "../../format/digest.ts";
import { decodeManifestObject, encodeManifest } from "../../format/manifest.ts";
import { encodePlan, planBaseOf } from "../../format/plan.ts";
import type { DatasetRecord } from "../../format/record.ts";
import { VersionAPI } from "../../gen/aetherfs/hub/v1/version_pb.ts";
import { rpcService, type RpcService } from "../../rpc/rpc-service.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { Services } from "../services.ts";
import { allow } from "./caller.ts";

/** Manifests, or plans, of one call. */
const DIGESTS_MAX = 256;
/** Bytes of one answer; a single object may have more. */
const ANSWER_BYTES_MAX = 16 * MiB;
/** Objects that are read at a time for one call. */
const PARALLEL_MAX = 8;
const NOTHING = new Uint8Array();

type Methods = typeof VersionAPI.method;

/** What the calls share. */
interface Reading extends Services {
  readonly versions: DatasetVersions;
  readonly domains: BlockDomains;
}

/**
 * Manifests and plans of a hub. What is not the dataset's is not there: a manifest, when no tag of the dataset ever
 * pointed at its version; a plan, when it is of such a version, or leads to another domain's blocks.
 */
export function versionService(services: Services): RpcService {
  const { blocks, datasets } = services.engine.store;
  const reading = {
    ...services,
    versions: new DatasetVersions(datasets),
    domains: new BlockDomains(blocks),
  };
  return rpcService(VersionAPI, { getManifests: getManifests(reading), getPlans: getPlans(reading) });
}

function getManifests(reading: Reading): MethodImpl<Methods["getManifests"]> {
  return async (request, context) => {
    const { signal } = context;
    const { name } = await allow(reading, context, "read", request.name);
    const dataset = await requireDataset(reading.engine, name, { signal });
    const manifests = await readEach(request.digests, (digest) =>
      manifestOf(reading, dataset, digest, { signal }),
    );
    return { manifests };
  };
}

function getPlans(reading: Reading): MethodImpl<Methods["getPlans"]> {
  return async (request, context) => {
    const { signal } = context;
    const { name } = await allow(reading, context, "read", request.name);
    const dataset = await requireDataset(reading.engine, name, { signal });
    const plans = await readEach(request.keys, (key) => planOf(reading, dataset, key, { signal }));
    return { plans };
  };
}

/** One answer for each digest, in order. */
async function readEach(
  digests: readonly Uint8Array[],
  read: (digest: Digest) => Promise<Uint8Array | undefined>,
): Promise<Uint8Array[]> {
  if (digests.length > DIGESTS_MAX) {
    throw new AetherError(
      "LIMIT_EXCEEDED",
      `one call asks for at most ${DIGESTS_MAX}, not ${digests.length}`,
      {
        data: { limit: DIGESTS_MAX },
      },
    );
  }
  const found: Uint8Array[] = [];
  for (let next = 0; next < digests.length; next += PARALLEL_MAX) {
    const batch = digests.slice(next, next + PARALLEL_MAX).map(digestOfRequest);
    const objects = await Promise.all(batch.map(read));
    found.push(...objects.map((object) => object ?? NOTHING));
    if (totalBytes(found) > ANSWER_BYTES_MAX && digests.length > 1) {
      throw new AetherError("LIMIT_EXCEEDED", "what is asked for is too much for one answer: ask for fewer");
    }
  }
  return found;
}

function digestOfRequest(bytes: Uint8Array): Digest {
  if (bytes.byteLength === DIGEST_BYTES) return digestFromBytes(bytes);
  throw new AetherError("ARGUMENT_INVALID", `a digest has ${DIGEST_BYTES} bytes, not ${bytes.byteLength}`);
}

/** The manifest object; whole, when its base is not the dataset's, as after a tag was set from another dataset. */
async function manifestOf(
  { engine, versions }: Reading,
  dataset: DatasetRecord,
  version: Digest,
  options: CallOptions,
): Promise<Uint8Array | undefined> {
  if (!(await versions.has(dataset, version, options))) return undefined;
  const { datasets } = engine.store;
  const bytes = await datasets.getManifest(version, options);
  const base = bytes && decodeManifestObject(bytes).base;
  if (base === undefined || (await versions.has(dataset, base, options))) return bytes;
  return encodeManifest(await loadBundle(datasets, version, { ...options, traffic: new Traffic() }));
}

/** Whole, when its base is a version that is not the dataset's. Pages have no list of whom they belong to: their digests are known only to who read the manifest above them. */
async function planOf(
  { engine, versions, domains }: Reading,
  dataset: DatasetRecord,
  key: Digest,
  options: CallOptions,
): Promise<Uint8Array | undefined> {
  const { datasets } = engine.store;
  const plan = await datasets.getPlan(key, options);
  if (plan === undefined) return undefined;
  const isVersion = (await datasets.getManifest(key, options)) !== undefined;
  if (isVersion && !(await versions.has(dataset, key, options))) return undefined;
  const loading = { ...options, traffic: new Traffic() };
  const whole = await wholePlan(datasets, await readPlan(datasets, plan.value, loading), loading);
  const block = whole.frames[0]?.block;
  if (block !== undefined && (await domains.get(block, options)) !== dataset.domain)
    return (await datasets.getPlan(key, { ...options, domain: dataset.domain }))?.value;
  const base = planBaseOf(plan.value);
  const isTold = base?.kind !== "version" || (await versions.has(dataset, base.key, options));
  return isTold ? plan.value : encodePlan(whole);
}
