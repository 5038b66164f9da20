/** Records of signatures, changed by compare-and-set. docs/format.md §8.6 */
import { AetherError, codeOf } from "../../base/errors.ts";
import type { Digest } from "../../format/digest.ts";
import {
  decodeSignature,
  encodeSignature,
  PLACES_MAX,
  type BlockPlace,
  type SignatureRecord,
} from "../../format/view-record.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { DatasetStore } from "../../store/dataset-store.ts";

/** Times that a record is changed anew because somebody else changed it meanwhile. */
const TRIES_MAX = 16;

/** The record of a signature, or undefined. Errors: OBJECT_INVALID when it is another's; those of the store. */
export async function readSignature(
  datasets: DatasetStore,
  signature: Digest,
  options: CallOptions,
): Promise<SignatureRecord | undefined> {
  const found = await datasets.getView({ kind: "signature", digest: signature }, options);
  return found && decodeAs(signature, found.value);
}

/** Writes what `change` makes of the record; undefined: it stays. Errors: OBJECT_CONFLICT; those of the store. */
export async function changeSignature(
  datasets: DatasetStore,
  signature: Digest,
  change: (record: SignatureRecord | undefined) => SignatureRecord | undefined,
  options: CallOptions,
): Promise<void> {
  const key = { kind: "signature", digest: signature } as const;
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const found = await datasets.getView(key, options);
    const record = change(found && decodeAs(signature, found.value));
    if (record === undefined) return;
    try {
      await datasets.putView(key, encodeSignature(record), found?.revision, options);
      return;
    } catch (error) {
      if (codeOf(error) !== "OBJECT_CONFLICT") throw error;
    }
  }
  throw new AetherError(
    "OBJECT_CONFLICT",
    "a block's record is being written by too many at once: try again",
  );
}

/**
 * Notes that a version has the block. Who published it needs no upload of it any more: the last one's goes, and the claim on
 * it; others, who may not read the version, keep theirs.
 */
export async function addPlace(
  datasets: DatasetStore,
  block: { readonly signature: Digest; readonly bytes: number },
  place: BlockPlace,
  publisher: string | undefined,
  options: CallOptions,
): Promise<void> {
  let lease: string | undefined;
  await changeSignature(
    datasets,
    block.signature,
    (record) => {
      const upload = record?.upload ?? null;
      const holders = upload?.holders.filter((holder) => holder !== publisher) ?? [];
      lease = holders.length === 0 ? upload?.lease : undefined;
      const others = record?.places.filter((other) => !isSame(other, place)) ?? [];
      const places = [...others.slice(1 - PLACES_MAX), place];
      return { ...block, upload: upload && holders.length > 0 ? { ...upload, holders } : null, places };
    },
    options,
  );
  if (lease !== undefined) await datasets.removeLease(lease, options);
}

function isSame(one: BlockPlace, other: BlockPlace): boolean {
  return one.dataset === other.dataset && one.version === other.version;
}

function decodeAs(signature: Digest, bytes: Uint8Array): SignatureRecord {
  const record = decodeSignature(bytes);
  if (record.signature === signature) return record;
  throw new AetherError("OBJECT_INVALID", "a signature's record is another's");
}
