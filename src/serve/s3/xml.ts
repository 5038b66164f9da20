/** XML as clients of S3 read it: elements and text, nothing else. */
import { escapeXml } from "../xml.ts";

/** The namespace of what S3 answers, but for its errors. */
const NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/";
const DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n';
/** An element that holds a text, a number or a truth; "" of undefined. */
export function leaf(name: string, value: string | number | boolean | undefined): string {
  if (value === undefined) return "";
  // What XML has no way to say stands as a reference all the same, as S3 has it: `encoding-type=url` is for such keys.
  return `<${name}>${escapeXml(String(value), "reference")}</${name}>`;
}

/** An element that holds others, which are XML already. */
export function element(name: string, ...inner: readonly string[]): string {
  return `<${name}>${inner.join("")}</${name}>`;
}

/** A document of S3's namespace. `inner` is XML already. */
export function xmlDocument(name: string, ...inner: readonly string[]): string {
  return `${DECLARATION}<${name} xmlns="${NAMESPACE}">${inner.join("")}</${name}>`;
}

/** A document without a namespace: an error. */
export function errorDocument(...inner: readonly string[]): string {
  return `${DECLARATION}${element("Error", ...inner)}`;
}
