/** What a server does with conditional writes: some take no notice of them, which would lose changes. */
import { AetherError } from "../../../base/errors.ts";
import type { Condition, S3Calls } from "./s3-calls.ts";
import { isConflict, isRefusedCondition, isUnsupported, s3Error } from "./s3-errors.ts";

const CONTENT = Buffer.from("aetherfs");
const NO_ETAG = "0".repeat(32);

/**
 * Tries conditional writes on `key`, which nobody else uses. The object stays: it is the caller's to remove. Errors:
 * FEATURE_UNSUPPORTED when the server does not do what they ask for.
 */
export async function probeConditions(
  calls: S3Calls,
  key: string,
  store: string,
  signal?: AbortSignal,
): Promise<void> {
  const isWritten = async (condition: Condition): Promise<boolean> => {
    try {
      await calls.put(key, [CONTENT], { condition, signal });
      return true;
    } catch (error) {
      if (isRefusedCondition(error)) return false;
      if (isUnsupported(error)) throw unfit(store, "has no conditional writes", error);
      throw s3Error(error, store, "write", signal);
    }
  };
  if (!(await isWritten({ ifNoneMatch: "*" }))) throw unfit(store, "says of a new object that it is there");
  // None of the two changes what is there, so that they may go side by side.
  const results = await Promise.allSettled([
    isWritten({ ifNoneMatch: "*" }),
    isWritten({ ifMatch: `"${NO_ETAG}"` }),
  ]);
  for (const result of results) {
    if (result.status === "rejected") throw result.reason;
    if (result.value) throw unfit(store, "takes no notice of the conditions of writes");
  }
}

/**
 * Writes in place of an object of known ETag. RFC 9110 §13.1.1 has the ETag in quotes, and so has AWS; Ceph's radosgw takes it
 * without only. Which it is, is found out by the first write.
 */
export class MatchWriter {
  readonly #calls: S3Calls;
  readonly #store: string;
  #form: "quoted" | "bare" | undefined;

  constructor(calls: S3Calls, store: string) {
    this.#calls = calls;
    this.#store = store;
  }

  /** The new ETag, or undefined when there is another object than `etag`, or none. Errors: those of s3Error. */
  async replace(
    key: string,
    bytes: Uint8Array,
    etag: string,
    signal?: AbortSignal,
  ): Promise<string | undefined> {
    const put = async (form: "quoted" | "bare"): Promise<string | undefined> => {
      const condition = { ifMatch: form === "quoted" ? `"${etag}"` : etag };
      try {
        return await this.#calls.put(key, [bytes], { condition, signal });
      } catch (error) {
        if (isConflict(error)) return undefined;
        throw s3Error(error, this.#store, "write", signal);
      }
    };
    const form = this.#form ?? "quoted";
    const replaced = await put(form);
    if (replaced !== undefined) this.#form = form;
    if (replaced !== undefined || this.#form !== undefined) return replaced;
    const head = await this.#calls.head(key, signal);
    if (head?.etag !== etag) return undefined;
    const bare = await put("bare");
    if (bare !== undefined) this.#form = "bare";
    return bare;
  }
}

function unfit(store: string, what: string, error?: unknown): AetherError {
  return new AetherError(
    "FEATURE_UNSUPPORTED",
    `${store}: the server ${what}, so that writers would overwrite each other: if only one process at a time ever writes there, ` +
      `say so with --storage_s3_single_writer`,
    error instanceof Error ? { cause: new Error(error.name) } : {},
  );
}
