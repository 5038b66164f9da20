/** The header `If`: what must hold for a request to be done. RFC 4918 §10.4 */
import { AetherError } from "../../base/errors.ts";
import { KiB } from "../../base/limits.ts";

/** Characters of the header, conditions in it, and resources that it names: each of these is looked up. */
const LENGTH_MAX = 8 * KiB;
const CONDITIONS_MAX = 128;
const RESOURCES_MAX = 8;

/** One condition of a list. */
export interface IfCondition {
  readonly isNot: boolean;
  /** With its quotes; undefined: a state token, which no resource has where there are no locks. */
  readonly etag: string | undefined;
}

/** Conditions that hold together, of a resource. */
export interface IfList {
  /** A URL, or a path; undefined: the request's own. */
  readonly resource: string | undefined;
  readonly conditions: readonly IfCondition[];
}

const BLANKS = String.raw`[ \t]*`;
const URI = String.raw`[A-Za-z][\w+.-]*:[^<>\s]*`;
const TAG = new RegExp(`${BLANKS}<(${URI}|/[^<>\\s]*)>`, "y");
const OPEN = new RegExp(String.raw`${BLANKS}\(`, "y");
const CLOSE = new RegExp(String.raw`${BLANKS}\)`, "y");
const CONDITION = new RegExp(
  String.raw`${BLANKS}(?:(not)${BLANKS})?(?:<${URI}>|\[${BLANKS}((?:W/)?"[\x21\x23-\x7e\x80-\xff]*")${BLANKS}\])`,
  "iy",
);
const REST = new RegExp(`${BLANKS}$`, "y");

/** The lists of a header. Errors: ARGUMENT_INVALID, LIMIT_EXCEEDED. */
export function parseIf(header: string): readonly IfList[] {
  if (header.length > LENGTH_MAX) throw tooMuch(LENGTH_MAX, "characters");
  let at = 0;
  const take = (form: RegExp): RegExpExecArray | undefined => {
    form.lastIndex = at;
    const found = form.exec(header);
    if (found !== null) at = form.lastIndex;
    return found ?? undefined;
  };
  const lists: IfList[] = [];
  let conditions = 0;
  let isTagged: boolean | undefined;
  while (take(REST) === undefined) {
    const [, resource] = take(TAG) ?? [];
    // Lists are of named resources, or all of the request's own.
    isTagged ??= resource !== undefined;
    const isList = take(OPEN) !== undefined;
    if (!isList || (resource !== undefined && !isTagged)) throw malformed();
    const own: IfCondition[] = [];
    for (let found = take(CONDITION); found !== undefined; found = take(CONDITION)) {
      own.push({ isNot: found[1] !== undefined, etag: found[2] });
    }
    conditions += own.length;
    if (conditions > CONDITIONS_MAX) throw tooMuch(CONDITIONS_MAX, "conditions");
    if (own.length === 0 || take(CLOSE) === undefined) throw malformed();
    lists.push({ resource: resource ?? lists.at(-1)?.resource, conditions: own });
  }
  if (lists.length === 0) throw malformed();
  if (new Set(lists.map(({ resource }) => resource)).size > RESOURCES_MAX)
    throw tooMuch(RESOURCES_MAX, "resources");
  return lists;
}

/**
 * Whether the conditions of a list hold, of any of them. `etagOf` gives a resource's entity tag, or undefined: it has none, or is not there;
 * it is asked once for each that matters. Strong comparison: what is sent in a coding is not what a tag without it names.
 */
export async function holdsIf(
  lists: readonly IfList[],
  etagOf: (resource: string | undefined) => Promise<string | undefined>,
): Promise<boolean> {
  const etags = new Map<string | undefined, string | undefined>();
  for (const { resource, conditions } of lists) {
    const isAsked = conditions.some(({ etag }) => etag !== undefined);
    if (isAsked && !etags.has(resource)) etags.set(resource, await etagOf(resource));
    const own = etags.get(resource);
    if (conditions.every(({ isNot, etag }) => (etag !== undefined && etag === own) !== isNot)) return true;
  }
  return false;
}

function malformed(): AetherError {
  return new AetherError("ARGUMENT_INVALID", "the header If is no list of conditions as RFC 4918 has them");
}

function tooMuch(limit: number, of: string): AetherError {
  return new AetherError("LIMIT_EXCEEDED", `the header If has at most ${limit} ${of}`, { data: { limit } });
}
