/** Records as they are read from under their keys. docs/format.md §8 */
import { AetherError } from "../base/errors.ts";
import type { Key } from "./keys.ts";

/** Reads a record's bytes. Errors: OBJECT_INVALID, FORMAT_UNSUPPORTED. */
export type Decode<T> = (bytes: Uint8Array) => T;
/** Whether a record is the one of its key. */
export type Fits<T> = (record: T) => boolean;

/** The record under a key of the place `store`, which errors name. Errors: those of `decode`; OBJECT_INVALID when it is another key's. */
export function decodedRecord<T>(
  key: Key,
  store: string,
  bytes: Uint8Array,
  decode: Decode<T>,
  fits: Fits<T>,
): T {
  const where = `${key} in ${store}`;
  try {
    const record = decode(bytes);
    if (fits(record)) return record;
  } catch (cause) {
    if (!(cause instanceof AetherError)) throw cause;
    throw new AetherError(cause.code, `${where}: ${cause.message}`, { data: { ...cause.data, key }, cause });
  }
  throw new AetherError("OBJECT_INVALID", `${where} holds the record of another key`, { data: { key } });
}
