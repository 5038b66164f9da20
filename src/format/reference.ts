import { AetherError } from "../base/errors.ts";
import { NAME_LENGTH_MAX } from "../base/limits.ts";
import { formatDigest, parseDigest, type Digest } from "./digest.ts";

/** `[@scope/]name` of a dataset. Made only by parseDatasetName. docs/format.md §2 */
export type DatasetName = string & { readonly __brand: "DatasetName" };
/** A tag's name. Made only by parseTag. */
export type Tag = string & { readonly __brand: "Tag" };

/** What a user names: a dataset, and a tag or a version of it. */
export interface Reference {
  /** `host[:port]`, or undefined when the reference has none. */
  readonly host: string | undefined;
  readonly name: DatasetName;
  /** The tag as written; undefined when there is none or a digest stands instead. */
  readonly tag: Tag | undefined;
  readonly digest: Digest | undefined;
}

/** The tag of a reference that names none. */
export const DEFAULT_TAG = "latest" as Tag;

const WORD = /^[a-z0-9][a-z0-9._-]*$/;
const HOST = /^(localhost|[a-z0-9.-]+\.[a-z0-9-]+|[a-z0-9.-]+:\d{1,5}|\[[0-9a-f:]+\](:\d{1,5})?)$/i;
const WORD_RULE = `1–${NAME_LENGTH_MAX} of a–z 0–9 . _ - and starts with a letter or digit`;

function isWord(text: string): boolean {
  return text.length <= NAME_LENGTH_MAX && WORD.test(text);
}

/** Whether the text names a host, as a reference may begin with it: `localhost`, `name.with.dot`, `name:port`, `[IPv6]`. */
export function isHost(text: string): boolean {
  return HOST.test(text);
}

function invalid(text: string, why: string): AetherError {
  const shown = text.length > 200 ? `${text.slice(0, 200)}…` : text;
  return new AetherError("REFERENCE_INVALID", `"${shown}" is not a reference: ${why}`, {
    data: { reference: shown },
  });
}

/** `[@scope/]name`. Errors: REFERENCE_INVALID. */
export function parseDatasetName(text: string): DatasetName {
  const scoped = text.startsWith("@");
  const words = scoped ? text.slice(1).split("/") : [text];
  if (words.length !== (scoped ? 2 : 1)) throw invalid(text, "a dataset is name or @scope/name");
  for (const word of words) {
    if (!isWord(word)) throw invalid(text, `"${word}" is not a name, which is ${WORD_RULE}`);
  }
  return text as DatasetName;
}

/** `@scope`. Errors: REFERENCE_INVALID. */
export function parseScope(text: string): string {
  if (!text.startsWith("@") || !isWord(text.slice(1)))
    throw invalid(text, `"${text}" is not a scope, which is @ and ${WORD_RULE}`);
  return text;
}

/** A tag. Errors: REFERENCE_INVALID. */
export function parseTag(text: string): Tag {
  if (!isWord(text)) throw invalid(text, `"${text}" is not a tag, which is ${WORD_RULE}`);
  return text as Tag;
}

/** The scope of a dataset (`@scope`), or "" when it has none. */
export function scopeOf(name: DatasetName): string {
  const slash = name.indexOf("/");
  return slash === -1 ? "" : name.slice(0, slash);
}

/**
 * `[host[:port]/][@scope/]name[:tag]` or `…name@sha256:<hex>`. A first segment is a host when it is `localhost`, has a
 * dot or a port, or is a bracketed IPv6 address. Errors: REFERENCE_INVALID.
 */
export function parseReference(text: string): Reference {
  let rest = text;
  let host: string | undefined;
  const slash = rest.indexOf("/");
  if (slash > 0 && !rest.startsWith("@")) {
    host = rest.slice(0, slash);
    if (!isHost(host)) throw invalid(text, `"${host}" is not a host`);
    rest = rest.slice(slash + 1);
  }
  const at = rest.indexOf("@", 1);
  if (at !== -1) {
    const digest = parseDigest(rest.slice(at + 1));
    return { host, name: parseDatasetName(rest.slice(0, at)), tag: undefined, digest };
  }
  const colon = rest.indexOf(":");
  if (colon === -1) return { host, name: parseDatasetName(rest), tag: undefined, digest: undefined };
  const name = parseDatasetName(rest.slice(0, colon));
  return { host, name, tag: parseTag(rest.slice(colon + 1)), digest: undefined };
}

/** The text form of a reference. */
export function formatReference(reference: Reference): string {
  const host = reference.host === undefined ? "" : `${reference.host}/`;
  const tag = reference.tag === undefined ? "" : `:${reference.tag}`;
  const digest = reference.digest === undefined ? "" : `@${formatDigest(reference.digest)}`;
  return `${host}${reference.name}${tag}${digest}`;
}
