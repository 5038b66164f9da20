/** How a store in S3 is reached, as the settings and the environment say it. docs/s3.md */
import { AetherError } from "../base/errors.ts";
import type { Config } from "../config/schema.ts";
import type { Environment } from "../config/setting.ts";
import { s3TlsFilesOf } from "../config/tls-files.ts";
import type { S3Settings } from "../store/drivers/all.ts";

type Credentials = NonNullable<S3Settings["credentials"]>;

/**
 * The settings of S3. What they leave open (credentials, region, endpoint) the SDK finds in AWS's variables and shared files, and
 * on AWS's machines. Errors: CONFIG_INVALID.
 */
export function s3SettingsOf(config: Config, environment: Environment): S3Settings {
  const endpoint = endpointOf(config);
  return {
    endpoint,
    region: config.s3Region,
    credentials: credentialsOf(config, environment, endpoint),
    pathStyle: config.s3PathStyle,
    singleWriter: config.s3SingleWriter,
    tls: { ...s3TlsFilesOf(config), reloadMs: config.s3TlsReloadInterval * 1000 },
  };
}

function endpointOf({ s3Endpoint: endpoint, s3TlsEnable: isTls }: Config): string | undefined {
  if (endpoint === undefined) return undefined;
  const isUrl = endpoint.includes("://");
  if (isUrl && isTls && !/^https:/i.test(endpoint)) {
    throw new AetherError(
      "CONFIG_INVALID",
      "--storage_s3_tls_enable wants https, and --storage_s3_endpoint says otherwise: leave one of them out",
    );
  }
  const url = isUrl ? endpoint : `${isTls ? "https" : "http"}://${endpoint}`;
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const rest =
    parsed === undefined ? "" : `${parsed.username}${parsed.password}${parsed.search}${parsed.hash}`;
  if (parsed !== undefined && /^https?:$/.test(parsed.protocol) && rest === "") return url;
  throw new AetherError("CONFIG_INVALID", "--storage_s3_endpoint is HOST[:PORT], or http(s)://HOST[:PORT]");
}

/** Both of the settings, else MinIO's for a server that is not AWS's, unless AWS's say who is asking; else what the SDK finds. */
function credentialsOf(
  config: Config,
  environment: Environment,
  endpoint: string | undefined,
): Credentials | undefined {
  const { s3AccessKeyId: accessKeyId, s3SecretAccessKey: secretAccessKey } = config;
  if (accessKeyId !== undefined && secretAccessKey !== undefined) return { accessKeyId, secretAccessKey };
  if (accessKeyId !== undefined || secretAccessKey !== undefined) {
    const text = "an access key and its secret belong together: give both --storage_s3_access_key_id and";
    throw new AetherError("CONFIG_INVALID", `${text} --storage_s3_secret_access_key, or none`);
  }
  const has = (name: string): boolean => (environment[name] ?? "") !== "";
  const isElsewhere = endpoint !== undefined || has("AWS_ENDPOINT_URL_S3") || has("AWS_ENDPOINT_URL");
  if (!isElsewhere || has("AWS_ACCESS_KEY_ID") || has("AWS_PROFILE")) return undefined;
  return (
    pairIn(environment, "MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD") ??
    pairIn(environment, "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY")
  );
}

function pairIn(environment: Environment, id: string, secret: string): Credentials | undefined {
  const { [id]: accessKeyId = "", [secret]: secretAccessKey = "" } = environment;
  return accessKeyId === "" || secretAccessKey === "" ? undefined : { accessKeyId, secretAccessKey };
}
