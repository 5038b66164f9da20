/** The way to one hub: gRPC for control, plain HTTP for bulk bytes. docs/protocol.md */
import type { DescService } from "@bufbuild/protobuf";
import { ConnectError, createClient, type Client as RpcClient } from "@connectrpc/connect";
import { Pool, type Dispatcher } from "undici";
import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import { CatalogAPI } from "../../gen/aetherfs/hub/v1/catalog_pb.ts";
import { ErrorDetailSchema } from "../../gen/aetherfs/hub/v1/error_pb.ts";
import { IngestAPI } from "../../gen/aetherfs/hub/v1/ingest_pb.ts";
import { MaintenanceAPI } from "../../gen/aetherfs/hub/v1/maintenance_pb.ts";
import { VersionAPI } from "../../gen/aetherfs/hub/v1/version_pb.ts";
import { openTransport, type RpcTransport } from "../../rpc/transport.ts";
import { problemError } from "./problem.ts";
import { parseHubAddress } from "./hub-address.ts";
import { patiently, unavailable, type Patience } from "./retry.ts";

/** Certificates in PEM. */
export interface HubTls {
  /** Authorities to trust; undefined: the system's. */
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

/** Which hub, and what the connection is made of. */
export interface ConnectionOptions {
  /** `host[:port]`, or a URL. */
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
}

const SOCKETS_MAX = 8;
const CONNECT_TIMEOUT_MS = 10_000;
const ANSWER_TIMEOUT_MS = 120_000;
/** An error's body is read up to here. */
const PROBLEM_BYTES_MAX = 64 * 1024;
/** What undici's errors are called that mean: nobody answers. */
const NETWORK_ERROR =
  /^(UND_ERR_(SOCKET|CONNECT_TIMEOUT|HEADERS_TIMEOUT|BODY_TIMEOUT|RES_CONTENT_LENGTH_MISMATCH)|E[A-Z]+|HPE_|ERR_|CERT_|DEPTH_|SELF_|UNABLE_)/;

/** A connection: nothing is opened before the first call. */
export class HubConnection {
  /** `host:port`, for messages. */
  readonly hub: string;
  readonly catalog: RpcClient<typeof CatalogAPI>;
  readonly versions: RpcClient<typeof VersionAPI>;
  readonly ingest: RpcClient<typeof IngestAPI>;
  readonly maintenance: RpcClient<typeof MaintenanceAPI>;
  readonly clock: Clock;
  readonly #transport: RpcTransport;
  readonly #pool: Pool;
  readonly #patience: Patience;
  #wasReached = false;

  /** Errors: ARGUMENT_INVALID. */
  constructor(options: ConnectionOptions) {
    const { address, tls, waitMs, clock, random } = options;
    const { origin, authority } = parseHubAddress(address, tls !== undefined);
    this.hub = authority;
    this.clock = clock;
    this.#transport = openTransport({ origin, tls });
    const rpc = <S extends DescService>(service: S): RpcClient<S> =>
      createClient(service, this.#transport.transport);
    this.catalog = rpc(CatalogAPI);
    this.versions = rpc(VersionAPI);
    this.ingest = rpc(IngestAPI);
    this.maintenance = rpc(MaintenanceAPI);
    this.#pool = new Pool(origin, {
      connections: SOCKETS_MAX,
      connect: { timeout: CONNECT_TIMEOUT_MS, ...tls },
      headersTimeout: ANSWER_TIMEOUT_MS,
      bodyTimeout: ANSWER_TIMEOUT_MS,
    });
    // Who never answered is not waited for: a wrong address is the likeliest reason.
    const patienceMs = (): number => (this.#wasReached ? waitMs : 0);
    this.#patience = { clock, random, hub: authority, waitMs: patienceMs };
  }

  /** Calls until there is an answer, as patiently(). */
  async call<T>(signal: AbortSignal | undefined, work: (attempt: number) => Promise<T>): Promise<T> {
    return await patiently(this.#patience, signal, async (attempt) => {
      try {
        const result = await work(attempt);
        this.#wasReached = true;
        return result;
      } catch (error) {
        // Also an error is an answer.
        if (error instanceof ConnectError && error.findDetails(ErrorDetailSchema).length > 0)
          this.#wasReached = true;
        throw error;
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
      try {
        const { headers, ...rest } = request;
        const response = await this.#pool.request({
          ...rest,
          headers: { ...headers },
          signal: signal ?? null,
        });
        if (response.statusCode < 300) return await read(response);
        throw problemError(this.hub, response.statusCode, await readText(response));
      } catch (error) {
        const code = error instanceof Error && "code" in error ? String(error.code) : "";
        throw NETWORK_ERROR.test(code) ? unavailable(this.hub, code, error) : error;
      }
    });
  }

  /** Nothing may be under way. */
  async close(): Promise<void> {
    this.#transport.close();
    await this.#pool.destroy();
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
