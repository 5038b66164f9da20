/** Files over HTTP: `/fs/[@scope/]name/TAG/path`. */
import { AetherError } from "../../base/errors.ts";
import { resolve } from "../../dataset/resolve.ts";
import { DatasetVersions } from "../../dataset/dataset-versions.ts";
import { requireDataset } from "../../dataset/datasets.ts";
import { StreamReader } from "../../dataset/read/stream-reader.ts";
import { formatDigest, type Digest } from "../../format/digest.ts";
import {
  sendMethodNotAllowed,
  type HttpHandler,
  type HttpRequest,
  type HttpResponse,
} from "../http-handler.ts";
import type { Services } from "../services.ts";
import { Body } from "./body.ts";
import { checkConditions } from "./conditions.ts";
import { follow } from "./follow.ts";
import { sendFile } from "./fs-file.ts";
import { datasetsListing, folderListing, tagsListing } from "./fs-lists.ts";
import { encodePath, parseFsTarget, type InVersion } from "./fs-target.ts";
import { listingTypeOf, renderListing, type Listing } from "./listing.ts";
import { Versions } from "./versions.ts";

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
  readonly #versions: Versions;
  readonly #own: DatasetVersions;
  readonly #reader: StreamReader;

  constructor(services: Services) {
    this.#services = services;
    this.#versions = new Versions(services.engine);
    this.#own = new DatasetVersions(services.engine.store.datasets);
    const isLocal = services.engine.store.blocks.features.folder !== undefined;
    this.#reader = new StreamReader(services.engine, { isLocal });
  }

  async answer(request: HttpRequest, response: HttpResponse): Promise<void> {
    const { access } = this.#services;
    if (request.method !== "GET" && request.method !== "HEAD") {
      sendMethodNotAllowed(response, ["GET", "HEAD"]);
      return;
    }
    const target = parseFsTarget(request.url ?? "");
    const identity = await access.identify(request.headers);
    if (target.kind !== "datasets") await access.check(identity, "read", target.name);
    if (target.kind === "version") {
      await this.#answerInVersion(request, response, target);
    } else if (!target.isFolder) {
      redirectToFolder(request, response, target.kind === "tags" ? target.name : "fs");
    } else {
      const isAll = target.kind === "datasets";
      const listing = isAll
        ? datasetsListing(this.#services, identity)
        : tagsListing(this.#services, target.name);
      await sendListing(request, response, listing, ASK_AGAIN);
    }
  }

  async #answerInVersion(request: HttpRequest, response: HttpResponse, target: InVersion): Promise<void> {
    const { engine } = this.#services;
    const { tag, digest, path, isFolder } = target;
    const version = await this.#versions.open(await this.#find(target));
    const cacheControl = digest === undefined ? ASK_AGAIN : FOREVER;
    const placed = await follow(version, path);
    if (placed?.entry.kind === "file") {
      const { entry, start } = placed;
      if (isFolder) throw noFolder(path);
      const read = (range: { start: number; end: number }): AsyncIterable<Uint8Array> =>
        this.#reader.read(version, { start: start + range.start, end: start + range.end });
      const [nowMs, boundary] = [engine.clock.nowMs(), engine.random.id()];
      await sendFile(request, response, { entry, cacheControl, nowMs, boundary, read });
    } else if (!isFolder) {
      redirectToFolder(request, response, path === "" ? (tag ?? formatDigest(version.digest)) : path);
    } else {
      const listing = folderListing(target, version, placed?.entry.path ?? "");
      await sendListing(request, response, listing, cacheControl, version.digest);
    }
  }

  /** The version that a tag points at, or that a digest names among those of the dataset. */
  async #find({ name, tag, digest }: InVersion): Promise<Digest> {
    const { engine } = this.#services;
    if (digest === undefined) return (await resolve(engine, { host: undefined, name, tag, digest })).version;
    if (await this.#own.has(await requireDataset(engine, name), digest)) return digest;
    const text = formatDigest(digest);
    const data = { dataset: name, digest: text };
    throw new AetherError("VERSION_NOT_FOUND", `${name} has no version ${text}`, { data });
  }
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
