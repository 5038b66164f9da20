/** Every setting. docs/configuration.md is generated from this table. */
import { availableParallelism } from "node:os";
import { isAbsolute, join } from "node:path";
import { ANALYZE_VERSIONS_MAX, KiB, MiB } from "../base/limits.ts";
import { DATASET_SETTINGS } from "./dataset-settings.ts";
import { CACHE_SETTINGS } from "./cache-settings.ts";
import { NFS_SETTINGS } from "./nfs-settings.ts";
import { MOUNT_SETTINGS } from "./mount-settings.ts";
import { PRUNE_SETTINGS } from "./prune-settings.ts";
import { FUTURE_SETTINGS, RUN_SETTINGS, TLS_SETTINGS } from "./run-settings.ts";
import { S3_SETTINGS } from "./s3-settings.ts";
import { flag, list, optional, same, single, type Environment, type Setting } from "./setting.ts";
import { orNone, parseChoice, parseCompression, parseCount, parseLabel, parseSize } from "./values.ts";

const MEMORY_BYTES_MIN = 64 * MiB;
const MEMORY_BYTES_DEFAULT = 256 * MiB;
const THREADS_MAX = 256;
const HISTORY_MAX = 100_000;

function parseMemory(text: string): number {
  const bytes = parseSize(text);
  if (bytes < MEMORY_BYTES_MIN) throw new Error(`it is less than ${MEMORY_BYTES_MIN / KiB / KiB}MiB`);
  return bytes;
}

/** XDG Base Directory Specification: a relative XDG_CACHE_HOME counts as unset. */
function cacheDirOf(environment: Environment): string | undefined {
  const { XDG_CACHE_HOME: cache = "", HOME: home = "" } = environment;
  if (isAbsolute(cache)) return join(cache, "aetherfs");
  return isAbsolute(home) ? join(home, ".cache", "aetherfs") : undefined;
}

/** The settings by the names that they have in a Config. */
const SETTINGS = {
  store: optional(
    {
      flag: "store",
      placeholder: "URL",
      help: "work on this store itself, without a hub: file:///DIR, a path, or s3://BUCKET[/PREFIX]",
    },
    same,
  ),
  hub: optional(
    {
      flag: "hub",
      placeholder: "HOST[:PORT],…",
      fallback: "localhost:8080",
      help: "the hub of references that name none; of several on one store, the first that answers",
    },
    same,
  ),
  output: single<"text" | "json">(
    { flag: "output", placeholder: "text|json", fallback: "text", help: "the form of results on stdout" },
    (text) => parseChoice(text, ["text", "json"]),
    () => "text",
  ),
  progress: single<"auto" | "none" | "json">(
    {
      flag: "progress",
      placeholder: "auto|none|json",
      fallback: "auto",
      help: "progress on stderr: a bar if it is a terminal, none, or JSON lines",
    },
    (text) => parseChoice(text, ["auto", "none", "json"]),
    () => "auto",
  ),
  memoryLimit: single(
    {
      flag: "memory_limit",
      placeholder: "SIZE",
      fallback: "256MiB",
      help: "what buffers and caches may hold together",
    },
    parseMemory,
    () => MEMORY_BYTES_DEFAULT,
  ),
  concurrency: single(
    { flag: "concurrency", placeholder: "N", fallback: "the cores", help: "threads that hash and compress" },
    (text) => parseCount(text, 1, THREADS_MAX),
    () => Math.min(availableParallelism(), THREADS_MAX),
  ),
  cacheDir: single(
    {
      flag: "cache_dir",
      placeholder: "DIR",
      fallback: "$XDG_CACHE_HOME/aetherfs, else $HOME/.cache/aetherfs",
      help: "where hints are kept that save work; may be deleted at any time",
    },
    (text): string | undefined => text,
    cacheDirOf,
  ),
  configFile: optional(
    { flag: "config_file", placeholder: "FILE", help: "settings from a .yaml, .yml, .json or .toml file" },
    same,
  ),
  logLevel: single<"error" | "warn" | "info" | "debug">(
    {
      flag: "log_level",
      placeholder: "error|warn|info|debug",
      fallback: "info",
      help: "what is told besides results; debug also shows where a fault of AetherFS itself comes from",
    },
    (text) => parseChoice(text, ["error", "warn", "info", "debug"]),
    () => "info",
  ),
  ...TLS_SETTINGS,
  ...RUN_SETTINGS,
  ...NFS_SETTINGS,
  ...S3_SETTINGS,
  ...FUTURE_SETTINGS,
  ...PRUNE_SETTINGS,
  ...CACHE_SETTINGS,
  ...MOUNT_SETTINGS,
  tags: list(
    {
      flag: "tag",
      short: "t",
      placeholder: "REF",
      commands: ["push", "copy"],
      help: "[@scope/]name:tag to set; of a push the first one's version is what is built on",
    },
    same,
  ),
  blockSize: optional(
    {
      flag: "block-size",
      placeholder: "SIZE",
      commands: ["push"],
      fallback: "32MiB",
      help: "bytes of a stored object",
    },
    parseSize,
  ),
  chunkSize: optional(
    {
      flag: "chunk-size",
      placeholder: "SIZE",
      commands: ["push", "set"],
      fallback: "as the version before, else 64KiB",
      help: "bytes of a chunk, on average; of a dataset none is the default again",
    },
    orNone(parseSize),
  ),
  chunking: optional<"cdc" | "fixed">(
    {
      flag: "chunking",
      placeholder: "cdc|fixed",
      commands: ["push", "set"],
      fallback: "as the version before, else cdc",
      help: "cut by content, or at fixed distances",
    },
    (text) => parseChoice(text, ["cdc", "fixed"]),
  ),
  compression: optional(
    {
      flag: "compression",
      placeholder: "none|zstd[:LEVEL]",
      commands: ["push"],
      fallback: "zstd:3",
      help: "how chunks are stored; LEVEL alone will do",
    },
    parseCompression,
  ),
  sentLimit: optional(
    {
      flag: "sent_limit",
      placeholder: "SIZE",
      commands: ["push"],
      fallback: "1GiB",
      help: "what is kept in --cache_dir of what is pushed to a hub, so that the next push sends only what changed; 0: nothing",
    },
    parseSize,
  ),
  spoolLimit: optional(
    {
      flag: "spool_limit",
      placeholder: "SIZE",
      commands: ["push", "analyze"],
      fallback: "half of what is free there",
      help: "temporary space in --cache_dir that an archive may take, or an analysis",
    },
    parseSize,
  ),
  include: list(
    {
      flag: "include",
      placeholder: "GLOB",
      commands: ["pull"],
      help: "pull only what matches; GLOB without a slash matches in every folder",
    },
    same,
  ),
  exclude: list(
    {
      flag: "exclude",
      placeholder: "GLOB",
      commands: ["push", "pull", "analyze"],
      help: "leave out what matches",
    },
    same,
  ),
  message: optional(
    {
      flag: "message",
      short: "m",
      placeholder: "TEXT",
      commands: ["push", "tag", "rollback", "rm"],
      help: "what the history says about the change",
    },
    same,
  ),
  labels: list(
    {
      flag: "label",
      placeholder: "KEY=VALUE",
      commands: ["push", "tag", "rollback", "rm"],
      help: "a fact for the history",
    },
    parseLabel,
  ),
  dryRun: flag({
    flag: "dry-run",
    commands: ["push", "set", "prune", "copy"],
    help: "only say what would come of it, write nothing",
  }),
  rehash: flag({
    flag: "rehash",
    commands: ["push"],
    help: "read every file, also those that look unchanged",
  }),
  skipUnreadable: flag({
    flag: "skip-unreadable",
    noVariable: true,
    commands: ["push", "analyze"],
    help: "leave out what cannot be read or stored, and list it",
  }),
  into: optional(
    {
      flag: "into",
      placeholder: "DIR",
      commands: ["pull"],
      help: "the folder that becomes the version's tree",
    },
    same,
  ),
  delete: flag({
    flag: "delete",
    noVariable: true,
    commands: ["pull", "copy"],
    help: "remove what the source has not: from the folder of a pull, and tags from the target of a copy",
  }),
  verify: flag({ flag: "verify", commands: ["pull"], help: "read every file again afterwards, and compare" }),
  range: optional(
    {
      flag: "range",
      placeholder: "START-END",
      commands: ["cat"],
      help: "bytes from START to END, END included, as curl -r; START- or -COUNT",
    },
    same,
  ),
  against: optional(
    {
      flag: "against",
      placeholder: "REF",
      commands: ["analyze"],
      help: "the version that PATH would follow: also measure what the update costs",
    },
    same,
  ),
  last: optional(
    {
      flag: "last",
      placeholder: "N",
      commands: ["analyze"],
      help: `compare the newest N versions of a tag, 2 to ${ANALYZE_VERSIONS_MAX}, each with the one before`,
    },
    (text) => parseCount(text, 2, ANALYZE_VERSIONS_MAX),
  ),
  sampleLimit: optional(
    {
      flag: "sample-limit",
      placeholder: "SIZE",
      commands: ["analyze"],
      fallback: "2GiB, and 8 times --memory_limit at most",
      help: "of a version that is larger, a sample of about this is measured",
    },
    parseSize,
  ),
  ...DATASET_SETTINGS,
  to: optional(
    {
      flag: "to",
      noVariable: true,
      placeholder: "N|DIGEST|STORE",
      commands: ["rollback", "copy"],
      fallback: "of a rollback the version before",
      help: "of a rollback: number of a history entry, or sha256:… of a version; of a copy: the store or hub that it goes to",
    },
    same,
  ),
  from: optional(
    {
      flag: "from",
      noVariable: true,
      placeholder: "STORE",
      commands: ["copy"],
      fallback: "--store, else --hub",
      help: "the store (a path, file:///DIR, s3://BUCKET) or hub (HOST[:PORT], a URL) to copy from; a path with a dot begins with ./ or /",
    },
    same,
  ),
  all: flag({ flag: "all", noVariable: true, commands: ["copy"], help: "copy every dataset" }),
  history: single(
    {
      flag: "history",
      noVariable: true,
      placeholder: "N|all",
      commands: ["copy"],
      fallback: "1",
      help: "how many entries of each tag's history are copied, of those that the target lacks, in order",
    },
    (text) => (text === "all" ? Infinity : parseCount(text, 1, HISTORY_MAX)),
    () => 1,
  ),
  force: flag({
    flag: "force",
    noVariable: true,
    commands: ["copy"],
    help: "move tags also where somebody else moved them at the target",
  }),
  repair: flag({
    flag: "repair",
    noVariable: true,
    commands: ["copy"],
    help: "go through versions that the target has, too, and store anew what it lost of them",
  }),
  structure: flag({
    flag: "structure",
    commands: ["verify"],
    help: "of a whole store: check what is there, not every byte of it",
  }),
  healFrom: optional(
    {
      flag: "heal-from",
      noVariable: true,
      placeholder: "STORE",
      commands: ["verify"],
      help: "of a whole store: move what is damaged to quarantine, and store it anew from this store or hub",
    },
    same,
  ),
} as const satisfies Readonly<Record<string, Setting<unknown>>>;

/** The name of a setting in a Config. */
export type SettingName = keyof typeof SETTINGS;

/** What the program goes by: each setting's value from the best source that has one. */
export type Config = { readonly [K in SettingName]: ReturnType<(typeof SETTINGS)[K]["parse"]> };

/** Every setting with its name. */
export const SETTING_LIST = Object.entries(SETTINGS) as unknown as readonly (readonly [
  SettingName,
  Setting<unknown>,
])[];
