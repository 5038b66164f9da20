/** The way to a hub, or to the first of several on one store that answers. docs/protocol.md */
import { ConnectError } from "@connectrpc/connect";
import type { Dispatcher } from "undici";
import { must } from "../../base/assert.ts";
import type { Clock } from "../../base/clock.ts";
import type { ErrorCode } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import { ErrorDetailSchema } from "../../gen/aetherfs/hub/v1/error_pb.ts";
import { parseHubAddresses } from "./hub-address.ts";
import { HubEndpoint, type HubTls } from "./hub-endpoint.ts";
import { problemError } from "./problem.ts";
import { hubError, patiently, unavailable, type Patience } from "./retry.ts";

/** Which hub, and what the connection is made of. */
export interface ConnectionOptions {
  /** `host[:port]`, or a URL; several with commas between them: hubs on one store. */
  readonly address: string;
  /** Present: TLS, whatever the address says. */
  readonly tls: HubTls | undefined;
  /** How long a hub that was there is waited for, in milliseconds. */
  readonly waitMs: number;
  readonly clock: Clock;
  readonly random: Random;
}

/** A request of bulk bytes. */
export interface BulkRequest {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** Its answer is small, and waits for no other's bytes. */
  readonly isSmall?: boolean | undefined;
}

/** Times that one call is made to a hub before it goes to the next: one connection may break, and what a hub knows is lost elsewhere. */
const TRIES_MAX = 2;
/** What another hub may do better at. */
const ELSEWHERE: ReadonlySet<ErrorCode> = new Set(["HUB_UNAVAILABLE", "STORE_UNAVAILABLE"]);
/** An error's body is read up to here. */
const PROBLEM_BYTES_MAX = 64 * 1024;
/** What undici's errors are called that mean: nobody answers. */
const NETWORK_ERROR =
  /^(UND_ERR_(SOCKET|CONNECT_TIMEOUT|HEADERS_TIMEOUT|BODY_TIMEOUT|RES_CONTENT_LENGTH_MISMATCH)|E[A-Z]+|HPE_|ERR_|CERT_|DEPTH_|SELF_|UNABLE_)/;

/** A connection: nothing is opened before the first call. All calls go to one hub, until it does not answer. */
export class HubConnection {
  /** All hubs, as `host:port` with commas between them. */
  readonly name: string;
  readonly clock: Clock;
  readonly #endpoints: readonly HubEndpoint[];
  readonly #patience: Omit<Patience, "hub">;
  #current: HubEndpoint;
  #wasReached = false;

  /** Errors: ARGUMENT_INVALID. */
  constructor(options: ConnectionOptions) {
    const { address, tls, waitMs, clock, random } = options;
    const addresses = parseHubAddresses(address, tls !== undefined);
    this.name = addresses.map(({ authority }) => authority).join(",");
    this.clock = clock;
    this.#endpoints = addresses.map((each) => new HubEndpoint(each, tls));
    this.#current = must(this.#endpoints[0], "there is an address");
    // Who never answered is not waited for: a wrong address is the likeliest reason.
    const patienceMs = (): number => (this.#wasReached ? waitMs : 0);
    this.#patience = { clock, random, waitMs: patienceMs };
  }

  /** `host:port` of the hub that is asked now, for messages. */
  get hub(): string {
    return this.#current.authority;
  }

  get catalog(): HubEndpoint["catalog"] {
    return this.#current.catalog;
  }

  get versions(): HubEndpoint["versions"] {
    return this.#current.versions;
  }

  get ingest(): HubEndpoint["ingest"] {
    return this.#current.ingest;
  }

  get maintenance(): HubEndpoint["maintenance"] {
    return this.#current.maintenance;
  }

  /**
   * Calls until there is an answer, as patiently(); `work` asks the hub that is current when it begins, and learns how often it was
   * called before. All hubs are asked before there is a pause. Errors: as patiently(), and those of the hubs.
   */
  async call<T>(signal: AbortSignal | undefined, work: (attempt: number) => Promise<T>): Promise<T> {
    let attempts = 0;
    return await patiently({ ...this.#patience, hub: this.name }, signal, async () => {
      const tried = new Map<HubEndpoint, number>();
      for (;;) {
        const endpoint = this.#current;
        try {
          const result = await work(attempts++);
          this.#wasReached = true;
          return result;
        } catch (error) {
          signal?.throwIfAborted();
          // Also an error is an answer.
          const isAnswer = error instanceof ConnectError && error.findDetails(ErrorDetailSchema).length > 0;
          if (isAnswer) this.#wasReached = true;
          if (!this.#hasOthers || !ELSEWHERE.has(hubError(error, endpoint.authority).code)) throw error;
          const tries = (tried.get(endpoint) ?? 0) + 1;
          tried.set(endpoint, tries);
          if (isAnswer || tries === TRIES_MAX) this.#leave(endpoint);
          if (tried.get(this.#current) === TRIES_MAX) throw error;
        }
      }
    });
  }

  /** As call(), for a request of bulk bytes; `read` takes the body of a success. */
  bulk<T>(
    request: BulkRequest,
    signal: AbortSignal | undefined,
    read: (response: Dispatcher.ResponseData) => Promise<T>,
  ): Promise<T> {
    return this.call(signal, async () => {
      const { pool, questions, authority } = this.#current;
      try {
        const { headers, isSmall = false, ...rest } = request;
        const response = await (isSmall ? questions : pool).request({
          ...rest,
          headers: { ...headers },
          signal: signal ?? null,
        });
        if (response.statusCode < 300) return await read(response);
        throw problemError(authority, response.statusCode, await readText(response));
      } catch (error) {
        const code = error instanceof Error && "code" in error ? String(error.code) : "";
        throw NETWORK_ERROR.test(code) ? unavailable(authority, code, error) : error;
      }
    });
  }

  get #hasOthers(): boolean {
    return this.#endpoints.length > 1;
  }

  /** The next hub is asked from now on, unless another call has left this one already. */
  #leave(endpoint: HubEndpoint): void {
    if (this.#current !== endpoint) return;
    const next = (this.#endpoints.indexOf(endpoint) + 1) % this.#endpoints.length;
    this.#current = must(this.#endpoints[next], "the index is within the list");
  }

  /** Nothing may be under way. */
  async close(): Promise<void> {
    await Promise.all(this.#endpoints.map((endpoint) => endpoint.close()));
  }
}

async function readText({ body }: Dispatcher.ResponseData): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of body as AsyncIterable<Uint8Array>) {
    bytes += part.byteLength;
    if (bytes > PROBLEM_BYTES_MAX) break;
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}
