/** XML that a client sent, read strictly: well-formed, with namespaces, without a document type. RFC 4918 §8.2, §17 */
import { SaxesParser } from "saxes";
import { AetherError } from "../../base/errors.ts";

/** Elements in one another at most. */
const DEPTH_MAX = 32;

/** An element, its text and attributes left out. */
export interface Element {
  readonly namespace: string;
  /** Without a prefix. */
  readonly name: string;
  readonly children: readonly Element[];
}

/** What an encoding may be called in the document: with these, what was decoded is what was meant. */
const ENCODINGS = /^(?:utf-8|us-ascii|utf-16(?:le|be)?)$/i;
const BOM_BIG = 0xfeff;
const BOM_LITTLE = 0xfffe;

/** The root element of a document in UTF-8, or in UTF-16 with a mark. Errors: ARGUMENT_INVALID. */
export function readElements(bytes: Buffer): Element {
  const text = decode(bytes);
  // Entities are those of XML itself and no others: only a document type could define some.
  const parser = new SaxesParser({ xmlns: true });
  const open: { namespace: string; name: string; children: Element[] }[] = [];
  let root: Element | undefined;
  parser.on("xmldecl", ({ encoding = "utf-8" }) => {
    if (!ENCODINGS.test(encoding)) throw new Error("it says that it is in another encoding than UTF-8");
  });
  parser.on("doctype", () => {
    throw new Error("a document type is not taken");
  });
  parser.on("opentag", ({ uri, local }) => {
    if (open.length === DEPTH_MAX) throw new Error(`more than ${DEPTH_MAX} elements lie in one another`);
    const element = { namespace: uri, name: local, children: [] };
    open.at(-1)?.children.push(element);
    root ??= element;
    open.push(element);
  });
  parser.on("closetag", () => open.pop());
  try {
    parser.write(text).close();
    if (root === undefined) throw new Error("it has no element");
    return root;
  } catch (cause) {
    throw invalid(cause);
  }
}

function decode(bytes: Buffer): string {
  const mark = bytes.byteLength >= 2 ? bytes.readUInt16BE() : 0;
  const encoding = mark === BOM_BIG ? "utf-16be" : mark === BOM_LITTLE ? "utf-16le" : "utf-8";
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch (cause) {
    throw invalid(cause);
  }
}

function invalid(cause: unknown): AetherError {
  const why = cause instanceof Error ? cause.message.slice(0, 200) : "";
  return new AetherError("ARGUMENT_INVALID", `the body is no XML that can be read: ${why}`, { cause });
}
