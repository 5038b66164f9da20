/** Answers about several resources. RFC 4918 §13 */
import { KiB } from "../../base/limits.ts";
import { emptyElement, isProtected, type PropertyWriter, type Resource } from "./properties.ts";
import type { Found } from "./resources.ts";
import type { PropertyName } from "./requests.ts";

/** Characters that are sent together. */
const PIECE_LENGTH = 32 * KiB;
const DECLARATION = '<?xml version="1.0" encoding="utf-8"?>\n';
const BEGIN = `${DECLARATION}<D:multistatus xmlns:D="DAV:">\n`;
const END = "</D:multistatus>\n";
const FORBIDDEN = "</D:prop><D:status>HTTP/1.1 403 Forbidden</D:status>";

/** The error that says why a PROPFIND is refused. RFC 4918 §9.1, §16 */
export const FINITE_DEPTH = `${DECLARATION}<D:error xmlns:D="DAV:"><D:propfind-finite-depth/></D:error>\n`;

/** A multistatus in pieces: of a resource and, with `withMembers`, of what lies in it. The last piece is whole. */
export async function* propfindPieces(
  { self, members }: Found,
  writer: PropertyWriter,
  { path, withMembers }: { readonly path: string; readonly withMembers: boolean },
): AsyncGenerator<string> {
  let text = BEGIN + responseOf(path, writer.propstats(self));
  for await (const batch of withMembers ? members() : []) {
    for (const member of batch) {
      text += responseOf(path + segmentOf(member), writer.propstats(member));
      if (text.length < PIECE_LENGTH) continue;
      yield text;
      text = "";
    }
  }
  yield text + END;
}

/** Whether a piece is the last one. */
export function isLastPiece(piece: string): boolean {
  return piece.endsWith(END);
}

/** The answer to a PROPPATCH: none of the properties can be changed. RFC 4918 §9.2 */
export function refusedChanges(path: string, names: readonly PropertyName[]): string {
  const live = names.filter(isProtected).map(emptyElement).join("");
  const dead = names.filter((name) => !isProtected(name)).map(emptyElement);
  const refused = (elements: string, why: string): string =>
    elements === "" ? "" : `<D:propstat><D:prop>${elements}${FORBIDDEN}${why}</D:propstat>`;
  const why =
    "<D:responsedescription>This tree is for reading: it keeps no properties.</D:responsedescription>";
  const propstats =
    refused(live, "<D:error><D:cannot-modify-protected-property/></D:error>") + refused(dead.join(""), why);
  return BEGIN + responseOf(path, propstats) + END;
}

/** A path of these segments as it stands in an href, none of which are the root's; a collection's ends with a slash. RFC 4918 §8.3 */
export function hrefOf(segments: readonly string[], { file }: Resource): string {
  const path = segments
    .filter(Boolean)
    .map((segment) => `/${encode(segment)}`)
    .join("");
  return file === undefined ? `${path}/` : path;
}

function segmentOf({ name, file }: Resource): string {
  return file === undefined ? `${encode(name)}/` : encode(name);
}

function responseOf(href: string, propstats: string): string {
  return `<D:response><D:href>${href}</D:href>${propstats}</D:response>\n`;
}

const PLAIN = /^[\w.~@:-]*$/;

/** What stands in a path as it is stands so, the rest percent-encoded: nothing of it means anything to XML. RFC 3986 §3.3 */
function encode(segment: string): string {
  if (PLAIN.test(segment)) return segment;
  return encodeURIComponent(segment).replaceAll("%40", "@").replaceAll("%3A", ":");
}
