/** WebDAV, for reading: `/webdav/[@scope/]name/TAG/path`. docs/webdav.md */
import { AetherError, codeOf, ERRORS } from "../../base/errors.ts";
import { KiB } from "../../base/limits.ts";
import type { Answer } from "../answers.ts";
import { Body } from "../body.ts";
import { callerOf } from "../caller.ts";
import { code, codingOf } from "../codings.ts";
import {
  sendMethodNotAllowed,
  sendNotAcceptable,
  type HttpHandler,
  type HttpRequest,
  type HttpResponse,
} from "../http-handler.ts";
import { readBody, refuse, refuseWith } from "../request-body.ts";
import type { Services } from "../services.ts";
import { parseTreeTarget, type TreeTarget } from "../tree-target.ts";
import { holdsIf, parseIf } from "./if-header.ts";
import { FINITE_DEPTH, hrefOf, isLastPiece, propfindPieces, refusedChanges } from "./multistatus.ts";
import { PropertyWriter } from "./properties.ts";
import {
  checkDestination,
  parseDepth,
  parsePropfind,
  parseProppatch,
  type PropfindQuery,
} from "./requests.ts";
import { findResource, folderOf, type Found } from "./resources.ts";

/** The longest body of a PROPFIND or PROPPATCH. */
const BODY_BYTES_MAX = 64 * KiB;
/** Shorter answers are sent as they are. */
const CODED_LENGTH_MIN = 4 * KiB;
/** The first segment of this interface's paths, in a collection that is nothing else than the port's root. */
const DOOR = "webdav";
const NOTHING = Buffer.alloc(0);
const ALLOWED = ["OPTIONS", "GET", "HEAD", "PROPFIND"];
/** What changes something, or would keep others from it. */
const WRITES: ReadonlySet<string> = new Set([
  ...["PUT", "DELETE", "MKCOL", "COPY", "MOVE", "PATCH", "LOCK", "UNLOCK"],
]);

/** Answers everything under /webdav. `files` answers GET and HEAD of the same tree, whatever the first segment of its paths. */
export function createWebdav(services: Services, files: HttpHandler): HttpHandler {
  const webdav = new Webdav(services, files);
  return (request, response) => webdav.answer(request, response);
}

/**
 * Answers OPTIONS and PROPFIND of the port's root, a collection in which /webdav lies, and leaves all else to others: Explorer asks there
 * whether a server has WebDAV, wherever below it is going to look.
 */
export function createWebdavRoot(services: Services, otherwise: HttpHandler): HttpHandler {
  const webdav = new Webdav(services, otherwise);
  return (request, response) => {
    const isOurs = request.method === "OPTIONS" || request.method === "PROPFIND";
    return isOurs ? webdav.answer(request, response) : otherwise(request, response);
  };
}

/** What a PROPFIND is answered from. */
interface Asked {
  readonly found: Found;
  readonly target: TreeTarget;
  readonly query: PropfindQuery;
  readonly depth: ReturnType<typeof parseDepth>;
}

class Webdav {
  readonly #services: Services;
  readonly #files: HttpHandler;

  constructor(services: Services, files: HttpHandler) {
    this.#services = services;
    this.#files = files;
  }

  async answer(request: HttpRequest, response: HttpResponse): Promise<void> {
    const { method = "" } = request;
    const isRead = method === "GET" || method === "HEAD";
    // What the files' handler throws is for who called: it has no body to refuse.
    if (isRead && request.headers["if"] === undefined) {
      await this.#files(request, response);
      return;
    }
    try {
      if (await this.#isWanted(request, response)) {
        await (isRead ? this.#files(request, response) : this.#answer(method, request, response));
      }
    } catch (error) {
      if (response.headersSent || ERRORS[codeOf(error)].http >= 500) throw error;
      await refuse(request, response, error);
    }
  }

  /** Whether the conditions of the header `If` hold; if they do not, it is answered. RFC 4918 §10.4 */
  async #isWanted(request: HttpRequest, response: HttpResponse): Promise<boolean> {
    const { url = "", headers } = request;
    const { if: header } = headers;
    if (header === undefined) return true;
    const lists = parseIf(String(header));
    if (await holdsIf(lists, (resource = url) => this.#etagOf(request, resource))) return true;
    await refuseWith(request, response, { status: 412, headers: { "content-length": 0 }, bytes: NOTHING });
    return false;
  }

  /** The entity tag of a file, which a URL or path names; undefined: there is none, or it lies elsewhere. */
  async #etagOf(request: HttpRequest, resource: string): Promise<string | undefined> {
    try {
      const target = targetOf(resource.startsWith("/") ? resource : pathOf(resource));
      if (target.base !== targetOf(request.url).base) return undefined;
      const { file } = (await this.#find(request, target)).self;
      return file && `"${file.digest}"`;
    } catch (error) {
      const reason = codeOf(error);
      if (ERRORS[reason].http >= 500 || reason === "UNAUTHENTICATED") throw error;
      return undefined;
    }
  }

  async #answer(method: string, request: HttpRequest, response: HttpResponse): Promise<void> {
    if (method === "OPTIONS") sendOptions(response);
    else if (method === "PROPFIND") await this.#propfind(request, response);
    else if (method === "PROPPATCH") await this.#proppatch(request, response);
    else if (WRITES.has(method)) throw refusalOf(method, request);
    else sendMethodNotAllowed(response, ALLOWED);
  }

  async #propfind(request: HttpRequest, response: HttpResponse): Promise<void> {
    const target = targetOf(request.url);
    const { depth: header } = request.headers;
    const depth = parseDepth(typeof header === "string" ? header : undefined);
    const query = parsePropfind(await readBody(request, BODY_BYTES_MAX));
    await this.#services.answers.run(request, response, async (answer) => {
      const found = await this.#find(request, target);
      if (depth === "infinity" && found.self.file === undefined) sendXml(response, 403, FINITE_DEPTH);
      else await this.#sendFound(request, response, answer, { found, target, query, depth });
    });
  }

  async #sendFound(
    request: HttpRequest,
    response: HttpResponse,
    answer: Answer,
    { found, target, query, depth }: Asked,
  ): Promise<void> {
    const writer = new PropertyWriter(query, this.#services.engine.clock.nowMs());
    const path = hrefOf([target.base, ...target.segments], found.self);
    const pieces = answer.inTurns(propfindPieces(found, writer, { path, withMembers: depth === "1" }));
    const { value: first } = (await pieces.next()) as IteratorYieldResult<string>;
    const isWhole = isLastPiece(first);
    const { "accept-encoding": accepted } = request.headers;
    const isWorthCoding = answer.mayCode && (!isWhole || first.length >= CODED_LENGTH_MIN);
    const coding = codingOf(typeof accepted === "string" ? accepted : undefined, isWorthCoding);
    if (coding === undefined) {
      await pieces.return(undefined);
      sendNotAcceptable(response, "content-encoding zstd, br, gzip or identity");
      return;
    }
    if (isWhole && coding === "identity") {
      sendXml(response, 207, first);
      return;
    }
    await answer.stream();
    if (coding !== "identity") await answer.takeCoder();
    // What fails from here on breaks the connection off: a part of a list is never a whole one.
    response.writeHead(207, { ...HEADERS, ...(coding === "identity" ? {} : { "content-encoding": coding }) });
    const text = after(first, pieces);
    await new Body(response).send(
      answer.sent(coding === "identity" ? text : code(answer.wanted(text), coding)),
    );
  }

  async #proppatch(request: HttpRequest, response: HttpResponse): Promise<void> {
    const target = targetOf(request.url);
    const names = parseProppatch(await readBody(request, BODY_BYTES_MAX));
    await this.#services.answers.run(request, response, async () => {
      const { self } = await this.#find(request, target);
      sendXml(response, 207, refusedChanges(hrefOf([target.base, ...target.segments], self), names));
    });
  }

  async #find({ headers }: HttpRequest, { base, place, segments, isFolder }: TreeTarget): Promise<Found> {
    if (base === "") {
      // `//a/b` is nowhere: what lies in the root has a name.
      if (segments.length > 0) throw new AetherError("PATH_NOT_FOUND", "there is nothing here");
      return folderOf(DOOR);
    }
    const { tree, access } = this.#services;
    const caller = callerOf(access, await access.identify(headers));
    const found = await findResource({ tree, caller, name: segments.at(-1) ?? "" }, place);
    if (!isFolder || found.self.file === undefined) return found;
    throw new AetherError("PATH_NOT_FOUND", "that is a file, no collection: leave the slash out");
  }
}

/** Which name a proxy before the hub has is not known: any will do. */
function pathOf(url: string): string {
  return URL.parse(url)?.pathname ?? "";
}

async function* after(first: string, rest: AsyncIterable<string>): AsyncGenerator<string> {
  yield first;
  yield* rest;
}

/** Clients look for names that no dataset can have (`.DS_Store`, `desktop.ini`): nothing is there, and that is no mistake. */
function targetOf(url = ""): TreeTarget {
  try {
    return parseTreeTarget(url);
  } catch (cause) {
    if (codeOf(cause) !== "REFERENCE_INVALID") throw cause;
    const why = cause instanceof Error ? cause.message : "";
    throw new AetherError("PATH_NOT_FOUND", `there is nothing here: ${why}`, { cause });
  }
}

function refusalOf(method: string, { headers }: HttpRequest): AetherError {
  const { destination } = headers;
  if (method === "COPY" || method === "MOVE") {
    checkDestination(typeof destination === "string" ? destination : undefined);
  }
  const text = "this WebDAV tree is for reading: push versions with aetherfs";
  return new AetherError("ACCESS_DENIED", text, { data: { method } });
}

/** Class 3 is RFC 4918 itself; class 2, locks, is for who writes. RFC 4918 §18 */
function sendOptions(response: HttpResponse): void {
  response.writeHead(200, {
    dav: "1, 3",
    allow: ALLOWED.join(", "),
    // Microsoft's clients ask it whether to speak WebDAV or FrontPage.
    "ms-author-via": "DAV",
    "content-length": 0,
  });
  response.end();
}

const HEADERS = {
  "content-type": 'application/xml; charset="utf-8"',
  "cache-control": "no-cache",
  vary: "accept-encoding",
  "x-content-type-options": "nosniff",
};

function sendXml(response: HttpResponse, status: number, xml: string): void {
  const bytes = Buffer.from(xml);
  response.writeHead(status, { ...HEADERS, "content-length": bytes.byteLength });
  response.end(bytes);
}
