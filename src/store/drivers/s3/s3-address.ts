/** Where an S3 store lies. */
import { AetherError } from "../../../base/errors.ts";

/** An address of the form `s3://bucket[/prefix]`, taken apart. */
export interface S3Address {
  readonly bucket: string;
  /** What every key begins with: "", or it ends in "/". */
  readonly prefix: string;
}

/** Broader than AWS's rule: other servers take more. */
const BUCKET = /^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$/;
/** Printable, and nothing that a URL gives a meaning of its own. */
const SEGMENT = /^[^\p{C}\s?#%\\]+$/u;
/** A key of S3 has 1024 bytes at most; the store's own take up to half of them. */
const PREFIX_BYTES_MAX = 512;

/** Reads `s3://bucket[/prefix]`. Errors: ARGUMENT_INVALID. */
export function parseS3Address(address: string): S3Address {
  const [, bucket = "", path = ""] = /^s3:\/\/([^/]*)(?:\/(.*))?$/is.exec(address) ?? [];
  if (!BUCKET.test(bucket)) throw invalid(address, "it is s3://BUCKET, or s3://BUCKET/PREFIX");
  const prefix = path.replace(/\/$/, "");
  if (prefix === "") return { bucket, prefix: "" };
  const isPlain = prefix
    .split("/")
    .every((segment) => SEGMENT.test(segment) && segment !== "." && segment !== "..");
  if (!isPlain || Buffer.byteLength(prefix) > PREFIX_BYTES_MAX) {
    const rule = `up to ${PREFIX_BYTES_MAX} bytes, without "//", ".", "..", spaces, "?", "#", "%" and "\\"`;
    throw invalid(address, `the prefix has ${rule}`);
  }
  return { bucket, prefix: `${prefix}/` };
}

function invalid(address: string, rule: string): AetherError {
  // Somebody may have written credentials before an "@".
  const shown = address.includes("@") ? "what was given" : `"${address.slice(0, 200)}"`;
  return new AetherError("ARGUMENT_INVALID", `${shown} is no address of an S3 store: ${rule}`);
}
