/** The path that a client mounts: `[/~TOKEN][/mount][/[@scope/]name[/TAG[/path]]]`. docs/nfs.md */

/** What a path says. */
export interface ExportPath {
  /** The secret of a token, if it begins with one. */
  readonly secret: string | undefined;
  /** Names from the root on. */
  readonly segments: readonly string[];
  /** The path for logs and lists: without the secret. */
  readonly shown: string;
}

const TOKEN_MARK = "~";
/** How the first AetherFS calls the root. */
const ROOT_NAME = "mount";

/** Reads a path; whether anything is there is not looked at. */
export function parseExportPath(path: string): ExportPath {
  const segments = path.split("/").filter((segment) => segment !== "");
  const secret = segments[0]?.startsWith(TOKEN_MARK) === true ? segments.shift()?.slice(1) : undefined;
  // What a mark precedes elsewhere is probably a secret too, in the wrong place. No dataset's or tag's name begins so.
  const shownSegments = segments.map((one) => (one.startsWith(TOKEN_MARK) ? `${TOKEN_MARK}…` : one));
  const shown = `/${[...(secret === undefined ? [] : [`${TOKEN_MARK}…`]), ...shownSegments].join("/")}`;
  if (segments[0] === ROOT_NAME) segments.shift();
  return { secret, segments, shown };
}
