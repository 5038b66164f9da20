/** The settings of `aetherfs run`: those of the first AetherFS, under the names that they had, and a few more. */
import { isAbsolute, join } from "node:path";
import { flag, list, optional, same, single, type Environment, type Setting } from "./setting.ts";
import { MiB } from "../base/limits.ts";
import { parseChoice, parseCount, parseDuration, parseSize } from "./values.ts";

const PORT_MAX = 65_535;
const DAY_SECONDS = 24 * 3600;
const SCRUB_BYTES_DEFAULT = 8 * MiB;
const commands = ["run"];

/** XDG Base Directory Specification: a relative XDG_DATA_HOME counts as unset. */
function dataDirOf(environment: Environment): string | undefined {
  const { XDG_DATA_HOME: data = "", HOME: home = "" } = environment;
  if (isAbsolute(data)) return join(data, "aetherfs");
  return isAbsolute(home) ? join(home, ".local", "share", "aetherfs") : undefined;
}

function text(name: string, placeholder: string, help: string): Setting<string | undefined> {
  return optional({ flag: name, placeholder, commands, help }, same);
}

function port(name: string, fallback: number, help: string): Setting<number> {
  return single(
    { flag: name, placeholder: "N", commands, fallback: String(fallback), help },
    (value) => parseCount(value, 0, PORT_MAX),
    () => fallback,
  );
}

function seconds(name: string, fallback: number, help: string, of?: readonly string[]): Setting<number> {
  const words = { flag: name, placeholder: "DURATION", fallback: `${fallback}s`, help };
  return single(of === undefined ? words : { ...words, commands: of }, parseDuration, () => fallback);
}

/** As seconds(), of `run`, with hours as the default. */
function duration(name: string, fallback: number, help: string): Setting<number> {
  const words = { flag: name, placeholder: "DURATION", commands, fallback: `${fallback / 3600}h`, help };
  return single(words, parseDuration, () => fallback);
}

/** RFC 1123 §2.1 */
function parseDomain(value: string): string {
  const domain = value.toLowerCase();
  if (/^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/.test(domain))
    return domain;
  throw new Error("it is not the name of a domain, such as s3.example.com");
}

/** How the hub's port is encrypted; of the other commands, how they speak to a hub. */
export const TLS_SETTINGS = {
  tlsEnable: flag({ flag: "tls_enable", help: "encrypt: the hub's port, or the way to a hub" }),
  tlsCertPath: optional(
    { flag: "tls_cert_path", placeholder: "DIR", help: "where certificates lie that have no full path" },
    same,
  ),
  tlsCaFile: optional(
    {
      flag: "tls_ca_file",
      placeholder: "FILE",
      help: "authorities to trust: a hub lets only clients in that one of them certifies",
      fallback: "a client: the system's; a hub: any client",
    },
    same,
  ),
  tlsCertFile: optional({ flag: "tls_cert_file", placeholder: "FILE", help: "own certificate" }, same),
  tlsKeyFile: optional({ flag: "tls_key_file", placeholder: "FILE", help: "its key" }, same),
} as const;

/** What `aetherfs run` takes. */
export const RUN_SETTINGS = {
  port: port("port", 8080, "the one port for everything; 0: any that is free"),
  portShared: flag({
    flag: "port_shared",
    commands,
    help: "several hubs of one store on this machine take the same ports, and the system gives each connection to one of them: for readers, a push needs one hub for all its connections (Linux)",
  }),
  bind: text("bind", "ADDRESS", "the address to listen on; all of the machine's when not given"),
  tlsReloadInterval: seconds("tls_reload_interval", 60, "how often certificates are read anew", commands),
  s3Port: optional(
    {
      flag: "s3_port",
      placeholder: "N",
      commands,
      help: "the S3 API on a port of its own too, with buckets in paths and in the host's name; 0: any that is free",
    },
    (value) => parseCount(value, 0, PORT_MAX),
  ),
  s3Domains: list(
    {
      flag: "s3_domain",
      placeholder: "DOMAIN",
      commands,
      help: "hosts of the form BUCKET.DOMAIN are buckets of the S3 API, on every port",
    },
    parseDomain,
  ),
  s3KeysFile: text(
    "s3_keys_file",
    "FILE",
    "the access keys of the S3 API; with it, only signed requests are answered",
  ),
  shutdownTimeout: seconds("shutdown_timeout", 30, "how long what is under way may take to end", commands),
  pruneInterval: duration(
    "prune_interval",
    DAY_SECONDS,
    "how often the hub removes from the store what no version needs; 0: never",
  ),
  pruneGrace: duration("prune_grace", DAY_SECONDS, "how long what nothing needs stays all the same"),
  scrubRate: single(
    {
      flag: "scrub_rate",
      placeholder: "SIZE",
      commands,
      fallback: "8MiB",
      help: "bytes a second of the store that are read in the background to find damage; 0: none",
    },
    parseSize,
    () => SCRUB_BYTES_DEFAULT,
  ),
  logFormat: single<"json" | "text">(
    {
      flag: "log_format",
      placeholder: "json|text",
      commands,
      fallback: "json",
      help: "the form of log lines on stderr",
    },
    (value) => parseChoice(value, ["json", "text"]),
    () => "json",
  ),
  storageDriver: single<"file" | "memory" | "s3">(
    {
      flag: "storage_driver",
      placeholder: "file|memory|s3",
      commands,
      fallback: "file",
      help: "where datasets are kept",
    },
    (value) => parseChoice(value, ["file", "memory", "s3"]),
    () => "file",
  ),
  storageFilePath: single(
    {
      flag: "storage_file_path",
      placeholder: "DIR",
      commands,
      fallback: "$XDG_DATA_HOME/aetherfs, else $HOME/.local/share/aetherfs",
      help: "the folder of --storage_driver file",
    },
    (value): string | undefined => value,
    dataDirOf,
  ),
} as const;

/** What the first AetherFS's `run` takes and this one does not do yet: see unsupportedSettings(). */
export const FUTURE_SETTINGS = {
  agentEnable: flag({
    flag: "agent_enable",
    commands,
    help: "serve the agent's interface; not supported yet",
  }),
  agentShutdownEnable: flag({
    flag: "agent_shutdown_enable",
    commands,
    help: "let a client of the agent's interface end it; not supported yet",
  }),
  webEnable: flag({ flag: "web_enable", commands, help: "serve the web UI; not supported yet" }),
  authType: single<"none" | "basic" | "oidc">(
    {
      flag: "auth_type",
      placeholder: "none|basic|oidc",
      commands,
      fallback: "none",
      help: "who may do what; only none, which is everybody everything, is supported yet",
    },
    (value) => parseChoice(value, ["none", "basic", "oidc"]),
    () => "none",
  ),
  oidcIssuerServerUrl: text("oidc_issuer_server_url", "URL", "the issuer of --auth_type oidc"),
  oidcIssuerCertificateAuthority: text(
    "oidc_issuer_certificate_authority",
    "FILE",
    "the authority of its certificate",
  ),
} as const;
