/** The version before the one that is pushed. */
import { codeOf } from "../../base/errors.ts";
import type { Digest } from "../../format/digest.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { ReadEngine } from "../engine.ts";
import { openVersion, type Version } from "../version/version.ts";

/** The first of the versions that can be read. One that cannot counts as none: a push must be able to mend a store. */
export async function openFirst(
  engine: ReadEngine,
  digests: readonly Digest[],
  options: CallOptions,
): Promise<Version | undefined> {
  for (const digest of digests) {
    const version = await openReadable(engine, digest, options);
    if (version !== undefined) return version;
  }
  return undefined;
}

/** A version, or undefined when it is not there or cannot be read. */
export async function openReadable(
  engine: ReadEngine,
  digest: Digest,
  options: CallOptions,
): Promise<Version | undefined> {
  try {
    return await openVersion(engine, digest, options);
  } catch (error) {
    const code = codeOf(error);
    if (code === "VERSION_NOT_FOUND" || code.startsWith("OBJECT_")) return undefined;
    throw error;
  }
}
