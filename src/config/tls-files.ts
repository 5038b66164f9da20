import { isAbsolute, join } from "node:path";
import { AetherError } from "../base/errors.ts";
import type { Config } from "./schema.ts";

/** Files in PEM. */
export interface TlsFiles {
  /** Authorities; undefined: a client trusts the system's, a server lets any client in. */
  readonly caFile: string | undefined;
  /** The own certificate with what leads up to its authority, and its key: both or none. */
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
}

/**
 * Where certificates lie, or undefined without --tls_enable. A server has a certificate: `tls.crt` and `tls.key` of
 * --tls_cert_path when nothing else is said. Errors: CONFIG_INVALID when one of certificate and key is missing.
 */
export function tlsFilesOf(config: Config, role: "server" | "client"): TlsFiles | undefined {
  if (!config.tlsEnable) return undefined;
  const { tlsCertPath: folder, tlsCaFile, tlsCertFile, tlsKeyFile } = config;
  const byDefault = (name: string): string | undefined =>
    role === "server" && folder !== undefined ? name : undefined;
  const locate = (file: string | undefined): string | undefined => locatedIn(folder, file);
  const certFile = locate(tlsCertFile ?? byDefault("tls.crt"));
  const keyFile = locate(tlsKeyFile ?? byDefault("tls.key"));
  if ((certFile === undefined) !== (keyFile === undefined) || (role === "server" && certFile === undefined)) {
    throw new AetherError(
      "CONFIG_INVALID",
      "--tls_enable wants a certificate and its key: give --tls_cert_file and --tls_key_file",
    );
  }
  return { caFile: locate(tlsCaFile), certFile, keyFile };
}

/** Where the certificates for the way to an S3 server lie. Errors: CONFIG_INVALID when one of certificate and key is missing. */
export function s3TlsFilesOf(config: Config): TlsFiles {
  const { s3TlsCertPath: folder, s3TlsCaFile, s3TlsCertFile, s3TlsKeyFile } = config;
  if ((s3TlsCertFile === undefined) !== (s3TlsKeyFile === undefined)) {
    const text =
      "a certificate wants its key: give both --storage_s3_tls_cert_file and --storage_s3_tls_key_file";
    throw new AetherError("CONFIG_INVALID", text);
  }
  return {
    caFile: locatedIn(folder, s3TlsCaFile),
    certFile: locatedIn(folder, s3TlsCertFile),
    keyFile: locatedIn(folder, s3TlsKeyFile),
  };
}

function locatedIn(folder: string | undefined, file: string | undefined): string | undefined {
  return file === undefined || folder === undefined || isAbsolute(file) ? file : join(folder, file);
}
