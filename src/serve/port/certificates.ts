/** The certificates of a port: read from files, and read anew when these change. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import { AetherError } from "../../base/errors.ts";

/** Files in PEM, and how often they are looked at. */
export interface PortTls {
  /** The own certificate, with what leads up to its authority, and its key. */
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
  /** Authorities: only clients that one of them certifies are let in. undefined: any client. */
  readonly caFile: string | undefined;
  /** Milliseconds between looks; undefined: only Port.reloadTls() looks. */
  readonly reloadMs?: number | undefined;
}

/** What node:tls takes of them. */
export interface Certificates {
  readonly cert: Buffer | undefined;
  readonly key: Buffer | undefined;
  readonly ca: Buffer | undefined;
  /** Differs whenever a file does: a session that began under other certificates is not resumed. */
  readonly sessionIdContext: string;
}

/** Bytes that OpenSSL grants such a context. */
const CONTEXT_BYTES = 32;

/** Reads the files. Errors: CONFIG_INVALID when one is missing, or is none, or key and certificate do not belong together. */
export async function loadCertificates({ certFile, keyFile, caFile }: PortTls): Promise<Certificates> {
  const names = [certFile, keyFile, caFile].filter((name) => name !== undefined);
  try {
    const [cert, key, ca] = await Promise.all([certFile, keyFile, caFile].map(readOptional));
    createSecureContext({ cert, key, ca });
    const hash = createHash("sha256");
    for (const part of [cert, key, ca])
      hash.update(
        createHash("sha256")
          .update(part ?? "")
          .digest(),
      );
    return { cert, key, ca, sessionIdContext: hash.digest("hex").slice(0, CONTEXT_BYTES) };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const message = `the certificates (${names.join(", ")}) cannot be used: ${why}`;
    throw new AetherError("CONFIG_INVALID", message, { cause });
  }
}

async function readOptional(file: string | undefined): Promise<Buffer | undefined> {
  return file === undefined ? undefined : readFile(file);
}
