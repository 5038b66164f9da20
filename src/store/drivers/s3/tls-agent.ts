import { readFileSync } from "node:fs";
import { Agent, type AgentOptions } from "node:https";
import type { Duplex } from "node:stream";
import type { Clock } from "../../../base/clock.ts";
import { AetherError } from "../../../base/errors.ts";
import type { S3Tls } from "./s3-settings.ts";

const RELOAD_MS_DEFAULT = 60_000;

interface Certificates {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/**
 * Connections over TLS with certificates from files. When a connection is made and the last look was `reloadMs` ago or
 * longer, the files are read anew; when they cannot be read then, those before stay in use.
 */
export class TlsAgent extends Agent {
  readonly #tls: S3Tls;
  readonly #clock: Clock;
  #certificates: Certificates;
  #readAtMs: number;

  /** Errors: CONFIG_INVALID when a file cannot be read. */
  constructor(tls: S3Tls, clock: Clock, options: AgentOptions) {
    // A session that is resumed would go on with the certificate of before.
    super({ ...options, maxCachedSessions: 0 });
    this.#tls = tls;
    this.#clock = clock;
    this.#certificates = readCertificates(tls);
    this.#readAtMs = clock.elapsedMs();
  }

  override createConnection(
    options: AgentOptions,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): Duplex | null | undefined {
    const { reloadMs = RELOAD_MS_DEFAULT } = this.#tls;
    if (this.#clock.elapsedMs() - this.#readAtMs >= reloadMs) {
      this.#readAtMs = this.#clock.elapsedMs();
      try {
        this.#certificates = readCertificates(this.#tls);
      } catch {
        // They are being written: those before do until the next look.
      }
    }
    return super.createConnection({ ...options, ...this.#certificates }, callback);
  }
}

function readCertificates({ caFile, certFile, keyFile }: S3Tls): Certificates {
  return {
    ...(caFile === undefined ? {} : { ca: read(caFile) }),
    ...(certFile === undefined ? {} : { cert: read(certFile) }),
    ...(keyFile === undefined ? {} : { key: read(keyFile) }),
  };
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new AetherError("CONFIG_INVALID", `the certificate file ${file} cannot be read`, { cause });
  }
}
