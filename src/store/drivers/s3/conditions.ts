/** What a server does with conditional writes: some take no notice of them, which would lose changes. */
import { AetherError } from "../../../base/errors.ts";
import type { Condition, S3Calls } from "./s3-calls.ts";
import { isConflict, isRefusedCondition, isUnsupported, s3Error } from "./s3-errors.ts";

const NO_ETAG = "0".repeat(32);

/** An object that is there and is never changed or removed: writing it again as it is does no harm. */
export interface Witness {
  readonly key: string;
  readonly bytes: Uint8Array;
}

/**
 * Finds out, once for each kind, whether the server refuses a write whose condition does not hold. It is tried on an object that
 * is known to be there, with the bytes that it has: a server that takes no notice writes what is there already. So it takes one
 * request for each kind, and nothing is left behind. Errors: FEATURE_UNSUPPORTED when the server does not do what conditions ask
 * for; those of s3Error.
 */
export class ConditionTrial {
  readonly #calls: S3Calls;
  readonly #store: string;
  readonly #makeWitness: (signal?: AbortSignal) => Promise<Witness>;
  #witness: Witness | undefined;
  #ifNoneMatch: Promise<void> | undefined;
  #ifMatch: Promise<void> | undefined;

  /** `makeWitness` is asked when nobody has shown one. */
  constructor(calls: S3Calls, store: string, makeWitness: (signal?: AbortSignal) => Promise<Witness>) {
    this.#calls = calls;
    this.#store = store;
    this.#makeWitness = makeWitness;
  }

  /** Shows an object to try it on. Its bytes are copied. */
  show(witness: Witness): void {
    this.#witness ??= { ...witness, bytes: new Uint8Array(witness.bytes) };
  }

  /** The server has refused to write over an object that is there: what else is to be found out. */
  noteRefusal(): void {
    this.#ifNoneMatch ??= Promise.resolve();
  }

  /** That `If-None-Match: *` is heeded: tags rest on it. */
  async requireIfNoneMatch(signal?: AbortSignal): Promise<void> {
    this.#ifNoneMatch ??= this.#try({ ifNoneMatch: "*" }, signal);
    try {
      await this.#ifNoneMatch;
    } catch (error) {
      this.#ifNoneMatch = undefined;
      throw error;
    }
  }

  /** That `If-Match` is heeded. */
  async requireIfMatch(signal?: AbortSignal): Promise<void> {
    this.#ifMatch ??= this.#try({ ifMatch: `"${NO_ETAG}"` }, signal);
    try {
      await this.#ifMatch;
    } catch (error) {
      this.#ifMatch = undefined;
      throw error;
    }
  }

  async #try(condition: Condition, signal?: AbortSignal): Promise<void> {
    const { key, bytes } = (this.#witness ??= await this.#makeWitness(signal));
    try {
      await this.#calls.put(key, [bytes], { condition, signal });
    } catch (error) {
      if (isRefusedCondition(error)) return;
      throw conditionError(error, this.#store, signal);
    }
    throw unfit(this.#store, "takes no notice of the conditions of writes");
  }
}

/** What the failure of a conditional write means: FEATURE_UNSUPPORTED when the server has none, else as s3Error. */
export function conditionError(error: unknown, store: string, signal?: AbortSignal): unknown {
  if (isUnsupported(error)) return unfit(store, "has no conditional writes", error);
  return s3Error(error, store, "write", signal);
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
