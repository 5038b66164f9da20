import { S3Client, type S3ClientConfig } from "@aws-sdk/client-s3";
import type { Clock } from "../../../base/clock.ts";
import { AetherError } from "../../../base/errors.ts";
import type { S3Settings, S3Timeouts } from "./s3-settings.ts";
import { TlsAgent } from "./tls-agent.ts";

/** An import of node:http would load Node's own fetch and WebSocket with it: 50 ms of CPU time for each command. */
const { Agent } = process.getBuiltinModule("node:http");

/** Where buckets are that nobody says the region of; AWS says where they really are. */
const REGION_DEFAULT = "us-east-1";

const TIMEOUTS_DEFAULT: S3Timeouts = { connectMs: 5000, idleMs: 30_000, requestMs: 60_000 };

/** The timeouts of the settings. */
export function timeoutsOf(settings: S3Settings): S3Timeouts {
  return settings.timeouts ?? TIMEOUTS_DEFAULT;
}

/**
 * The SDK's client. It tries once: what to repeat is decided where it is known what was asked for (layers/retry.ts). It sums
 * nothing up: the names of blocks are digests, which the server compares, and so does whoever reads.
 * Errors: CONFIG_INVALID for an endpoint that is no URL, and certificates that cannot be read.
 */
export async function s3ClientOf(settings: S3Settings, clock: Clock): Promise<S3Client> {
  const { endpoint, credentials, pathStyle = "auto", tls = {} } = settings;
  const { connectMs, idleMs } = timeoutsOf(settings);
  const agentOptions = { keepAlive: true, scheduling: "lifo" } as const;
  const config: S3ClientConfig = {
    maxAttempts: 1,
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    expectContinueHeader: false,
    followRegionRedirects: true,
    requestHandler: {
      httpAgent: new Agent(agentOptions),
      httpsAgent: new TlsAgent(tls, clock, agentOptions),
      connectionTimeout: connectMs,
      socketTimeout: idleMs,
      logger: SILENT,
    },
    logger: SILENT,
    ...(endpoint === undefined ? {} : { endpoint: urlOf(endpoint) }),
    ...(credentials === undefined ? {} : { credentials }),
    region: settings.region ?? (await regionOfSurroundings()),
  };
  const client = new S3Client(config);
  // Whether the endpoint is AWS's is known only when the SDK has read AWS's shared files, with the first request.
  const forcePathStyle = (): Promise<boolean> => Promise.resolve(isPathStyle(pathStyle, client));
  Object.assign(client.config, { forcePathStyle });
  return client;
}

/** The region of AWS's variables and shared files. */
async function regionOfSurroundings(): Promise<string> {
  const client = new S3Client({});
  try {
    return await client.config.region();
  } catch {
    return REGION_DEFAULT;
  } finally {
    client.destroy();
  }
}

const nothing = (): void => undefined;
const SILENT = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing };

function isPathStyle(style: "auto" | "path" | "virtual", client: S3Client): boolean {
  if (style !== "auto") return style === "path";
  return (client.config as { isCustomEndpoint?: boolean }).isCustomEndpoint === true;
}

function urlOf(endpoint: string): string {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (url !== undefined && /^https?:$/.test(url.protocol) && url.username === "" && url.search === "") {
    return endpoint;
  }
  throw new AetherError("CONFIG_INVALID", "the endpoint of S3 is no URL of the form https://host[:port]");
}
