/** Files over HTTP: `/fs/[@scope/]name/TAG/path`. */
import type { ByteRange } from "../../base/byte-range.ts";
import { AetherError } from "../../base/errors.ts";
import { formatDigest } from "../../format/digest.ts";
import type { Caller } from "../../vfs/tree.ts";
import type { TreePath, VersionPath } from "../../vfs/tree-path.ts";
import { callerOf } from "../caller.ts";
import {
  sendMethodNotAllowed,
  type HttpHandler,
  type HttpRequest,
  type HttpResponse,
} from "../http-handler.ts";
import type { Services } from "../services.ts";
import { Body } from "../body.ts";
import { likelyRange } from "../byte-ranges.ts";
import { checkConditions } from "../conditions.ts";
import { sendFile } from "./fs-file.ts";
import { datasetsListing, folderListing, tagsListing } from "./fs-lists.ts";
import { encodePath, parseFsTarget } from "./fs-target.ts";
import { listingTypeOf, renderListing, type Listing } from "./listing.ts";

/** What a digest names never changes; what a tag names may any time. */
const FOREVER = "public, max-age=31536000, immutable";
const ASK_AGAIN = "no-cache";

/**
 * Answers everything under /fs: the files of versions (their SHA-256 is the ETag), and lists of folders, tags and datasets as
 * HTML or JSON. A symbolic link is followed within its version.
 */
export function createFs(services: Services): HttpHandler {
  const fs = new Fs(services);
  return (request, response) => fs.answer(request, response);
}

class Fs {
  readonly #services: Services;

  constructor(services: Services) {
    this.#services = services;
  }

  async answer(request: HttpRequest, response: HttpResponse): Promise<void> {
    const { access, tree } = this.#services;
    if (request.method !== "GET" && request.method !== "HEAD") {
      sendMethodNotAllowed(response, ["GET", "HEAD"]);
      return;
    }
    const { place, isFolder } = parseFsTarget(request.url ?? "");
    const caller = callerOf(access, await access.identify(request.headers));
    if (place.kind === "version") {
      await this.#answerInVersion(request, response, { place, isFolder, caller });
      return;
    }
    if (place.kind === "dataset") await caller.check("read", place.name);
    if (!isFolder) {
      redirectToFolder(request, response, nameOf(place));
      return;
    }
    const listing =
      place.kind === "dataset"
        ? tagsListing(tree, caller, place.name)
        : datasetsListing(tree, caller, place.kind === "scope" ? place.scope : undefined);
    await sendListing(request, response, listing, ASK_AGAIN);
  }

  async #answerInVersion(
    request: HttpRequest,
    response: HttpResponse,
    { place, isFolder, caller }: { place: VersionPath; isFolder: boolean; caller: Caller },
  ): Promise<void> {
    const { engine, tree } = this.#services;
    const { tag, digest, path } = place;
    const cacheControl = digest === undefined ? ASK_AGAIN : FOREVER;
    const soon = request.method === "GET" ? likelyRange(request.headers.range) : undefined;
    const node = await tree.look(caller, place, soon);
    if (node.kind === "file") {
      if (isFolder) throw noFolder(path);
      const read = (range: ByteRange): AsyncIterable<Uint8Array> => tree.read(node, range);
      const [nowMs, boundary] = [engine.clock.nowMs(), engine.random.id()];
      await sendFile(request, response, { entry: node.entry, cacheControl, nowMs, boundary, read });
    } else if (!isFolder) {
      redirectToFolder(request, response, path === "" ? (tag ?? formatDigest(node.version.digest)) : path);
    } else {
      const listing = folderListing(tree, node, path);
      await sendListing(request, response, listing, cacheControl, node.version.digest);
    }
  }
}

/** How the place's own list is called in a path. */
function nameOf(place: Exclude<TreePath, VersionPath>): string {
  if (place.kind === "root") return "fs";
  return place.kind === "scope" ? place.scope : place.name;
}

/** Relative links of a list hold only below its slash. */
function redirectToFolder({ url = "" }: HttpRequest, response: HttpResponse, path: string): void {
  const query = url.includes("?") ? url.slice(url.indexOf("?")) : "";
  const location = `${encodePath(path.slice(path.lastIndexOf("/") + 1))}/${query}`;
  response.writeHead(308, { location, "content-length": 0 });
  response.end();
}

/** `of` names what the list can only change with. */
async function sendListing(
  request: HttpRequest,
  response: HttpResponse,
  listing: Listing,
  cacheControl: string,
  of?: string,
): Promise<void> {
  const type = listingTypeOf(request.headers);
  const about = { "cache-control": cacheControl, vary: "accept" };
  const etag = of === undefined ? undefined : `W/"${of}-${type}"`;
  const tagged = etag === undefined ? about : { ...about, etag };
  if (etag !== undefined) {
    const status = checkConditions(request.headers, { etag, modifiedSeconds: undefined });
    if (status !== 200) {
      response.writeHead(status, tagged);
      response.end();
      return;
    }
  }
  // What fails at once is an error's status, not half a list.
  const items = await begun(listing.items);
  response.writeHead(200, {
    ...tagged,
    "content-type": type === "text/html" ? "text/html; charset=utf-8" : type,
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    "x-content-type-options": "nosniff",
  });
  if (request.method === "HEAD") response.end();
  else await new Body(response).send(renderListing({ ...listing, items }, type));
}

/** The same items, the first of them at hand already. */
async function begun<T>(items: AsyncIterable<T>): Promise<AsyncIterable<T>> {
  const iterator = items[Symbol.asyncIterator]();
  let first: Promise<IteratorResult<T>> | undefined = Promise.resolve(await iterator.next());
  const next = (): Promise<IteratorResult<T>> => {
    const item = first ?? iterator.next();
    first = undefined;
    return item;
  };
  const end = async (): Promise<IteratorResult<T>> =>
    (await iterator.return?.()) ?? { done: true, value: undefined };
  return { [Symbol.asyncIterator]: () => ({ next, return: end }) };
}

function noFolder(path: string): AetherError {
  return new AetherError(
    "PATH_NOT_FOUND",
    `${JSON.stringify(path)} is a file, no folder: leave the slash out`,
    {
      data: { path },
    },
  );
}
