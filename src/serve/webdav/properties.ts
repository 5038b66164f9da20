/** The properties of resources, as they stand in a multistatus. RFC 4918 §15 */
import { formatDigest, type Digest } from "../../format/digest.ts";
import type { FileEntry, FileTime } from "../../format/entry.ts";
import { contentTypeOf } from "../content-type.ts";
import { httpDate, isoTime, modifiedSecondsOf } from "../http-time.ts";
import { escapeXml } from "../xml.ts";
import { DAV, type PropertyName, type PropfindQuery } from "./requests.ts";

/** The namespace of properties that AetherFS adds. */
const OWN = "https://aetherfs.dev/ns/webdav";

/** What has properties. */
export interface Resource {
  /** The last segment of its path. */
  readonly name: string;
  /** Of a file; undefined: it is a collection. */
  readonly file: FileEntry | undefined;
  /** When its content was changed, if anybody knows. */
  readonly modified: FileTime | undefined;
  /** The SHA-256 of a file's content; the version that a tag points at. */
  readonly digest: Digest | undefined;
}

/** What a property's value may depend on besides its resource. */
interface Facts {
  readonly nowMs: number;
  readonly dates: Dates;
}

/** The value, which is XML; undefined: the resource has no such property. */
type ValueOf = (resource: Resource, facts: Facts) => string | undefined;

/** Properties are live, and protected: nobody changes them. */
const OF_DAV: Readonly<Record<string, ValueOf>> = {
  resourcetype: ({ file }) => (file === undefined ? "<D:collection/>" : ""),
  displayname: ({ name }) => escapeXml(name, "replacement"),
  getcontentlength: ({ file }) => (file === undefined ? undefined : String(file.size)),
  getcontenttype: ({ file }) => (file === undefined ? undefined : contentTypeOf(file.path)),
  getetag: ({ file }) => (file === undefined ? undefined : `"${file.digest}"`),
  getlastmodified: ({ modified }, { nowMs, dates }) =>
    modified === undefined || modifiedSecondsOf(modified, nowMs) === undefined
      ? undefined
      : dates.http(modified),
  // Nobody keeps when a file was made; it was not later than this.
  creationdate: ({ modified }, { dates }) => (modified === undefined ? undefined : dates.iso(modified)),
  // There are no locks.
  supportedlock: () => "",
  lockdiscovery: () => "",
};
/** Only who names them gets them. */
const OF_OWN: Readonly<Record<string, ValueOf>> = {
  digest: ({ digest }) => (digest === undefined ? undefined : formatDigest(digest)),
};

/** A property that is there, and how its element begins and ends. */
interface Written {
  readonly open: string;
  readonly close: string;
  readonly empty: string;
  readonly valueOf: ValueOf;
}

const EVERY_DAV = Object.keys(OF_DAV).map((name) => ({ namespace: DAV, name }));
const EVERY = [...EVERY_DAV, ...Object.keys(OF_OWN).map((name) => ({ namespace: OWN, name }))];
const OK = "</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>";
const NOT_FOUND = "</D:prop><D:status>HTTP/1.1 404 Not Found</D:status></D:propstat>";

/** Writes what one request asks for, of any number of resources. */
export class PropertyWriter {
  readonly #kind: PropfindQuery["kind"];
  readonly #written: readonly Written[];
  /** Elements of those that nothing has. */
  readonly #unknown: string;
  readonly #facts: Facts;

  constructor(query: PropfindQuery, nowMs: number) {
    const names = namesOf(query);
    const known = names.filter((name) => valueOf(name) !== undefined);
    const unknown = names.filter((name) => valueOf(name) === undefined);
    this.#kind = query.kind;
    this.#written = known.map(writtenOf);
    this.#unknown = unknown.map(emptyElement).join("");
    this.#facts = { nowMs, dates: new Dates() };
  }

  /** The elements `propstat` of a resource. */
  propstats(resource: Resource): string {
    const isNames = this.#kind === "propname";
    let found = "";
    let missing = this.#unknown;
    for (const { open, close, empty, valueOf } of this.#written) {
      const value = valueOf(resource, this.#facts);
      if (value === undefined) {
        if (this.#kind === "prop") missing += empty;
      } else if (value === "" || isNames) found += empty;
      else found += open + value + close;
    }
    const notFound = missing === "" ? "" : `<D:propstat><D:prop>${missing}${NOT_FOUND}`;
    return found === "" && missing !== "" ? notFound : `<D:propstat><D:prop>${found}${OK}${notFound}`;
  }
}

/** Whether a property of that name is there, and protected. */
export function isProtected(name: PropertyName): boolean {
  return valueOf(name) !== undefined;
}

/** Has a prefix of its own, and can be no element's default. "Namespaces in XML 1.0" §3 */
const XML = "http://www.w3.org/XML/1998/namespace";

/** The element of a property, with nothing in it. */
export function emptyElement({ namespace, name }: PropertyName): string {
  if (namespace === DAV) return `<D:${name}/>`;
  if (namespace === XML) return `<xml:${name}/>`;
  return `<${name} xmlns="${escapeXml(namespace, "replacement")}"/>`;
}

function namesOf(query: PropfindQuery): readonly PropertyName[] {
  if (query.kind === "propname") return EVERY;
  if (query.kind === "prop") return query.names;
  const more = query.names.filter(({ namespace, name }) => namespace !== DAV || !Object.hasOwn(OF_DAV, name));
  return [...EVERY_DAV, ...more];
}

function valueOf({ namespace, name }: PropertyName): ValueOf | undefined {
  const table = namespace === DAV ? OF_DAV : namespace === OWN ? OF_OWN : {};
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

function writtenOf(property: PropertyName): Written {
  const { namespace, name } = property;
  const [open, close] =
    namespace === DAV ? [`<D:${name}>`, `</D:${name}>`] : [`<${name} xmlns="${namespace}">`, `</${name}>`];
  return { open, close, empty: emptyElement(property), valueOf: valueOf(property) ?? (() => undefined) };
}

/** Dates as text. Neighbours often have the same one. */
class Dates {
  readonly #http = new LastText(({ seconds }) => httpDate(seconds));
  readonly #iso = new LastText(({ seconds }) => {
    const text = isoTime({ seconds, nanos: 0 });
    return text === "" ? undefined : text;
  });

  http(time: FileTime): string | undefined {
    return this.#http.of(time);
  }

  iso(time: FileTime): string | undefined {
    return this.#iso.of(time);
  }
}

/** The text of a time's second, made anew when that is another than before. */
class LastText {
  readonly #make: (time: FileTime) => string | undefined;
  #seconds = NaN;
  #text: string | undefined;

  constructor(make: (time: FileTime) => string | undefined) {
    this.#make = make;
  }

  of(time: FileTime): string | undefined {
    if (time.seconds !== this.#seconds) {
      this.#seconds = time.seconds;
      this.#text = this.#make(time);
    }
    return this.#text;
  }
}
