/** The S3 API of a hub: below /s3 of its port, below the domains of buckets, and on a port of its own. */
import type { HttpHandler } from "../serve/http-handler.ts";
import { openPort, type Port, type PortOptions } from "../serve/port/one-port.ts";
import type { GrpcHandler } from "../serve/port/port-parts.ts";
import { bucketOfHost, hostOf } from "../serve/s3/s3-target.ts";
import { createS3 } from "../serve/s3/s3.ts";
import type { Services } from "../serve/services.ts";
import { FileKeys } from "./s3-keys.ts";

/** How a hub's S3 API is reached. */
export interface S3ApiOptions {
  /** A port of its own; 0: any that is free; undefined: none. */
  readonly port: number | undefined;
  /** In lower case. */
  readonly domains: readonly string[];
  /** undefined: requests are answered that nobody signed. */
  readonly keysFile: string | undefined;
}

/** An S3 API that answers. */
export interface S3Api {
  /** Of what lies below /s3. */
  readonly http: HttpHandler;
  /** The same handler, but for hosts whose name begins with a bucket. */
  readonly besideBuckets: (otherwise: HttpHandler) => HttpHandler;
  /** Opens its own port, when it has one. */
  readonly listen: (options: Omit<PortOptions, "http" | "grpc" | "port">) => Promise<Port | undefined>;
}

/** On a port of its own these are buckets always: they lead to no other machine. RFC 6761 §6.3 */
const LOCAL_DOMAINS = ["localhost"];
/** RFC 9110 §15.5.4 is not for gRPC, which has a status for what is not there: UNIMPLEMENTED. */
const UNIMPLEMENTED = "12";

/** `meter` counts what is answered. Errors: CONFIG_INVALID. */
export async function openS3Api(
  services: Services,
  { port, domains, keysFile }: S3ApiOptions,
  meter: (handler: HttpHandler) => HttpHandler,
): Promise<S3Api> {
  const keys = keysFile === undefined ? undefined : await FileKeys.open(keysFile, services.log);
  void keys?.watch(services.engine.clock, services.stopping);
  const at = (base: string, names: readonly string[]): HttpHandler =>
    meter(createS3({ services, keys, place: { base, domains: names, domainsElsewhere: LOCAL_DOMAINS } }));
  const atRoot = at("", domains);
  return {
    http: at("/s3", []),
    besideBuckets: (otherwise) => (request, response) => {
      const isBucket = bucketOfHost(hostOf(request.headers), domains) !== undefined;
      return (isBucket ? atRoot : otherwise)(request, response);
    },
    listen: async (options) => {
      if (port === undefined) return undefined;
      const http = at("", [...domains, ...LOCAL_DOMAINS]);
      return openPort({ ...options, port, http, grpc: nothingThere });
    },
  };
}

const nothingThere: GrpcHandler = (stream) => {
  const headers = { ":status": 200, "content-type": "application/grpc", "grpc-status": UNIMPLEMENTED };
  stream.respond(headers, { endStream: true });
};
