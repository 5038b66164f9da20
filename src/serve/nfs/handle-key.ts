/** What handles are authenticated with: a secret that all hubs of a store share. docs/decisions/0024-secret-of-handles.md */
import { hash } from "node:crypto";
import { codeOf, type ErrorCode } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { DatasetStore } from "../../store/dataset-store.ts";

const PURPOSE = "nfs-handles";
/** What says that the store keeps nothing, now and later. */
const CANNOT_KEEP: ReadonlySet<ErrorCode> = new Set([
  "STORE_UNWRITABLE",
  "SPACE_EXHAUSTED",
  "FEATURE_UNSUPPORTED",
]);

/** What the key is made of, and where it may be kept. */
export interface HandleKeyOptions {
  readonly datasets: Pick<DatasetStore, "getSecret" | "createSecret">;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/**
 * The store's secret of 32 bytes, made by whichever hub asks first. Of a store that cannot keep it, a secret of this process alone, which
 * the log says. Errors: those of the store's record.
 */
export async function openHandleKey({
  datasets,
  random,
  log,
  signal,
}: HandleKeyOptions): Promise<Uint8Array> {
  const options = { signal };
  const found = await datasets.getSecret(PURPOSE, options);
  if (found !== undefined) return Buffer.from(found.secret, "hex");
  // An id has 122 bits that nobody guesses.
  const secret = hash("sha256", `${random.id()}${random.id()}${random.id()}`, "hex");
  try {
    if (!(await datasets.createSecret({ purpose: PURPOSE, secret }, options))) {
      const winner = await datasets.getSecret(PURPOSE, options);
      if (winner !== undefined) return Buffer.from(winner.secret, "hex");
    }
  } catch (error) {
    if (!CANNOT_KEEP.has(codeOf(error))) throw error;
    log.warn(
      { err: error },
      "the store cannot keep the secret of NFS's handles: clients must mount anew when this hub was started anew, and at other hubs; --nfs_handle_key_file names one",
    );
  }
  return Buffer.from(secret, "hex");
}
