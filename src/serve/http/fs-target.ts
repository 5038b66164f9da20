/** What the path of a request under /fs names. */
import { AetherError } from "../../base/errors.ts";
import { pathFault } from "../../format/entry.ts";
import { parseDigest, type Digest } from "../../format/digest.ts";
import { parseDatasetName, parseTag, type DatasetName, type Tag } from "../../format/reference.ts";

/** Datasets; the tags of one; or something in a version. */
export type FsTarget =
  | { readonly kind: "datasets"; readonly isFolder: boolean }
  | { readonly kind: "tags"; readonly name: DatasetName; readonly isFolder: boolean }
  | InVersion;

/** A place in a version, which a tag or a digest names. */
export interface InVersion {
  readonly kind: "version";
  readonly name: DatasetName;
  readonly tag: Tag | undefined;
  readonly digest: Digest | undefined;
  /** "" is the top. */
  readonly path: string;
  /** The path ends with a slash. */
  readonly isFolder: boolean;
}

/**
 * `/fs/[@scope/]name/TAG/path`, where a digest (`sha256:…`) may stand for the tag; the query is not looked at.
 * Errors: PATH_INVALID, REFERENCE_INVALID.
 */
export function parseFsTarget(target: string): FsTarget {
  const [path = ""] = target.split("?", 1);
  const segments = path.split("/").slice(2).map(decodeSegment);
  const isFolder = segments.at(-1) === "";
  if (isFolder) segments.pop();
  const [first] = segments;
  if (first === undefined) return { kind: "datasets", isFolder };
  const nameLength = first.startsWith("@") ? 2 : 1;
  const name = parseDatasetName(segments.slice(0, nameLength).join("/"));
  const version = segments[nameLength];
  if (version === undefined) return { kind: "tags", name, isFolder };
  const place = segments.slice(nameLength + 1).join("/");
  const fault = place === "" && segments.length === nameLength + 1 ? undefined : pathFault(place);
  if (fault !== undefined) {
    throw new AetherError(
      "PATH_INVALID",
      `the path ${JSON.stringify(place.slice(0, 200))} is refused: ${fault}`,
    );
  }
  const isDigest = version.includes(":");
  return {
    kind: "version",
    name,
    tag: isDigest ? undefined : parseTag(version),
    digest: isDigest ? parseDigest(version) : undefined,
    path: place,
    isFolder,
  };
}

/** RFC 3986 §2.1, in UTF-8. A slash that is written %2F would be one more segment. */
function decodeSegment(segment: string): string {
  let text: string;
  try {
    text = decodeURIComponent(segment);
  } catch (cause) {
    throw new AetherError("PATH_INVALID", "the path is not percent-encoded UTF-8", { cause });
  }
  if (text.includes("/")) throw new AetherError("PATH_INVALID", "a segment of the path holds a slash");
  return text;
}

/** A path as it stands in a relative reference: never taken for a scheme, a host or a query. RFC 3986 §4.2 */
export function encodePath(path: string): string {
  return `./${path.split("/").map(encodeURIComponent).join("/")}`;
}
