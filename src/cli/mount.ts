import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { AetherError, ERRORS, type ErrorCode } from "../base/errors.ts";
import { openLog } from "../daemon/log.ts";
import { isOpenOn, logFileWriter } from "../daemon/log-file.ts";
import { mountFolder, mountVersion } from "../daemon/mount.ts";
import { tellReady } from "../daemon/tell-ready.ts";
import { MiB } from "../base/limits.ts";
import { formatDigest } from "../format/digest.ts";
import type { Config } from "../config/schema.ts";
import { formatReference, type Reference } from "../format/reference.ts";
import type { Client } from "../sdk/client.ts";
import { HUB_DEFAULT, hubOf } from "../sdk/hub/which-hub.ts";
import { readReference, withClient, type Context } from "./context.ts";

/** What a mount in the background says, at most, of why it did not come about. */
const SAID_BYTES_MAX = 64 * 1024;
/** Of the log of mounts in the background: it may have twice as much on disk. */
const LOG_BYTES_MAX = MiB;
const STDERR = 2;

/** `aetherfs mount REF DIR`: in the background, unless --foreground is given; returns when it is mounted. */
export async function run(context: Context, text: string, place: string): Promise<void> {
  const { config } = context;
  const reference = readReference(context, text);
  if (config.follow && reference.digest !== undefined) {
    throw new AetherError(
      "ARGUMENT_INVALID",
      `${text} names a version, which never moves: leave --follow out`,
    );
  }
  if (config.follow && config.offline) {
    throw new AetherError("ARGUMENT_INVALID", "--offline asks nobody where a tag points: leave --follow out");
  }
  if (config.foreground) {
    const serving = (client: Client | undefined): Promise<void> => serve(context, client, reference, place);
    if (config.offline && !isLocal(config)) await serving(undefined);
    else await withClient(context, { references: [reference] }, serving);
  } else await inBackground(context);
}

/** Serves the mount until it is unmounted, or a signal ends it, which is a good end. */
async function serve(
  context: Context,
  client: Client | undefined,
  reference: Reference,
  place: string,
): Promise<void> {
  const { config, output } = context;
  const signal = AbortSignal.any([context.signal, hangup()]);
  const folder = mountFolder(place);
  const { timeout, memoryLimit: memoryBytes, cacheDir, cachePieceSize, cacheSize } = config;
  const log = openLog({
    level: config.logLevel,
    format: "text",
    write: lineWriter(config.logFile),
  });
  const mounted = await mountVersion({
    ...{ client, reference, folder, memoryBytes, cacheDir, log, signal },
    isLocal: isLocal(config),
    place: config.store ?? hubOf([reference], config.hub ?? HUB_DEFAULT),
    threads: config.concurrency,
    source: formatReference(reference),
    isFollowed: config.follow,
    allowOther: config.allowOther || process.getuid?.() === 0,
    noexec: config.noexec,
    owner: { uid: config.uid ?? process.getuid?.() ?? 0, gid: config.gid ?? process.getgid?.() ?? 0 },
    timeoutMs: timeout * 1000,
    cache: { pieceBytes: cachePieceSize, diskBytes: cacheSize },
  });
  const version = formatDigest(mounted.version);
  if (output.isJson) await output.json({ folder, version });
  else await output.lines(`mounted  ${formatReference(reference)} at ${folder}`, `version  ${version}`);
  await tellReady(context.environment["NOTIFY_SOCKET"], log);
  await mounted.ended;
}

/** To stderr, which in the background is the log file. */
function lineWriter(file: string | undefined): (line: string) => void {
  if (file !== undefined && isOpenOn(STDERR, file)) return logFileWriter(STDERR, file, LOG_BYTES_MAX);
  return (line) => void process.stderr.write(line);
}

/** SIGHUP's bit in the masks of proc_pid_status(5). */
const SIGHUP_BIT = 1n;

/** Aborts when the terminal is closed (SIGHUP), which would end the process and leave its mount. What nohup(1) began goes on. */
function hangup(): AbortSignal {
  const controller = new AbortController();
  const [, ignored = "0"] = /^SigIgn:\s*([0-9a-f]+)/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
  const isIgnored = (BigInt(`0x${ignored}`) & SIGHUP_BIT) !== 0n;
  if (!isIgnored) {
    process.on("SIGHUP", () => {
      controller.abort(new AetherError("CANCELLED", "the terminal was closed"));
    });
  }
  return controller.signal;
}

/** Whether the store lies on a disk of this machine, where nothing is ever asked of another. */
function isLocal({ store }: Config): boolean {
  return store !== undefined && !store.startsWith("s3:");
}

/** Starts this command again as a process of its own, and waits until that has mounted. */
async function inBackground({ config, environment, output, signal }: Context): Promise<void> {
  const file = config.logFile ?? (config.cacheDir && join(config.cacheDir, "mount.log"));
  if (file !== undefined) mkdirSync(dirname(resolve(file)), { recursive: true });
  const log = openSync(file ?? "/dev/null", "a", 0o600);
  const begun = file === undefined ? 0 : statSync(file).size;
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    detached: true,
    stdio: ["ignore", "pipe", log],
    // Whose service this may be is told by who is in the foreground of it.
    env: { ...environment, FOREGROUND: "true", LOG_FILE: file, NOTIFY_SOCKET: undefined },
  });
  closeSync(log);
  const onAbort = (): void => void child.kill("SIGTERM");
  signal.addEventListener("abort", onAbort);
  let how: number | string = "no code";
  const first = await new Promise<string | undefined>((settle, reject) => {
    child.stdout?.setEncoding("utf8").once("data", settle);
    child.on("error", reject);
    child.on("exit", (code, killer) => {
      how = code ?? killer ?? how;
      settle(undefined);
    });
  });
  signal.removeEventListener("abort", onAbort);
  signal.throwIfAborted();
  if (first === undefined) throw saidIn(file, begun, how);
  child.stdout?.destroy();
  child.unref();
  await output.write(Buffer.from(first));
}

/** What the process in the background said last: an error as the command prints it. `how`: its exit code, or the signal that ended it. */
function saidIn(file: string | undefined, begun: number, how: number | string): AetherError {
  const said =
    file === undefined ? "" : readFileSync(file).subarray(begun).subarray(-SAID_BYTES_MAX).toString();
  for (const line of said.split("\n").reverse()) {
    const [, code = "", message = ""] =
      /^aetherfs: ([A-Z_]+): (.*)$/.exec(line) ??
      /^\{"error":\{"code":"([A-Z_]+)","message":"((?:[^"\\]|\\.)*)"/.exec(line) ??
      [];
    if (code in ERRORS) return new AetherError(code as ErrorCode, message);
  }
  return new AetherError(
    "MOUNT_FAILED",
    `the mount's process ended with ${how} before it began${file === undefined ? "" : `: see ${file}`}`,
  );
}
