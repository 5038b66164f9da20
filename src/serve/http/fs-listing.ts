/** A list under /fs as a response. */
import type { Answer } from "../answers.ts";
import { Body } from "../body.ts";
import { checkConditions } from "../conditions.ts";
import { sendNotAcceptable, type HttpRequest, type HttpResponse } from "../http-handler.ts";
import { begun } from "./begun.ts";
import { code, codingOf } from "../codings.ts";
import { renderHtml } from "./listing-html.ts";
import { listingTypeOf, Page, renderJson, type Listing } from "./listing.ts";

/** Changes with what pages and JSON say of the same list: what a client keeps is of one release's form. */
const LAYOUT = "1";

/** What answering takes. */
export interface ListingAnswer {
  readonly listing: Listing;
  readonly limit: number | undefined;
  /** For Cache-Control. */
  readonly cacheControl: string;
  /** What the list can only change with; undefined: nothing says whether it has changed. */
  readonly of: string | undefined;
  readonly answer: Answer;
}

const GUARDS = {
  "content-security-policy":
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "cross-origin-resource-policy": "same-origin",
};

/** Answers a GET or HEAD with a list, in the form and coding that the client likes best. Errors: HUB_BUSY; those of the list. */
export async function sendListing(
  request: HttpRequest,
  response: HttpResponse,
  { listing, limit, cacheControl, of, answer }: ListingAnswer,
): Promise<void> {
  const { headers, method } = request;
  const type = listingTypeOf(headers);
  const accepted = headers["accept-encoding"];
  const coding = codingOf(typeof accepted === "string" ? accepted : undefined, answer.mayCode);
  if (coding === undefined) {
    sendNotAcceptable(response, "content-encoding zstd, br, gzip or identity");
    return;
  }
  const etag = `W/"${of ?? ""}.${LAYOUT}.${type}.${coding}"`;
  const about = {
    "cache-control": cacheControl,
    vary: "accept, accept-encoding",
    ...(of === undefined ? {} : { etag }),
  };
  const status = of === undefined ? 200 : checkConditions(headers, { etag, modifiedSeconds: undefined });
  if (status !== 200) {
    response.writeHead(status, status === 304 ? about : { ...about, "content-length": 0 });
    response.end();
    return;
  }
  const isSent = method !== "HEAD";
  if (isSent) await answer.stream();
  if (isSent && coding !== "identity") await answer.takeCoder();
  const items = await answer.turn(() => begun(listing.items));
  response.writeHead(200, {
    ...about,
    "content-type": type === "text/html" ? "text/html; charset=utf-8" : type,
    ...(coding === "identity" ? {} : { "content-encoding": coding }),
    ...GUARDS,
  });
  if (!isSent) {
    response.end();
    return;
  }
  const begunListing = { ...listing, items };
  const page = new Page(begunListing, limit);
  const text = answer.inTurns(
    type === "text/html" ? renderHtml(begunListing, page) : renderJson(begunListing, page),
  );
  await new Body(response).send(answer.sent(coding === "identity" ? text : code(text, coding)));
}
