/** One hub: its services by gRPC, and plain HTTP for bulk bytes. Nothing is opened before the first call. */
import type { DescService } from "@bufbuild/protobuf";
import { createClient, type Client as RpcClient } from "@connectrpc/connect";
import { Pool } from "undici";
import { CatalogAPI } from "../../gen/aetherfs/hub/v1/catalog_pb.ts";
import { IngestAPI } from "../../gen/aetherfs/hub/v1/ingest_pb.ts";
import { MaintenanceAPI } from "../../gen/aetherfs/hub/v1/maintenance_pb.ts";
import { VersionAPI } from "../../gen/aetherfs/hub/v1/version_pb.ts";
import { openTransport, type RpcTransport } from "../../rpc/transport.ts";
import type { HubAddress } from "./hub-address.ts";

/** Certificates in PEM. */
export interface HubTls {
  /** Authorities to trust; undefined: the system's. */
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

const SOCKETS_MAX = 8;
/** Of small questions: they wait for no bulk bytes. */
const QUESTION_SOCKETS_MAX = 2;
const CONNECT_TIMEOUT_MS = 10_000;
const ANSWER_TIMEOUT_MS = 120_000;

/** The ways to one hub. Close it when nothing is under way. */
export class HubEndpoint {
  /** `host:port`, for messages. */
  readonly authority: string;
  readonly catalog: RpcClient<typeof CatalogAPI>;
  readonly versions: RpcClient<typeof VersionAPI>;
  readonly ingest: RpcClient<typeof IngestAPI>;
  readonly maintenance: RpcClient<typeof MaintenanceAPI>;
  readonly pool: Pool;
  /** For what is small, and must have its answer soon however much is on its way. */
  readonly questions: Pool;
  readonly #transport: RpcTransport;

  constructor({ origin, authority }: HubAddress, tls: HubTls | undefined) {
    this.authority = authority;
    this.#transport = openTransport({ origin, tls });
    const rpc = <S extends DescService>(service: S): RpcClient<S> =>
      createClient(service, this.#transport.transport);
    this.catalog = rpc(CatalogAPI);
    this.versions = rpc(VersionAPI);
    this.ingest = rpc(IngestAPI);
    this.maintenance = rpc(MaintenanceAPI);
    const open = (connections: number): Pool =>
      new Pool(origin, {
        connections,
        connect: { timeout: CONNECT_TIMEOUT_MS, ...tls },
        headersTimeout: ANSWER_TIMEOUT_MS,
        bodyTimeout: ANSWER_TIMEOUT_MS,
      });
    this.pool = open(SOCKETS_MAX);
    this.questions = open(QUESTION_SOCKETS_MAX);
  }

  async close(): Promise<void> {
    this.#transport.close();
    await Promise.all([this.pool.destroy(), this.questions.destroy()]);
  }
}
