import { createServer, type Server, type TLSSocket } from "node:tls";
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import { loadCertificates, type Certificates, type PortTls } from "./certificates.ts";
import type { PortLimits } from "./port-limits.ts";

/** Two readings of the files this far apart must agree before they count: they are written one after another. */
const SETTLE_MS = 200;

/** What a gate needs. */
export interface TlsGateOptions {
  readonly files: PortTls;
  readonly limits: PortLimits;
  readonly clock: Clock;
  readonly log: Log;
  /** Gets every connection whose handshake is done, and whether it speaks HTTP/2. */
  readonly pass: (socket: TLSSocket, isHttp2: boolean) => void;
}

/** Encrypts connections that are handed over. */
export class TlsGate {
  readonly server: Server;
  readonly #options: TlsGateOptions;
  #current: Certificates;

  private constructor(options: TlsGateOptions, certificates: Certificates) {
    const { files, limits, log, pass } = options;
    this.#options = options;
    this.#current = certificates;
    this.server = createServer({
      ...certificates,
      minVersion: "TLSv1.2",
      ALPNProtocols: ["h2", "http/1.1"],
      requestCert: files.caFile !== undefined,
      rejectUnauthorized: files.caFile !== undefined,
      handshakeTimeout: limits.helloMs,
    });
    this.server.on("secureConnection", (socket) => {
      socket.on("error", (error) => {
        log.debug({ err: error }, "a connection broke off");
      });
      pass(socket, socket.alpnProtocol === "h2");
    });
    this.server.on("tlsClientError", (error, socket) => {
      log.debug({ err: error }, "a TLS handshake failed");
      socket.destroy();
    });
  }

  /** Errors: CONFIG_INVALID. */
  static async open(options: TlsGateOptions): Promise<TlsGate> {
    return new TlsGate(options, await loadCertificates(options.files));
  }

  /**
   * Uses what the files hold now, for connections from now on. Errors: CONFIG_INVALID when they are not usable; those
   * before stay in use then.
   */
  async reload(): Promise<void> {
    const { log } = this.#options;
    const certificates = await this.#read();
    if (certificates.sessionIdContext === this.#current.sessionIdContext) return;
    this.server.setSecureContext({ ...certificates, minVersion: "TLSv1.2" });
    this.#current = certificates;
    log.info({}, "the certificates were read anew");
  }

  /** Reloads whenever the files have changed, looking every `everyMs`, until the signal aborts. */
  async watch(everyMs: number, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    for (;;) {
      await clock.sleep(everyMs, signal).catch(() => undefined);
      if (signal.aborted) return;
      try {
        await this.reload();
      } catch (error) {
        log.warn({ err: error }, "the certificates changed and are not usable: those before stay in use");
      }
    }
  }

  /** The files, once they have stopped changing. */
  async #read(): Promise<Certificates> {
    const { files, clock } = this.#options;
    let seen = await loadCertificates(files);
    while (seen.sessionIdContext !== this.#current.sessionIdContext) {
      await clock.sleep(SETTLE_MS);
      const again = await loadCertificates(files);
      if (again.sessionIdContext === seen.sessionIdContext) return again;
      seen = again;
    }
    return seen;
  }
}
