/** Lists of any length, whole or a page of them, and as JSON. */
import type { IncomingHttpHeaders } from "node:http";
import { parseWeights } from "../weights.ts";

/** What a browser shows in a line beside the name; `title` says it exactly. */
export interface Cell {
  readonly text: string;
  readonly title?: string;
}

/** A line of a list. */
export interface ListingItem {
  readonly name: string;
  /** It holds others: its name leads to a list. */
  readonly isFolder: boolean;
  /** One for each of the list's columns. */
  readonly cells: readonly Cell[];
  /** What JSON says of it. */
  readonly facts: Readonly<Record<string, unknown>>;
}

/** A place above a list, or the list's own. */
export interface Crumb {
  readonly name: string;
  /** Relative to the list. */
  readonly link: string;
}

/** A list. */
export interface Listing {
  readonly title: string;
  /** The way from the root to the list itself. */
  readonly crumbs: readonly Crumb[];
  /** What a browser shows above the list. */
  readonly about: readonly (Cell & { readonly link?: string })[];
  /** Whether it can be had as an archive. */
  readonly isArchivable: boolean;
  /** Their names; the first one's cell is the name. */
  readonly columns: readonly string[];
  /** What JSON says of the list, and under which name it has the items. */
  readonly facts: Readonly<Record<string, unknown>>;
  readonly itemsName: string;
  readonly items: AsyncIterable<readonly ListingItem[]>;
  /** Where the list goes on after an item of a name; relative to the list, without the query. */
  readonly nextBase: string;
}

/** Media types that lists come in. */
export type ListingType = "text/html" | "application/json";

/** JSON for who prefers it over HTML or does not take HTML. RFC 9110 §12.5.1 */
export function listingTypeOf({ accept = "*/*" }: IncomingHttpHeaders): ListingType {
  const weights = parseWeights(accept);
  const weightOf = (type: string): number =>
    weights.get(type) ?? weights.get(`${type.split("/", 1).join()}/*`) ?? weights.get("*/*") ?? 0;
  return weightOf("application/json") > weightOf("text/html") ? "application/json" : "text/html";
}

/** The items of one page, at most `limit` of them; all when that is undefined. */
export class Page {
  readonly #listing: Listing;
  readonly #limit: number | undefined;
  #next: string | undefined;

  constructor(listing: Listing, limit: number | undefined) {
    this.#listing = listing;
    this.#limit = limit;
  }

  /** Once the items are read: where the list goes on, or undefined at its end. */
  get next(): string | undefined {
    return this.#next;
  }

  async *items(): AsyncGenerator<readonly ListingItem[]> {
    let left = this.#limit ?? Infinity;
    let last = "";
    for await (const batch of this.#listing.items) {
      const part = batch.slice(0, left);
      left -= part.length;
      last = part.at(-1)?.name ?? last;
      if (part.length > 0) yield part;
      if (part.length < batch.length) {
        const words = new URLSearchParams({ after: last, limit: String(this.#limit) });
        this.#next = `${this.#listing.nextBase}?${words.toString()}`;
        return;
      }
    }
  }
}

/** The page as JSON, in pieces. */
export async function* renderJson({ facts, itemsName }: Listing, page: Page): AsyncGenerator<string> {
  const head = JSON.stringify({ ...facts, [itemsName]: [] });
  yield head.slice(0, -"]}".length);
  let separator = "\n";
  for await (const batch of page.items()) {
    yield batch.reduce((text, { facts: item }) => {
      const line = `${text}${separator}${JSON.stringify(item)}`;
      separator = ",\n";
      return line;
    }, "");
  }
  yield `],\n"next":${JSON.stringify(page.next ?? null)}}\n`;
}
