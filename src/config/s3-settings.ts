/** The settings of stores in S3: of `run --storage_driver s3`, and of every command with `--store s3://…`. */
import { flag, optional, same, single, type Environment, type Setting } from "./setting.ts";
import { parseChoice, parseDuration } from "./values.ts";

const RELOAD_SECONDS = 60;
/** Where the flags are shown: they would fill the help of every command. */
const helpOf = ["run"];

function text(name: string, placeholder: string, help: string): Setting<string | undefined> {
  return optional({ flag: name, placeholder, helpOf, help }, same);
}

/** See above. docs/s3.md */
export const S3_SETTINGS = {
  s3Endpoint: text(
    "storage_s3_endpoint",
    "HOST[:PORT]|URL",
    "the S3 server; AWS's, or what AWS_ENDPOINT_URL_S3 says, when not given",
  ),
  s3Bucket: optional(
    {
      flag: "storage_s3_bucket",
      placeholder: "BUCKET",
      commands: ["run"],
      help: "the bucket of --storage_driver s3; it must exist",
    },
    same,
  ),
  s3Prefix: optional(
    {
      flag: "storage_s3_prefix",
      placeholder: "PREFIX",
      commands: ["run"],
      help: "the store of --storage_driver s3 lies below this in the bucket",
    },
    same,
  ),
  s3Region: text("storage_s3_region", "REGION", "the bucket's region; AWS_REGION's when not given"),
  s3AccessKeyId: text(
    "storage_s3_access_key_id",
    "ID",
    "the access key; what AWS's variables and files say when not given",
  ),
  s3SecretAccessKey: text(
    "storage_s3_secret_access_key",
    "SECRET",
    "its secret: better in the variable, since others see the command line",
  ),
  s3PathStyle: single<"auto" | "path" | "virtual">(
    {
      flag: "storage_s3_path_style",
      placeholder: "auto|path|virtual",
      helpOf,
      fallback: "auto",
      help: "the bucket's name in the URL's path, or in the host's name; auto: in the path but for AWS",
    },
    (value) => parseChoice(value, ["auto", "path", "virtual"]),
    () => "auto",
  ),
  s3SingleWriter: flag({
    flag: "storage_s3_single_writer",
    helpOf,
    help: "for servers without conditional writes: only one process at a time may write to the store",
  }),
  s3TlsEnable: flag({
    flag: "storage_s3_tls_enable",
    helpOf,
    help: "https, when the endpoint is no URL",
  }),
  s3TlsCertPath: text(
    "storage_s3_tls_cert_path",
    "DIR",
    "where S3's certificates lie that have no full path",
  ),
  s3TlsCaFile: single(
    {
      flag: "storage_s3_tls_ca_file",
      placeholder: "FILE",
      helpOf,
      fallback: "$AWS_CA_BUNDLE, else the system's",
      help: "authorities to trust",
    },
    (value): string | undefined => value,
    ({ AWS_CA_BUNDLE: bundle = "" }: Environment) => (bundle === "" ? undefined : bundle),
  ),
  s3TlsCertFile: text("storage_s3_tls_cert_file", "FILE", "own certificate, for servers that ask for one"),
  s3TlsKeyFile: text("storage_s3_tls_key_file", "FILE", "its key"),
  s3TlsReloadInterval: single(
    {
      flag: "storage_s3_tls_reload_interval",
      placeholder: "DURATION",
      helpOf,
      fallback: `${RELOAD_SECONDS}s`,
      help: "how often S3's certificates are read anew",
    },
    parseDuration,
    () => RELOAD_SECONDS,
  ),
} as const;
