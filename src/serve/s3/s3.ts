/** The S3 API, for reading: buckets are datasets. docs/s3-api.md */
import type { AccessKeys } from "../../auth/access-keys.ts";
import type { Caller } from "../../vfs/tree.ts";
import type { Answer } from "../answers.ts";
import { callerOf } from "../caller.ts";
import { closing, isClosed } from "../closing.ts";
import { retryAfterOf, type HttpHandler, type HttpRequest, type HttpResponse } from "../http-handler.ts";
import { httpDate } from "../http-time.ts";
import { takeBody } from "../request-body.ts";
import type { Services } from "../services.ts";
import { authenticate } from "./authenticate.ts";
import { FoundBuckets, type Bucket } from "./buckets.ts";
import { findObject, objectAttributes, sendObject, type ObjectRequest } from "./get-object.ts";
import { listBuckets } from "./list-buckets.ts";
import { listObjects } from "./list-objects.ts";
import { S3Error, s3ErrorOf } from "./s3-error.ts";
import { hostOf, parseS3Target, type S3Place, type S3Target } from "./s3-target.ts";
import { noUploads, subresource, subresourceOf } from "./subresources.ts";
import { errorDocument, leaf } from "./xml.ts";

const REGION = "us-east-1";
const READ_ONLY = "Access Denied: this S3 API is for reading. Push versions with aetherfs.";
const WRITES: ReadonlySet<string> = new Set(["PUT", "POST", "DELETE"]);

/** What an S3 API is made of. */
export interface S3Options {
  readonly services: Services;
  /** Keys that sign requests; undefined: there are none, and requests are answered that nobody signed. */
  readonly keys: AccessKeys | undefined;
  readonly place: S3Place;
}

/** Answers everything below its base, errors too. */
export function createS3(options: S3Options): HttpHandler {
  const s3 = new S3(options);
  return (request, response) => s3.answer(request, response);
}

/** Who asks, and for what. */
interface Asked {
  readonly request: HttpRequest;
  readonly target: S3Target;
  readonly caller: Caller;
  /** The caller's name. */
  readonly who: string;
  readonly isSigned: boolean;
  readonly nowMs: number;
}

class S3 {
  readonly #services: Services;
  readonly #keys: AccessKeys | undefined;
  readonly #place: S3Place;
  readonly #buckets: FoundBuckets;

  constructor({ services, keys, place }: S3Options) {
    this.#services = services;
    this.#keys = keys;
    this.#place = place;
    this.#buckets = new FoundBuckets(services.tree, services.engine.clock);
  }

  /** Never rejects: what another answered, or wrote to the log, might hold a signature. */
  async answer(request: HttpRequest, response: HttpResponse): Promise<void> {
    const id = this.#services.engine.random.id().slice(0, 16).toUpperCase();
    response.setHeader("x-amz-request-id", id);
    try {
      await this.#answer(request, response);
    } catch (error) {
      const shown = s3ErrorOf(error);
      if (shown.status >= 500 && !isClosed(response)) {
        const path = request.url?.split("?", 1)[0];
        const facts = { method: request.method, path, requestId: id, err: error };
        this.#services.log[shown.code === "InternalError" ? "error" : "warn"](facts, "an S3 request failed");
      }
      const seconds = retryAfterOf(error);
      if (seconds !== undefined && !response.headersSent) response.setHeader("retry-after", seconds);
      await sendError(request, response, shown, id);
    }
  }

  async #answer(request: HttpRequest, response: HttpResponse): Promise<void> {
    const { access, answers, engine } = this.#services;
    const target = parseS3Target(request.url ?? "", hostOf(request.headers), this.#place);
    const method = request.method ?? "";
    if (method === "OPTIONS") throw preflight(request);
    // Wall time is what a signature is limited by.
    const nowMs = engine.clock.nowMs();
    const name = authenticate(request, target, this.#keys ?? NO_KEYS, nowMs);
    if (name === undefined && this.#keys !== undefined) throw new S3Error("AccessDenied");
    const identity = name === undefined ? await access.identify(request.headers) : { name };
    if (method !== "GET" && method !== "HEAD") throw refusalOf(method, target);
    const caller = callerOf(access, identity);
    const asked: Asked = { request, target, caller, who: identity.name, isSigned: name !== undefined, nowMs };
    response.setHeader("x-amz-bucket-region", REGION);
    await answers.run(request, response, async (answer) => {
      if (target.bucket === "") await this.#answerService(asked, answer, response);
      else if (target.key === "") await this.#answerBucket(asked, answer, response);
      else await this.#answerObject(asked, answer, response);
    });
  }

  async #answerService(
    { request, target, caller }: Asked,
    answer: Answer,
    response: HttpResponse,
  ): Promise<void> {
    await answer.stream();
    const signal = this.#signalOf(response);
    const xml = await listBuckets({ tree: this.#services.tree, caller, query: target.query, answer, signal });
    sendXml(request, response, xml);
  }

  /** Ends what is read for a response. */
  #signalOf(response: HttpResponse): AbortSignal {
    return AbortSignal.any([this.#services.stopping, closing(response)]);
  }

  async #answerBucket(
    { request, target, caller, who, nowMs }: Asked,
    answer: Answer,
    response: HttpResponse,
  ): Promise<void> {
    const { tree } = this.#services;
    const { query } = target;
    const bucket = await this.#buckets.find(caller, who, target.bucket, { isAsked: true });
    if (request.method === "HEAD") {
      response.writeHead(200, { "content-type": "application/xml" });
      response.end();
      return;
    }
    const name = subresourceOf(query, false);
    if (name !== undefined) {
      sendXml(request, response, subresource(name, false, { BucketName: bucket.text }));
    } else if (query.has("uploads")) {
      sendXml(request, response, noUploads(bucket.text, query));
    } else {
      await answer.stream();
      const view = { tree, caller, bucket, answer, signal: this.#signalOf(response) };
      sendXml(request, response, await listObjects({ view, query, nowMs }));
    }
  }

  async #answerObject(asked: Asked, answer: Answer, response: HttpResponse): Promise<void> {
    const { request, target } = asked;
    const { query, key } = target;
    const { caller, who } = asked;
    const bucket: Bucket = await this.#buckets.find(caller, who, target.bucket, { isAsked: false });
    const object: ObjectRequest = { ...asked, query, bucket, key, answer, tree: this.#services.tree };
    const name = subresourceOf(query, true);
    if (name !== undefined) {
      await findObject(object);
      sendXml(request, response, subresource(name, true, { Key: key }));
    } else if (query.has("attributes")) {
      const { xml, lastModified } = await objectAttributes(object);
      response.setHeader("last-modified", httpDate(lastModified));
      sendXml(request, response, xml);
    } else await sendObject(object, response);
  }
}

const NO_KEYS: AccessKeys = { find: () => undefined };

/** A browser asks whether a page of elsewhere may ask. */
function preflight({ headers }: HttpRequest): S3Error {
  return new S3Error(headers.origin === undefined ? "BadRequest" : "AccessForbidden");
}

function refusalOf(method: string, { query }: S3Target): S3Error {
  if (!WRITES.has(method)) return new S3Error("MethodNotAllowed", { Method: method });
  if (method === "POST" && query.has("select")) return new S3Error("NotImplemented");
  return new S3Error("AccessDenied", {}, READ_ONLY);
}

function sendXml(request: HttpRequest, response: HttpResponse, xml: string, status = 200): void {
  const bytes = Buffer.from(xml);
  response.writeHead(status, {
    "content-type": "application/xml",
    "content-length": bytes.byteLength,
    "x-content-type-options": "nosniff",
  });
  response.end(request.method === "HEAD" ? undefined : bytes);
}

/** A response that has begun already is broken off. */
async function sendError(
  request: HttpRequest,
  response: HttpResponse,
  { code, message, status, facts }: S3Error,
  id: string,
): Promise<void> {
  if (response.headersSent || isClosed(response)) {
    response.destroy();
    return;
  }
  const isTaken = await takeBody(request);
  if (status === 405) response.setHeader("allow", "GET, HEAD");
  if (!isTaken && request.httpVersionMajor === 1) response.setHeader("connection", "close");
  const resource = request.url?.split("?", 1)[0];
  const more = Object.entries(facts).map(([name, value]) => leaf(name, value));
  const xml = errorDocument(
    leaf("Code", code),
    leaf("Message", message),
    ...more,
    leaf("Resource", resource),
    leaf("RequestId", id),
  );
  sendXml(request, response, xml, status);
}
