/** Lists as a browser shows them, or as JSON. */
import type { IncomingHttpHeaders } from "node:http";
import { encodePath } from "./fs-target.ts";

/** A line of a list. */
export interface ListingItem {
  readonly name: string;
  /** It holds others: its name leads to a list. */
  readonly isFolder: boolean;
  /** What a browser shows beside the name: two columns. */
  readonly size: string;
  readonly time: string;
  /** What JSON says of it. */
  readonly facts: Readonly<Record<string, unknown>>;
}

/** A list, of any length. */
export interface Listing {
  readonly title: string;
  /** Whether there is something above it. */
  readonly hasParent: boolean;
  /** What JSON says of the list, and under which name it has the items. */
  readonly facts: Readonly<Record<string, unknown>>;
  readonly itemsName: string;
  readonly items: AsyncIterable<readonly ListingItem[]>;
}

/** Media types that lists come in. */
export type ListingType = "text/html" | "application/json";

/** JSON for who prefers it over HTML or does not take HTML. RFC 9110 §12.5.1 */
export function listingTypeOf({ accept = "*/*" }: IncomingHttpHeaders): ListingType {
  const [html, json] = ["text/html", "application/json"].map((type) => weightOf(accept, type));
  return (json ?? 0) > (html ?? 0) ? "application/json" : "text/html";
}

function weightOf(accept: string, type: string): number {
  const ranges = accept.split(",").map((range) =>
    range
      .trim()
      .toLowerCase()
      .split(/\s*;\s*/),
  );
  const all = [type, `${type.split("/", 1).join()}/*`, "*/*"];
  for (const wanted of all) {
    const parameters = ranges.find(([range]) => range === wanted);
    if (parameters === undefined) continue;
    const quality = Number(parameters.find((part) => part.startsWith("q="))?.slice(2) ?? 1);
    return Number.isNaN(quality) ? 1 : quality;
  }
  return 0;
}

/** The list in pieces. */
export function renderListing(listing: Listing, type: ListingType): AsyncGenerator<string> {
  return type === "text/html" ? renderHtml(listing) : renderJson(listing);
}

async function* renderJson({ facts, itemsName, items }: Listing): AsyncGenerator<string> {
  const head = JSON.stringify({ ...facts, [itemsName]: [] });
  yield head.slice(0, -"]}".length);
  let separator = "\n";
  for await (const batch of items) {
    yield batch.reduce((text, { facts: item }) => {
      const line = `${text}${separator}${JSON.stringify(item)}`;
      separator = ",\n";
      return line;
    }, "");
  }
  yield "]}\n";
}

const STYLE =
  "body{font:1rem/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color-scheme:light dark}" +
  "table{border-collapse:collapse;width:100%}th{text-align:left}td,th{padding:.15rem .5rem;vertical-align:top}" +
  "td:first-child{overflow-wrap:anywhere}.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}";

async function* renderHtml({ title, hasParent, items }: Listing): AsyncGenerator<string> {
  const name = escapeHtml(title);
  yield (
    `<!doctype html>\n<html lang="en"><head><meta charset="utf-8">` +
    `<meta name="viewport" content="width=device-width,initial-scale=1"><title>${name}</title><style>${STYLE}</style></head>\n` +
    `<body><h1>${name}</h1>\n<table><thead><tr><th scope="col">Name</th><th scope="col" class="n">Size</th>` +
    `<th scope="col" class="n">Changed</th></tr></thead><tbody>\n`
  );
  if (hasParent) yield `<tr><td><a href="../">../</a></td><td></td><td></td></tr>\n`;
  for await (const batch of items) {
    yield batch.map(rowOf).join("");
  }
  yield "</tbody></table></body></html>\n";
}

function rowOf({ name, isFolder, size, time }: ListingItem): string {
  const slash = isFolder ? "/" : "";
  const link = `<a href="${encodePath(name)}${slash}">${escapeHtml(name)}${slash}</a>`;
  return `<tr><td>${link}</td><td class="n">${escapeHtml(size)}</td><td class="n">${escapeHtml(time)}</td></tr>\n`;
}

function escapeHtml(text: string): string {
  const names: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  return text.replace(/[&<>"]/g, (character) => names[character] ?? character);
}
