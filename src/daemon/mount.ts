/** The composition root of a mount: a store or a hub at one end, the kernel at the other. */
import { readlinkSync, realpathSync } from "node:fs";
import { stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { systemClock } from "../base/clock.ts";
import { AetherError, codeOf, ERRORS } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { Digest } from "../format/digest.ts";
import { DEFAULT_TAG, formatReference, type Reference } from "../format/reference.ts";
import type { Client } from "../sdk/client.ts";
import { openBackings } from "../serve/fuse/backings.ts";
import { FuseDevice } from "../serve/fuse/device.ts";
import { endProcess } from "../serve/fuse/end-process.ts";
import { mountFuse } from "../serve/fuse/mount.ts";
import {
  clearStale,
  FILE_SYSTEM_TYPE,
  mountAt,
  readFurtherAhead,
  unmount,
} from "../serve/fuse/mount-table.ts";
import { FuseSession } from "../serve/fuse/session.ts";
import type { Caller, DirectoryNode } from "../vfs/tree.ts";
import type { VersionName } from "../vfs/tree-path.ts";
import { openSource, type MountSource, type SourceOptions } from "./mount-source.ts";

/** What is mounted where. The client stays open until the mount has ended. */
export interface MountOptions extends SourceOptions {
  /** Where, absolute. */
  readonly folder: string;
  /** What stands in the list of mounts. */
  readonly source: string;
  readonly isFollowed: boolean;
  readonly allowOther: boolean;
  /** No program of it can be run. */
  readonly noexec: boolean;
  /** Whom everything belongs to. */
  readonly owner: { readonly uid: number; readonly gid: number };
  /** How long a request may take, in milliseconds. */
  readonly timeoutMs: number;
  /** Unmounts. */
  readonly signal: AbortSignal;
}

/** What is mounted. */
export interface Mounted {
  readonly version: Digest;
  /** Resolves when it is unmounted, by whomever. Rejects when the kernel does not let itself be served. */
  readonly ended: Promise<void>;
}

/** Whoever may mount sees all. */
const ANYBODY: Caller = { check: async () => undefined };
/** Memory for one node, of the memory's share: some 600 bytes with its texts. */
const NODE_SHARE_BYTES = 8 * 600;
const NODES_MIN = 16_384;
/** How long what is open may stay so after the mount was told to end. */
const FINISH_MS = 10_000;
/** How long a tag is followed by its events alone; and after they failed, until they are asked for again. */
const LOOK_MS = 30_000;
const RETRY_MS = 1000;
/** Answers that were given before the tag moved have reached whoever waited for them. */
const SETTLE_MS = 1000;
/** As many links lead to one another in Linux, at most. */
const LINKS_MAX = 40;

/**
 * Mounts a version, or the one that a tag points at. What nobody serves any more in its place is unmounted first.
 * Errors: MOUNT_FAILED, FEATURE_UNSUPPORTED; those of openSource, Client.resolve and openVersion.
 */
export async function mountVersion(options: MountOptions): Promise<Mounted> {
  const source = openSource(options);
  try {
    return await mountSource(options, source);
  } catch (error) {
    await source.close();
    throw error;
  }
}

async function mountSource(options: MountOptions, mounted: MountSource): Promise<Mounted> {
  const { tree, suspect, openFiles, close } = mounted;
  const { client, folder, source, allowOther, isFollowed, memoryBytes, timeoutMs, log, signal } = options;
  const open = (): Promise<DirectoryNode> => tree.open(ANYBODY, versionName(options.reference));
  const top = await open();
  signal.throwIfAborted();
  await clearStale(folder);
  await requireFolder(folder);
  const files = await openFiles();
  const fd = await mountFuse({ folder, source, allowOther, noexec: options.noexec });
  const device = new FuseDevice(fd, log);
  const session = new FuseSession(device, {
    ...{ tree, top, isFollowed, timeoutMs, onLate: suspect, clock: systemClock, log },
    reference: formatReference(options.reference),
    owner: options.owner,
    nodesMax: Math.max(NODES_MIN, memoryBytes / NODE_SHARE_BYTES),
    files,
    backings: files && process.getuid?.() === 0 ? openBackings(fd, log) : undefined,
  });
  process.once("exit", endProcess);
  const own: OwnMount = { folder, number: mountAt(folder)?.device };
  const served = device.serve((request) => {
    session.handle(request);
  });
  // What cannot be served any more must not stay.
  served.catch(async () => {
    if (isThere(own)) await unmount(folder, true).catch(() => undefined);
  });
  readFurtherAhead(folder);
  const stop = new AbortController();
  const leave = (): void => void leaveMount(own, log, stop.signal);
  signal.addEventListener("abort", leave);
  if (signal.aborted) leave();
  const following =
    isFollowed && client ? follow({ ...options, client, open, session, stop: stop.signal }, top) : undefined;
  const ended = served.finally(async () => {
    process.removeListener("exit", endProcess);
    signal.removeEventListener("abort", leave);
    session.close();
    stop.abort();
    await Promise.all([following, files?.rest()]);
    await close();
  });
  return { version: top.version.digest, ended };
}

/** fusermount3 would mount over a file, and nothing could be done with that. Errors: MOUNT_FAILED. */
async function requireFolder(folder: string): Promise<void> {
  const found = await stat(folder).catch(() => undefined);
  if (found?.isDirectory() === true) return;
  const text = found === undefined ? `there is no folder ${folder}` : `${folder} is no folder`;
  throw new AetherError("MOUNT_FAILED", text, { data: { folder } });
}

function versionName({ name, tag, digest }: Reference): VersionName {
  return { name, tag: digest === undefined ? tag : undefined, digest };
}

/** A mount of this process: another may have come over it, or taken its place when it was unmounted while it was in use. */
interface OwnMount {
  readonly folder: string;
  /** The kernel's number of it; undefined: it is not known. */
  readonly number: string | undefined;
}

function isThere({ folder, number }: OwnMount): boolean {
  return mountAt(folder)?.device === number;
}

/** Unmounts, also what is in use. Whoever uses it may finish for a while; then the process ends, and with it all that is open. */
async function leaveMount(own: OwnMount, log: Log, ended: AbortSignal): Promise<void> {
  const { folder } = own;
  try {
    if (isThere(own)) {
      await unmount(folder, false).catch((error: unknown) => {
        log.warn({ err: error }, "it is in use: who uses it may finish, but not for long");
        return unmount(folder, true);
      });
    }
    await systemClock.sleep(FINISH_MS, ended);
  } catch (error) {
    if (ended.aborted) return;
    log.error({ err: error }, "it cannot be unmounted");
    endProcess(ERRORS.MOUNT_FAILED.exit);
  }
  // What is left of the mount answers nobody.
  endProcess(0);
}

interface Following extends Pick<MountOptions, "reference" | "log"> {
  readonly client: Client;
  readonly open: () => Promise<DirectoryNode>;
  readonly session: FuseSession;
  readonly stop: AbortSignal;
}

/** Moves the session to where the tag points, until it is stopped. Never rejects. */
async function follow(following: Following, top: DirectoryNode): Promise<void> {
  const { open, session, log, stop } = following;
  let shown = top;
  const lookOnce = async (): Promise<void> => {
    try {
      const found = await open();
      if (found.version.digest === shown.version.digest) return;
      shown = found;
      session.move(found);
      void systemClock.sleep(SETTLE_MS, stop).then(
        () => {
          session.settle();
        },
        () => undefined,
      );
      log.info({ version: found.version.digest }, "the tag moved");
    } catch (error) {
      // What was there last is shown on: also of a tag that was removed, and while a hub is away.
      log.warn({ code: codeOf(error), err: error }, "where the tag points is not to be had");
    }
  };
  let last = Promise.resolve();
  let waiting = 0;
  const look = (): void => {
    // One that has not begun sees what this one would.
    if (waiting > 0) return;
    waiting++;
    last = last.then(() => {
      waiting--;
      return lookOnce();
    });
  };
  await Promise.all([lookAtEvents(following, look), lookNowAndThen(following, look)]);
  await last;
}

async function lookAtEvents(following: Following, look: () => void): Promise<void> {
  const { client, reference, log, stop: signal } = following;
  const { name, tag = DEFAULT_TAG } = reference;
  while (!signal.aborted) {
    try {
      for await (const { sequence } of client.watch(name, { tag, signal })) {
        log.debug({ sequence }, "the tag has an event");
        look();
      }
    } catch (error) {
      log.debug({ err: error }, "the dataset's events ended");
    }
    await systemClock.sleep(RETRY_MS, signal).catch(() => undefined);
  }
}

/** Events may be missed between the first look and the first that is watched for, or while nobody answers. */
async function lookNowAndThen({ stop }: Following, look: () => void): Promise<void> {
  for (let delayMs = RETRY_MS; !stop.aborted; delayMs = LOOK_MS) {
    await systemClock.sleep(delayMs, stop).then(look, () => undefined);
  }
}

/**
 * The absolute path of a folder to mount at, links followed, as the list of mounts has it. Itself it may be a mount that nobody serves:
 * it is asked for nothing but whether it is a link, which no file system in user space is asked for. Errors: MOUNT_FAILED.
 */
export function mountFolder(place: string): string {
  let path = resolve(place);
  for (let links = 0; links <= LINKS_MAX; links++) {
    try {
      path = join(realpathSync(dirname(path)), basename(path));
    } catch (cause) {
      const text = `there is no folder ${dirname(path)}`;
      throw new AetherError("MOUNT_FAILED", text, { data: { folder: path }, cause });
    }
    const target = linkTarget(path);
    if (target === undefined) return path;
    path = resolve(dirname(path), target);
  }
  throw new AetherError("MOUNT_FAILED", `${place} leads to too many links`, { data: { folder: place } });
}

function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

/**
 * Unmounts what is mounted at a folder, also when nobody serves it any more; `lazily`: also when it is in use. Errors: MOUNT_FAILED, also
 * when nothing of AetherFS is mounted there.
 */
export async function endMount(folder: string, lazily: boolean): Promise<void> {
  if (mountAt(folder)?.type !== FILE_SYSTEM_TYPE) {
    const text = `nothing of AetherFS is mounted at ${folder}`;
    throw new AetherError("MOUNT_FAILED", text, { data: { folder } });
  }
  await unmount(folder, lazily);
}
