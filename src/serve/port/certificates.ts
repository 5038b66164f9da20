/** The certificate of a port, read anew when its files change. */
import { readFile } from "node:fs/promises";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import { AetherError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Clock } from "../../base/clock.ts";

/** Files in PEM, and how often they are looked at. */
export interface PortTls {
  /** Authorities: only clients that one of them certifies are let in. undefined: any client. */
  readonly caFile: string | undefined;
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
  readonly reloadMs: number;
}

/** Certificate, key and authorities as they are on disk now. Errors: CONFIG_INVALID when they are missing or do not fit. */
export async function readCertificates(files: PortTls): Promise<SecureContextOptions> {
  const read = async (file: string | undefined): Promise<Buffer | undefined> =>
    file === undefined ? undefined : await readFile(file);
  try {
    const [ca, cert, key] = await Promise.all([
      read(files.caFile),
      read(files.certFile),
      read(files.keyFile),
    ]);
    const context = { ...(ca === undefined ? {} : { ca }), cert, key, minVersion: "TLSv1.2" as const };
    createSecureContext(context);
    return context;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const names = [files.certFile, files.keyFile, files.caFile].filter((name) => name !== undefined);
    throw new AetherError("CONFIG_INVALID", `the certificate (${names.join(", ")}) cannot be used: ${why}`, {
      cause: error,
    });
  }
}

/**
 * Reads the files again and again until `signal` aborts, and tells of contents that are new. Files that do not fit, such as
 * a certificate whose key is not written yet, are logged, and what was used stays.
 */
export async function watchCertificates(
  files: PortTls,
  first: SecureContextOptions,
  parts: { readonly clock: Clock; readonly log: Log; readonly signal: AbortSignal },
  changed: (context: SecureContextOptions) => void,
): Promise<void> {
  const { clock, log, signal } = parts;
  let used = printOf(first);
  for (;;) {
    await clock.sleep(files.reloadMs, signal).catch(() => undefined);
    if (signal.aborted) return;
    try {
      const context = await readCertificates(files);
      if (printOf(context) === used) continue;
      changed(context);
      used = printOf(context);
      log.info({ certificate: files.certFile }, "certificates read anew");
    } catch (error) {
      log.warn({ err: error }, "new certificates cannot be used: those before stay");
    }
  }
}

function printOf({ ca, cert, key }: SecureContextOptions): string {
  return [ca, cert, key].map((part) => (part as Buffer | undefined)?.toString("base64") ?? "").join("|");
}
