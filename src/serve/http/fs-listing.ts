/** A list under /fs as a response. */
import { AetherError } from "../../base/errors.ts";
import { Body } from "../body.ts";
import { checkConditions } from "../conditions.ts";
import { sendNotAcceptable, type HttpRequest, type HttpResponse } from "../http-handler.ts";
import { begun } from "./begun.ts";
import { codingOf, type Coders, type Coding } from "./codings.ts";
import { renderHtml } from "./listing-html.ts";
import { listingTypeOf, Page, renderJson, type Listing } from "./listing.ts";

/** What answering takes. */
export interface ListingAnswer {
  readonly listing: Listing;
  readonly limit: number | undefined;
  /** For Cache-Control. */
  readonly cacheControl: string;
  /** What the list can only change with; undefined: nothing says whether it has changed. */
  readonly of: string | undefined;
  readonly coders: Coders;
}

const GUARDS = {
  "content-security-policy":
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "cross-origin-resource-policy": "same-origin",
};

/** Answers a GET or HEAD with a list, in the form and coding that the client likes best. Errors: those of the list. */
export async function sendListing(
  request: HttpRequest,
  response: HttpResponse,
  { listing, limit, cacheControl, of, coders }: ListingAnswer,
): Promise<void> {
  const { headers, method } = request;
  const type = listingTypeOf(headers);
  const accepted = headers["accept-encoding"];
  const choose = (): Coding | undefined =>
    codingOf(typeof accepted === "string" ? accepted : undefined, coders.isFree);
  const shapeOf = (coding: Coding): Readonly<Record<string, string>> => ({
    "cache-control": cacheControl,
    vary: "accept, accept-encoding",
    ...(of === undefined ? {} : { etag: `W/"${of}.${type}.${coding}"` }),
  });
  const likely = choose();
  if (likely === undefined) {
    sendNotAcceptable(response, "content-encoding zstd, br, gzip or identity");
    return;
  }
  const about = shapeOf(likely);
  const { etag = "" } = about;
  const status = of === undefined ? 200 : checkConditions(headers, { etag, modifiedSeconds: undefined });
  if (status !== 200) {
    response.writeHead(status, status === 304 ? about : { ...about, "content-length": 0 });
    response.end();
    return;
  }
  const items = await begun(listing.items);
  // Others may have taken the last coders meanwhile. From here on nothing waits until the coder is taken.
  const coding = choose() ?? likely;
  if (coding !== "identity" && !coders.isFree) {
    throw new AetherError("HUB_UNAVAILABLE", "too many answers are being compressed: try again");
  }
  response.writeHead(200, {
    ...shapeOf(coding),
    "content-type": type === "text/html" ? "text/html; charset=utf-8" : type,
    ...(coding === "identity" ? {} : { "content-encoding": coding }),
    ...GUARDS,
  });
  if (method === "HEAD") {
    response.end();
    return;
  }
  const begunListing = { ...listing, items };
  const page = new Page(begunListing, limit);
  const text = type === "text/html" ? renderHtml(listing, page) : renderJson(listing, page);
  await new Body(response).send(coding === "identity" ? text : coders.code(text, coding));
}
