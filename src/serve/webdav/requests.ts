/** What the bodies and headers of WebDAV's requests ask for. RFC 4918 §9.1, §9.2, §10.2 */
import { AetherError } from "../../base/errors.ts";
import { readElements, type Element } from "./elements.ts";

/** The namespace of WebDAV itself. */
export const DAV = "DAV:";

/** Properties that one request may name: each is answered for each resource. */
const NAMES_MAX = 128;

/** The name of a property. */
export interface PropertyName {
  /** "" is none. */
  readonly namespace: string;
  readonly name: string;
}

/** Which properties are asked for. */
export type PropfindQuery =
  | { readonly kind: "allprop" | "prop"; readonly names: readonly PropertyName[] }
  | { readonly kind: "propname" };

const ALL: PropfindQuery = { kind: "allprop", names: [] };

/** The query of a PROPFIND; no body asks for all, `names` are those asked for besides. Errors: ARGUMENT_INVALID, LIMIT_EXCEEDED. */
export function parsePropfind(body: Buffer): PropfindQuery {
  if (body.byteLength === 0) return ALL;
  const root = rootOf(body, "propfind");
  const asked = root.children.filter(
    (child) => is(child, "allprop") || is(child, "propname") || is(child, "prop"),
  );
  const [only] = asked;
  if (only === undefined || asked.length > 1) {
    throw new AetherError("ARGUMENT_INVALID", "a propfind has one of allprop, propname and prop");
  }
  if (is(only, "propname")) return { kind: "propname" };
  if (is(only, "prop")) return { kind: "prop", names: namesIn([only]) };
  return { kind: "allprop", names: namesIn(root.children.filter((child) => is(child, "include"))) };
}

/** The properties that a PROPPATCH would change. Errors: ARGUMENT_INVALID, LIMIT_EXCEEDED. */
export function parseProppatch(body: Buffer): readonly PropertyName[] {
  const changes = rootOf(body, "propertyupdate").children.filter(
    (child) => is(child, "set") || is(child, "remove"),
  );
  const names = namesIn(changes.flatMap(({ children }) => children.filter((child) => is(child, "prop"))));
  if (names.length > 0) return names;
  throw new AetherError("ARGUMENT_INVALID", "a propertyupdate sets or removes a property");
}

/** How deep a header `Depth` asks to look; undefined is no header. Errors: ARGUMENT_INVALID. RFC 4918 §10.2 */
export function parseDepth(header: string | undefined): "0" | "1" | "infinity" {
  const depth = header?.trim().toLowerCase() ?? "infinity";
  if (depth === "0" || depth === "1" || depth === "infinity") return depth;
  throw new AetherError("ARGUMENT_INVALID", "the header Depth is one of 0, 1 and infinity");
}

/** Holds a header `Destination` to its form. Errors: ARGUMENT_INVALID. RFC 4918 §10.3 */
export function checkDestination(header: string | undefined): void {
  if (header !== undefined && (header.startsWith("/") || URL.canParse(header))) return;
  throw new AetherError("ARGUMENT_INVALID", "the header Destination says where to, as a URL");
}

function rootOf(body: Buffer, name: string): Element {
  const root = readElements(body);
  if (is(root, name)) return root;
  throw new AetherError("ARGUMENT_INVALID", `the body is no ${name} of the namespace DAV:`);
}

function is({ namespace, name }: Element, wanted: string): boolean {
  return namespace === DAV && name === wanted;
}

/** The names of all that lies in these, each once. */
function namesIn(elements: readonly Element[]): PropertyName[] {
  const names = new Map<string, PropertyName>();
  for (const { namespace, name } of elements.flatMap(({ children }) => children)) {
    names.set(`${namespace}\n${name}`, { namespace, name });
  }
  if (names.size <= NAMES_MAX) return [...names.values()];
  const data = { limit: NAMES_MAX };
  throw new AetherError("LIMIT_EXCEEDED", `a request names at most ${NAMES_MAX} properties`, { data });
}
