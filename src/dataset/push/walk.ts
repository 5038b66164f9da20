/** Lists a source in byte order of path. Synchronous: for the source's thread. */
import fs from "node:fs";
import { basename } from "node:path";
import { compareUtf8 } from "../../base/bytes.ts";
import { AetherError, errnoOf, type ErrorCode } from "../../base/errors.ts";
import { pathFault } from "../../format/entry.ts";
import type { PathFilter } from "../path-filter.ts";
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
  /** The name, or name + "/" for what lies below a folder: their order is that of the paths. */
  readonly key: string;
  readonly below: boolean;
}

interface Frame {
  readonly prefix: string;
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
    const entry = readEntry(root, source.fileName, skip);
    if (entry !== undefined) yield entry;
    return;
  }
  const stack: Frame[] = [{ prefix: "", items: list(root, "", skip), next: 0 }];
  for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
    const item = frame.items[frame.next++];
    if (item === undefined) {
      stack.pop();
      continue;
    }
    const path = frame.prefix + item.name;
    if (filter.isExcluded(path, item.below)) continue;
    const full = `${root}/${path}`;
    if (item.below) stack.push({ prefix: `${path}/`, items: list(full, path, skip), next: 0 });
    else {
      const entry = readEntry(full, path, skip);
      if (entry !== undefined && !(entry.kind === "directory" && filter.isExcluded(path, true))) yield entry;
    }
  }
}

function list(folder: string, path: string, skip: ReportSkip): readonly Listed[] {
  let entries: fs.Dirent[];
  try {
    entries = fs.readdirSync(folder, { withFileTypes: true });
  } catch (cause) {
    if (errnoOf(cause) !== "ENOENT") skip(path, sourceError(cause, path, "the folder"));
    return [];
  }
  if (entries.some((entry) => entry.name.includes("\ufffd")))
    entries = withoutForeignNames(folder, path, entries, skip);
  const items: Listed[] = [];
  for (const entry of entries) {
    items.push({ name: entry.name, key: entry.name, below: false });
    if (entry.isDirectory()) items.push({ name: entry.name, key: `${entry.name}/`, below: true });
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
  return entries.filter((entry) => valid.has(entry.name));
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
    return {
      path,
      kind,
      size: kind === "file" ? Number(stat.size) : 0,
      mode: Number(stat.mode & 0o7777n),
      mtimeNs: stat.mtimeNs,
      ctimeNs: stat.ctimeNs,
      ino: stat.ino,
      target: kind === "symlink" ? fs.readlinkSync(full) : "",
    };
  } catch (cause) {
    if (errnoOf(cause) === "ENOENT") return undefined;
    skip(path, sourceError(cause, path, ""));
    return undefined;
  }
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
