/** Secrets that all who have a store share. docs/format.md §8.9 */
import { AetherError } from "../base/errors.ts";
import { encodeRecord, RecordMembers } from "./record-members.ts";

const PURPOSES = ["nfs-handles"] as const;
/** What a secret is for; each has one of its own. */
export type SecretPurpose = (typeof PURPOSES)[number];

/** A secret's record: `secrets/<purpose>.json`. It never changes. */
export interface SecretRecord {
  readonly purpose: SecretPurpose;
  /** 32 random bytes, as 64 lower-case hex digits. */
  readonly secret: string;
}

const SECRET = /^[0-9a-f]{64}$/;

/** The bytes of a secret's record. */
export function encodeSecret(record: SecretRecord): Uint8Array {
  return encodeRecord("secret", { ...record });
}

/** Reads a secret's record. Errors: OBJECT_INVALID, FORMAT_UNSUPPORTED when a newer AetherFS wrote it. */
export function decodeSecret(bytes: Uint8Array): SecretRecord {
  const members = RecordMembers.decode("secret", bytes);
  const secret = members.text("secret", 64);
  // Nothing of it is said: messages reach logs.
  if (!SECRET.test(secret)) throw new AetherError("OBJECT_INVALID", "a secret record is malformed: secret");
  return { purpose: members.choice("purpose", PURPOSES), secret };
}
