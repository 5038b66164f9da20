/** Lists a source in byte order of path. Synchronous: for the source's thread. */
import { isUtf8 } from "node:buffer";
import fs from "node:fs";
import { basename } from "node:path";
import { compareUtf8 } from "../../base/bytes.ts";
import { AetherError, errnoOf, type ErrorCode } from "../../base/errors.ts";
import { SECONDS_MAX, pathFault, type FileTime } from "../../format/entry.ts";
import type { PathFilter } from "../path-filter.ts";
import { STAGING_NAME } from "../pull/staging.ts";
import type { StatRecord } from "../stat-cache.ts";

/** What the walk found: an entry to be, without its content. */
export interface WalkedEntry extends StatRecord {
  readonly kind: "file" | "directory" | "symlink";
  /** Of a symlink, else "". */
  readonly target: string;
}

/** Where a source lies. */
export interface SourceRoot {
  /** The folder or file, absolute and without symlinks. */
  readonly path: string;
  /** The file's name in the dataset, as the user gave it; undefined of a folder. */
  readonly fileName: string | undefined;
}

/** Resolves what the user gave. Errors: SOURCE_NOT_FOUND, SOURCE_UNREADABLE. */
export function openRoot(source: string): SourceRoot {
  try {
    const path = fs.realpathSync(source);
    return { path, fileName: fs.statSync(path).isDirectory() ? undefined : basename(source) };
  } catch (cause) {
    throw sourceError(cause, source, "the source");
  }
}

/** What the walk may leave out, with the reason; it may also throw instead. */
export type ReportSkip = (path: string, error: AetherError) => void;

interface Listed {
  readonly name: string;
  readonly isDirectory: boolean;
  /** The name, or name + "/" for what lies below a folder: their order is that of the paths. */
  readonly key: string;
  readonly below: boolean;
}

/** A folder that is being walked. */
interface Frame {
  readonly prefix: string;
  /** Names of folders that were yielded and whose content follows. */
  readonly open: Set<string>;
  readonly items: readonly Listed[];
  next: number;
}

/**
 * Yields each entry below a folder, parents before children, in byte order of path; of a file, that one. What cannot be
 * listed, read or held goes to `skip` as an AetherError (SOURCE_UNREADABLE, SOURCE_UNSUPPORTED, PATH_INVALID); what
 * vanishes meanwhile is left out.
 */
export function* walk(source: SourceRoot, filter: PathFilter, skip: ReportSkip): Generator<WalkedEntry> {
  const root = source.path;
  if (source.fileName !== undefined) {
    const entry = readEntry(root, source.fileName, refuse);
    if (entry === undefined) throw new AetherError("SOURCE_NOT_FOUND", "the source has vanished");
    yield entry;
    return;
  }
  const stack = [
    beginFolder(root, "", (path, error) => (path === "" ? refuse(path, error) : skip(path, error))),
  ];
  for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
    const item = frame.items[frame.next++];
    if (item === undefined) {
      stack.pop();
      continue;
    }
    const path = frame.prefix + item.name;
    const full = `${root}/${path}`;
    if (item.below) {
      if (frame.open.delete(item.name)) stack.push(beginFolder(full, path, skip));
    } else if (path !== STAGING_NAME && !filter.isExcluded(path, item.isDirectory)) {
      const entry = readEntry(full, path, skip);
      if (entry === undefined) continue;
      if ((entry.kind === "directory") !== item.isDirectory) throw changed(path);
      if (item.isDirectory) frame.open.add(item.name);
      yield entry;
    }
  }
}

/** Neither a source that cannot be read nor what its user named as one may be left out. */
function refuse(_path: string, error: AetherError): never {
  throw error;
}

function beginFolder(folder: string, path: string, skip: ReportSkip): Frame {
  return { prefix: path === "" ? "" : `${path}/`, open: new Set(), items: list(folder, path, skip), next: 0 };
}

function list(folder: string, path: string, skip: ReportSkip): readonly Listed[] {
  let entries: fs.Dirent[];
  try {
    entries = fs.readdirSync(folder, { withFileTypes: true });
  } catch (cause) {
    if (path === "" || errnoOf(cause) !== "ENOENT") skip(path, sourceError(cause, path, "the folder"));
    return [];
  }
  // Following a link that was put in its place would lead out of the source.
  if (path !== "" && fs.lstatSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw changed(path);
  if (entries.some((entry) => entry.name.includes("\ufffd")))
    entries = withoutForeignNames(folder, path, entries, skip);
  const items: Listed[] = [];
  for (const entry of entries) {
    const { name } = entry;
    const isDirectory = entry.isDirectory();
    items.push({ name, isDirectory, key: name, below: false });
    if (isDirectory) items.push({ name, isDirectory, key: `${name}/`, below: true });
  }
  return items.sort((a, b) => compareUtf8(a.key, b.key));
}

/** Leaves out names that are not UTF-8: Node shows their bytes as U+FFFD. */
function withoutForeignNames(
  folder: string,
  path: string,
  entries: readonly fs.Dirent[],
  skip: ReportSkip,
): fs.Dirent[] {
  const valid = new Set<string>();
  for (const raw of fs.readdirSync(folder, { encoding: "buffer" })) {
    const name = raw.toString("utf8");
    if (Buffer.from(name).equals(raw)) valid.add(name);
    else {
      const shown = `${path === "" ? "" : `${path}/`}${raw.toString("latin1")}`;
      skip(
        shown,
        new AetherError("SOURCE_UNSUPPORTED", `the name of ${JSON.stringify(shown)} is not UTF-8: rename it`),
      );
    }
  }
  return entries.filter((entry) => valid.delete(entry.name));
}

function readEntry(full: string, path: string, skip: ReportSkip): WalkedEntry | undefined {
  const fault = pathFault(path);
  if (fault !== undefined) {
    skip(
      path,
      new AetherError(
        "PATH_INVALID",
        `${JSON.stringify(path.slice(0, 200))} cannot be in a dataset: ${fault}`,
      ),
    );
    return undefined;
  }
  try {
    const stat = fs.lstatSync(full, { bigint: true });
    const kind = kindOf(stat);
    if (kind === undefined) {
      const what = stat.isSocket() ? "a socket" : stat.isFIFO() ? "a pipe" : "a device";
      const message = `${JSON.stringify(path)} is ${what}, which a dataset cannot hold: exclude it, or give --skip-unreadable`;
      skip(path, new AetherError("SOURCE_UNSUPPORTED", message, { data: { path } }));
      return undefined;
    }
    const target = kind === "symlink" ? fs.readlinkSync(full, { encoding: "buffer" }) : Buffer.alloc(0);
    const reason = misfit(target, stat.mtimeNs);
    if (reason !== undefined) {
      const message = `${JSON.stringify(path)} cannot be in a dataset: ${reason}`;
      skip(path, new AetherError("SOURCE_UNSUPPORTED", message, { data: { path } }));
      return undefined;
    }
    return {
      path,
      kind,
      size: kind === "file" ? Number(stat.size) : 0,
      mode: Number(stat.mode & 0o7777n),
      mtimeNs: stat.mtimeNs,
      ctimeNs: stat.ctimeNs,
      ino: BigInt.asUintN(64, stat.ino),
      target: target.toString("utf8"),
    };
  } catch (cause) {
    if (cause instanceof AetherError) throw cause;
    if (errnoOf(cause) === "ENOENT") return undefined;
    skip(path, sourceError(cause, path, ""));
    return undefined;
  }
}

/** Why an entry cannot have this target or time, or undefined. */
function misfit(target: Buffer, mtimeNs: bigint): string | undefined {
  if (!isUtf8(target)) return "its target is not UTF-8";
  return Math.abs(fileTime(mtimeNs).seconds) > SECONDS_MAX ? "its time of change is out of range" : undefined;
}

function kindOf(stat: fs.BigIntStats): WalkedEntry["kind"] | undefined {
  if (stat.isFile()) return "file";
  if (stat.isDirectory()) return "directory";
  return stat.isSymbolicLink() ? "symlink" : undefined;
}

/** The table's error for what Node says about a path of the source. */
export function sourceError(cause: unknown, path: string, what: string): AetherError {
  const errno = errnoOf(cause) ?? "";
  const named = `${what === "" ? "" : `${what} `}${JSON.stringify(path)}`;
  const codes: Record<string, [ErrorCode, string]> = {
    ENOENT: ["SOURCE_NOT_FOUND", `${named} does not exist`],
    ENOTDIR: ["SOURCE_NOT_FOUND", `${named} does not exist`],
    EACCES: [
      "SOURCE_UNREADABLE",
      `${named} may not be read: mend its permissions, or give --skip-unreadable`,
    ],
    EPERM: ["SOURCE_UNREADABLE", `${named} may not be read: mend its permissions, or give --skip-unreadable`],
  };
  const [code, message] = codes[errno] ?? ["SOURCE_UNREADABLE", `${named} cannot be read (${errno})`];
  return new AetherError(code, message, { cause, data: { path } });
}

const NANOS = 1_000_000_000n;

/** A time in nanoseconds as entries have it. */
export function fileTime(timeNs: bigint): FileTime {
  const nanos = ((timeNs % NANOS) + NANOS) % NANOS;
  return { seconds: Number((timeNs - nanos) / NANOS), nanos: Number(nanos) };
}

/** The error for a path that is not what it was a moment before. */
export function changed(path: string): AetherError {
  const message = `${JSON.stringify(path)} changed while it was read: push again when it holds still, or exclude it`;
  return new AetherError("SOURCE_CHANGED", message, { data: { path } });
}
