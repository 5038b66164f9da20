/** Lists in pages. A page's token names the last item it gave, so that what changes meanwhile neither repeats nor skips another. */
import { must } from "../../base/assert.ts";
import { AetherError } from "../../base/errors.ts";
import { MiB } from "../../base/limits.ts";

/** Bytes of one page, about: far below what gRPC's clients take for a message (4 MiB as a rule). */
const PAGE_BYTES_MAX = MiB;
const PAGE_ITEMS_MAX = 1000;
const TOKEN_LENGTH_MAX = 8192;

/** What a page is asked for with. */
export interface PageRequest {
  readonly pageToken: string;
  /** 0: the hub's choice. */
  readonly pageSize: number;
}

/** How items of a list become a page. */
export interface PageForm<T, M> {
  /** Which list: a token of another is refused. */
  readonly list: string;
  readonly message: (item: T) => M;
  /** What a later page begins after. */
  readonly position: (item: T) => string;
  /** About how many bytes the message has. */
  readonly bytes: (item: T) => number;
}

/** A page, and the token of the next one: empty when there is none. */
export interface Page<M> {
  readonly items: M[];
  readonly nextPageToken: string;
}

/** What the page begins after; undefined: at the start. Errors: ARGUMENT_INVALID when the token is of no page of that list. */
export function positionOf(list: string, { pageToken }: PageRequest): string | undefined {
  if (pageToken === "") return undefined;
  if (pageToken.length <= TOKEN_LENGTH_MAX) {
    const [kind, ...position] = Buffer.from(pageToken, "base64url").toString("utf8").split(":");
    if (kind === list && position.length > 0) return position.join(":");
  }
  throw new AetherError(
    "ARGUMENT_INVALID",
    "the page token is none of this list: pass one as the page before gave it, or none to begin",
  );
}

/** The next page of `items`, which begin after the position. Errors: ARGUMENT_INVALID when the size is negative. */
export async function readPage<T, M>(
  items: AsyncIterable<T>,
  { pageSize }: PageRequest,
  form: PageForm<T, M>,
): Promise<Page<M>> {
  if (pageSize < 0)
    throw new AetherError("ARGUMENT_INVALID", `a page has no ${pageSize} items: ask for 1 or more`);
  const itemsMax = pageSize === 0 ? PAGE_ITEMS_MAX : Math.min(pageSize, PAGE_ITEMS_MAX);
  const page: T[] = [];
  let bytes = 0;
  for await (const item of items) {
    bytes += form.bytes(item);
    if (page.length === itemsMax || (page.length > 0 && bytes > PAGE_BYTES_MAX)) {
      const last = must(page.at(-1), "a page that is full has items");
      const token = Buffer.from(`${form.list}:${form.position(last)}`).toString("base64url");
      return { items: page.map(form.message), nextPageToken: token };
    }
    page.push(item);
  }
  return { items: page.map(form.message), nextPageToken: "" };
}
