import { AetherError } from "../base/errors.ts";
import { parseDigest, type Digest } from "../format/digest.ts";
import { pathFault } from "../format/entry.ts";
import { parseDatasetName, parseScope, parseTag, type DatasetName, type Tag } from "../format/reference.ts";

/** What names a version of a dataset: a tag, or a digest; one of them is undefined. */
export interface VersionName {
  readonly name: DatasetName;
  readonly tag: Tag | undefined;
  readonly digest: Digest | undefined;
}

/** A place in a version. */
export interface VersionPath extends VersionName {
  readonly kind: "version";
  /** Relative to the version's top, which is "". */
  readonly path: string;
}

/** A place in the tree: all datasets, those of a scope, the tags of one, or something in a version. */
export type TreePath =
  | { readonly kind: "root" }
  | { readonly kind: "scope"; readonly scope: string }
  | { readonly kind: "dataset"; readonly name: DatasetName }
  | VersionPath;

/**
 * The place that `[@scope/]name/TAG/path` names, of which these are the segments; a digest (`sha256:…` or `@sha256:…`) may stand for the tag.
 * Whether something is there is not looked at. Errors: PATH_INVALID, REFERENCE_INVALID.
 */
export function parseTreePath(segments: readonly string[]): TreePath {
  const [first] = segments;
  if (first === undefined) return { kind: "root" };
  const isScoped = first.startsWith("@");
  if (isScoped && segments.length === 1) return { kind: "scope", scope: parseScope(first) };
  const nameLength = isScoped ? 2 : 1;
  const name = parseDatasetName(segments.slice(0, nameLength).join("/"));
  const version = segments[nameLength];
  if (version === undefined) return { kind: "dataset", name };
  return { kind: "version", name, ...parseVersion(version), path: pathOf(segments.slice(nameLength + 1)) };
}

function parseVersion(text: string): Pick<VersionName, "tag" | "digest"> {
  return text.includes(":")
    ? { tag: undefined, digest: parseDigest(text.replace(/^@/, "")) }
    : { tag: parseTag(text), digest: undefined };
}

function pathOf(segments: readonly string[]): string {
  const path = segments.join("/");
  const fault = segments.length === 0 ? undefined : pathFault(path);
  if (fault === undefined) return path;
  const shown = JSON.stringify(path.slice(0, 200));
  throw new AetherError("PATH_INVALID", `the path ${shown} is refused: ${fault}`);
}
