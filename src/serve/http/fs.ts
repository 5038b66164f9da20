/** Files over HTTP: `/fs/[@scope/]name/TAG/path`. docs/http.md */
import type { ByteRange } from "../../base/byte-range.ts";
import { AetherError } from "../../base/errors.ts";
import { formatDigest } from "../../format/digest.ts";
import type { Caller, DirectoryNode, FileNode } from "../../vfs/tree.ts";
import type { TreePath, VersionPath } from "../../vfs/tree-path.ts";
import { likelyRange } from "../byte-ranges.ts";
import type { Answer } from "../answers.ts";
import { callerOf } from "../caller.ts";
import {
  sendMethodNotAllowed,
  type HttpHandler,
  type HttpRequest,
  type HttpResponse,
} from "../http-handler.ts";
import type { Services } from "../services.ts";
import { encodePath, parseTreeTarget } from "../tree-target.ts";
import { sendArchive } from "./fs-archive.ts";
import { sendFile } from "./fs-file.ts";
import { sendListing } from "./fs-listing.ts";
import { datasetsListing, folderListing, tagsListing } from "./fs-lists.ts";
import { parseFsQuery, type FsQuery } from "./fs-query.ts";

/** What a digest names never changes; what a tag names may any time. */
const FOREVER = "public, max-age=31536000, immutable";
const ASK_AGAIN = "no-cache";
const METHODS = ["GET", "HEAD", "OPTIONS"];

/** What a request asks for, and who asks. */
interface Asked<Place> {
  readonly place: Place;
  /** The interface's name in paths: lists may be asked for through others too. */
  readonly base: string;
  readonly isFolder: boolean;
  readonly query: FsQuery;
  readonly caller: Caller;
  readonly answer: Answer;
}

/**
 * Answers everything under /fs: the files of versions (their SHA-256 is the ETag), folders as one archive, and lists of folders, tags
 * and datasets as HTML or JSON. A symbolic link is followed within its version.
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
    const { access, answers } = this.#services;
    if (request.method === "OPTIONS") {
      response.writeHead(204, { allow: METHODS.join(", ") });
      response.end();
      return;
    }
    if (request.method !== "GET" && request.method !== "HEAD") {
      sendMethodNotAllowed(response, METHODS);
      return;
    }
    const { url = "" } = request;
    const { base, place, isFolder } = parseTreeTarget(url);
    const query = parseFsQuery(url);
    const caller = callerOf(access, await access.identify(request.headers));
    await answers.run(request, response, (answer) =>
      place.kind === "version"
        ? this.#answerInVersion(request, response, { place, base, isFolder, query, caller, answer })
        : this.#answerList(request, response, { place, base, isFolder, query, caller, answer }),
    );
  }

  async #answerList(
    request: HttpRequest,
    response: HttpResponse,
    { place, base, isFolder, query, caller, answer }: Asked<Exclude<TreePath, VersionPath>>,
  ): Promise<void> {
    const { tree } = this.#services;
    const { after, limit, archive } = query;
    if (place.kind === "dataset") await caller.check("read", place.name);
    if (archive !== undefined) throw noArchive();
    if (!isFolder) {
      redirectToFolder(request, response, nameOf(place, base));
      return;
    }
    const where = { tree, caller, after };
    const listing =
      place.kind === "dataset"
        ? tagsListing(where, place.name)
        : datasetsListing(where, place.kind === "scope" ? place.scope : undefined);
    await sendListing(request, response, { listing, limit, cacheControl: ASK_AGAIN, of: undefined, answer });
  }

  async #answerInVersion(
    request: HttpRequest,
    response: HttpResponse,
    asked: Asked<VersionPath>,
  ): Promise<void> {
    const { place, isFolder, query, caller, answer } = asked;
    const { tag, path } = place;
    const { tree } = this.#services;
    const soon = request.method === "GET" ? likelyRange(request.headers.range) : undefined;
    const node = await tree.look(caller, place, soon, answer);
    if (node.kind === "file") {
      if (isFolder) throw noFolder(path);
      if (query.archive !== undefined) throw noArchive();
      await this.#answerFile(request, response, node, { ...query, answer });
    } else if (!isFolder) {
      redirectToFolder(request, response, path === "" ? (tag ?? formatDigest(node.version.digest)) : path);
    } else {
      await this.#answerFolder(request, response, node, asked);
    }
  }

  async #answerFile(
    request: HttpRequest,
    response: HttpResponse,
    node: FileNode,
    { download, answer }: FsQuery & Pick<Asked<VersionPath>, "answer">,
  ): Promise<void> {
    const { tree, engine } = this.#services;
    const { clock, random } = engine;
    await sendFile(request, response, {
      entry: node.entry,
      cacheControl: cacheControlOf(node),
      isFixed: node.digest !== undefined,
      download,
      nowMs: clock.nowMs(),
      boundary: () => random.id(),
      answer,
      whole: () => tree.whole(node, answer),
      read: (range: ByteRange) => tree.read(node, range, answer),
    });
  }

  async #answerFolder(
    request: HttpRequest,
    response: HttpResponse,
    node: DirectoryNode,
    { place: { path }, query, answer }: Asked<VersionPath>,
  ): Promise<void> {
    const { tree } = this.#services;
    const { archive: kind, download, after, limit } = query;
    const cacheControl = cacheControlOf(node);
    if (kind !== undefined) {
      await sendArchive(request, response, { tree, folder: node, kind, cacheControl, download, answer });
      return;
    }
    const listing = folderListing(tree, node, { path, after });
    const of = node.version.digest;
    await sendListing(request, response, { listing, limit, cacheControl, of, answer });
  }
}

function cacheControlOf({ digest }: FileNode | DirectoryNode): string {
  return digest === undefined ? ASK_AGAIN : FOREVER;
}

/** How the place's own list is called in a path. */
function nameOf(place: Exclude<TreePath, VersionPath>, base: string): string {
  if (place.kind === "root") return base;
  return place.kind === "scope" ? place.scope : place.name;
}

/** Relative links of a list hold only below its slash. */
function redirectToFolder({ url = "" }: HttpRequest, response: HttpResponse, path: string): void {
  const query = url.includes("?") ? url.slice(url.indexOf("?")) : "";
  const location = `${encodePath(path.slice(path.lastIndexOf("/") + 1))}/${query}`;
  // What is a folder may be a file once the tag has moved: browsers keep a 308 for ever that says nothing else.
  response.writeHead(308, { location, "content-length": 0, "cache-control": ASK_AGAIN });
  response.end();
}

function noArchive(): AetherError {
  return new AetherError(
    "ARGUMENT_INVALID",
    "an archive is made of a folder of a version, or of a whole one",
  );
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
