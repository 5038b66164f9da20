/** Lists as a browser shows them: without scripts, in the reader's colors, on any screen. */
import { encodePath } from "../tree-target.ts";
import { ARCHIVE_KINDS } from "./fs-query.ts";
import type { Cell, Listing, ListingItem, Page } from "./listing.ts";

const STYLE =
  ":root{color-scheme:light dark}" +
  "body{font:1rem/1.5 system-ui,sans-serif;margin:1.5rem auto;max-width:64rem;padding:0 1rem}" +
  "h1{font-size:1.25rem;font-weight:600;margin:0 0 .5rem;overflow-wrap:anywhere}" +
  "a{text-decoration:none}a:hover,a:focus{text-decoration:underline}" +
  ".about{display:flex;flex-wrap:wrap;gap:0 1.25rem;margin:0 0 1rem;opacity:.85}" +
  "table{border-collapse:collapse;width:100%}" +
  "th{font-weight:600;text-align:left}th,td{padding:.3rem .5rem;vertical-align:top}" +
  "tr{border-bottom:1px solid color-mix(in srgb,currentColor 15%,transparent)}" +
  "tbody tr:hover{background:color-mix(in srgb,currentColor 6%,transparent)}" +
  "td:first-child{overflow-wrap:anywhere;min-width:8rem}" +
  "td+td,th+th{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}" +
  ".empty{opacity:.7}" +
  "@media(max-width:40rem){td:nth-child(n+4),th:nth-child(n+4){display:none}th,td{padding:.4rem .25rem}" +
  "td+td,th+th{white-space:normal}td:first-child{min-width:0}h1,.about,td{overflow-wrap:anywhere}td+td{overflow-wrap:normal}}";

/** The page as HTML, in pieces. */
export async function* renderHtml(listing: Listing, page: Page): AsyncGenerator<string> {
  yield headOf(listing);
  let isEmpty = true;
  for await (const batch of page.items()) {
    isEmpty = false;
    yield batch.map(rowOf).join("");
  }
  if (isEmpty) yield `<tr><td class="empty" colspan="${listing.columns.length}">Nothing here.</td></tr>\n`;
  yield "</tbody></table>\n";
  if (page.next !== undefined) yield `<p><a rel="next" href="${escapeHtml(page.next)}">Go on →</a></p>\n`;
  yield "</body></html>\n";
}

function headOf({ title, crumbs, about, columns, isArchivable }: Listing): string {
  const way = crumbs.map(({ name, link }, index) => {
    const isHere = index === crumbs.length - 1;
    return isHere ? escapeHtml(name) : `<a href="${escapeHtml(link)}">${escapeHtml(name)}</a>`;
  });
  const facts = about.map(({ text, title: exact, link }) => {
    const shown = textOf({ text, ...(exact === undefined ? {} : { title: exact }) });
    return link === undefined ? `<span>${shown}</span>` : `<a href="${escapeHtml(link)}">${shown}</a>`;
  });
  if (isArchivable) {
    // No links: who mirrors a list follows those, and would have everything once more in each archive.
    const buttons = ARCHIVE_KINDS.map((kind) => `<button name="archive" value="${kind}">${kind}</button>`);
    facts.push(`<form>Download all: ${buttons.join(" ")}</form>`);
  }
  const heads = columns.map((name) => `<th scope="col">${escapeHtml(name)}</th>`);
  return (
    `<!doctype html>\n<html lang="en"><head><meta charset="utf-8">` +
    `<meta name="viewport" content="width=device-width,initial-scale=1"><title>${escapeHtml(title)}</title><style>${STYLE}</style></head>\n` +
    `<body><h1>${way.join(" / ")}</h1>\n` +
    (facts.length === 0 ? "" : `<div class="about">${facts.join("\n")}</div>\n`) +
    `<table><thead><tr>${heads.join("")}</tr></thead><tbody>\n`
  );
}

function rowOf({ name, isFolder, cells }: ListingItem): string {
  const slash = isFolder ? "/" : "";
  const link = `<a href="${encodePath(name)}${slash}">${escapeHtml(name)}${slash}</a>`;
  return `<tr><td>${link}</td>${cells.map((cell) => `<td>${textOf(cell)}</td>`).join("")}</tr>\n`;
}

function textOf({ text, title }: Cell): string {
  return title === undefined
    ? escapeHtml(text)
    : `<span title="${escapeHtml(title)}">${escapeHtml(text)}</span>`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}
