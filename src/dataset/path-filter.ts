/** Which paths of a dataset globs choose. */
import { AetherError } from "../base/errors.ts";

/** Characters of one glob at most. */
const GLOB_LENGTH_MAX = 1024;
/** Globs of one filter at most. */
const GLOBS_MAX = 1024;
/** Verdicts about folders that are remembered. */
const FOLDERS_KEPT_MAX = 4096;

/** The globs of a filter. */
export interface PathFilterOptions {
  /** undefined or empty: everything. */
  readonly include?: readonly string[] | undefined;
  readonly exclude?: readonly string[] | undefined;
}

/** A filter over paths as entries have them: relative, segments joined by "/". */
export interface PathFilter {
  /** Whether it lets everything through. */
  readonly passesAll: boolean;
  /** Whether a glob of `exclude` matches the path or a folder above it. */
  readonly isExcluded: (path: string, isDirectory: boolean) => boolean;
  /**
   * Whether the path is chosen: not excluded, and, when there are globs to include, it or a folder above it matches one.
   * Folders above chosen paths are the caller's to add.
   */
  readonly isIncluded: (path: string, isDirectory: boolean) => boolean;
}

/**
 * The filter of these globs. `*` and `?` stay within a segment and match a leading dot too, `**` as a whole segment
 * crosses them, `[a-z]`, `[!a-z]` and `{a,b}` are as in a shell, and `\` takes the next character as it is. A glob
 * without a "/" matches at any depth, one with it from the top; one that ends in "/" matches folders only.
 * Errors: ARGUMENT_INVALID.
 */
export function createPathFilter(options: PathFilterOptions): PathFilter {
  const include = compileAll(options.include ?? []);
  const exclude = compileAll(options.exclude ?? []);
  const isExcluded = memorized(exclude);
  const matchesInclude = memorized(include);
  return {
    passesAll: include.length === 0 && exclude.length === 0,
    isExcluded,
    isIncluded: (path, isDirectory) =>
      !isExcluded(path, isDirectory) && (include.length === 0 || matchesInclude(path, isDirectory)),
  };
}

interface Glob {
  readonly pattern: RegExp;
  readonly folderOnly: boolean;
}

function compileAll(globs: readonly string[]): Glob[] {
  if (globs.length > GLOBS_MAX)
    throw new AetherError("ARGUMENT_INVALID", `over ${GLOBS_MAX} globs were given`);
  return globs.map(compile);
}

/** Whether a glob matches a path or a folder above it; verdicts about folders are kept, since siblings ask again. */
function memorized(globs: readonly Glob[]): (path: string, isDirectory: boolean) => boolean {
  const folders = new Map<string, boolean>();
  const folderMatches = (folder: string): boolean => {
    const known = folders.get(folder);
    if (known !== undefined) return known;
    const verdict = matches(folder, true);
    if (folders.size >= FOLDERS_KEPT_MAX) folders.clear();
    folders.set(folder, verdict);
    return verdict;
  };
  const matches = (path: string, isDirectory: boolean): boolean => {
    const slash = path.lastIndexOf("/");
    if (slash !== -1 && folderMatches(path.slice(0, slash))) return true;
    return globs.some((glob) => (isDirectory || !glob.folderOnly) && glob.pattern.test(path));
  };
  return (path, isDirectory) => globs.length > 0 && matches(path, isDirectory);
}

function compile(glob: string): Glob {
  const folderOnly = glob.endsWith("/");
  const body = folderOnly ? glob.slice(0, -1) : glob;
  const anchored = body.startsWith("/") ? body.slice(1) : body;
  if (anchored === "" || glob.length > GLOB_LENGTH_MAX) throw invalid(glob, "it is empty or too long");
  const anyDepth = !body.includes("/");
  const segments = anchored.split("/");
  let source = anyDepth ? "(?:.*/)?" : "";
  for (const [index, segment] of segments.entries()) {
    const isLast = index === segments.length - 1;
    if (segment === "**") source += isLast ? ".+" : "(?:[^/]+/)*";
    else source += translate(segment, glob) + (isLast ? "" : "/");
  }
  try {
    return { pattern: new RegExp(`^${source}$`, "su"), folderOnly };
  } catch {
    throw invalid(glob, "a bracket is not closed, or a range is reversed");
  }
}

/** The regular expression of one segment. */
function translate(segment: string, glob: string): string {
  const characters = Array.from(segment);
  let source = "";
  let braces = 0;
  for (let index = 0; index < characters.length; index++) {
    const character = characters[index] ?? "";
    if (character === "*") {
      if (characters[index - 1] !== "*") source += "[^/]*";
    } else if (character === "?") source += "[^/]";
    else if (character === "\\") source += literal(characters[++index] ?? "\\");
    else if (character === "[") {
      const close = characters.indexOf("]", index + 2);
      if (close === -1) throw invalid(glob, "a bracket is not closed");
      source += bracket(characters.slice(index + 1, close));
      index = close;
    } else if (character === "{") {
      braces++;
      source += "(?:";
    } else if (character === "}" && braces > 0) {
      braces--;
      source += ")";
    } else if (character === "," && braces > 0) source += "|";
    else source += literal(character);
  }
  if (braces > 0) throw invalid(glob, "a brace is not closed within its segment");
  return source;
}

function bracket(characters: readonly string[]): string {
  const negated = characters[0] === "!" || characters[0] === "^";
  const body = characters
    .slice(negated ? 1 : 0)
    .map((character) => (character === "-" ? "-" : literal(character)));
  return `(?!/)[${negated ? "^" : ""}${body.join("")}]`;
}

function literal(character: string): string {
  return /[\\^$.*+?()[\]{}|/-]/.test(character) ? `\\${character}` : character;
}

function invalid(glob: string, why: string): AetherError {
  return new AetherError(
    "ARGUMENT_INVALID",
    `the glob ${JSON.stringify(glob.slice(0, 200))} is not valid: ${why}`,
  );
}
