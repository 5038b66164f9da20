/** A server that speaks as much S3 as the driver does, and misbehaves where a test says so. It checks no signatures. */
import { createHash } from "node:crypto";
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createTlsServer, type ServerOptions } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { buffer } from "node:stream/consumers";

/** A request, as tests look at it. */
export interface SeenRequest {
  readonly method: string;
  /** The key, without the bucket. */
  readonly key: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
}

/** What the server does that S3 would not. */
export interface TinyS3Options {
  /** Answers the request itself when it gives true. */
  readonly misbehave?: (request: SeenRequest, response: ServerResponse) => boolean;
  /** How the server wants If-Match; quoted when not given. */
  readonly matchForm?: "quoted" | "bare";
  readonly tls?: ServerOptions;
}

/** A running one. */
export class TinyS3 {
  readonly requests: SeenRequest[] = [];
  readonly objects = new Map<string, Buffer>();
  /** Parts of uploads that are neither completed nor aborted. */
  readonly uploads = new Map<string, Map<number, Buffer>>();
  readonly #options: TinyS3Options;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(options: TinyS3Options) {
    this.#options = options;
    const listener: RequestListener = (request, response) => {
      this.#answer(request, response).catch(() => response.destroy());
    };
    this.#server =
      options.tls === undefined ? createServer(listener) : createTlsServer(options.tls, listener);
    // A busy test must not find its connections closed.
    this.#server.keepAliveTimeout = 60_000;
    this.#server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
  }

  /** Starts one on a free port of this machine, and ends it when the work is done. */
  static async run<T>(options: TinyS3Options, work: (server: TinyS3) => Promise<T>): Promise<T> {
    const server = new TinyS3(options);
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    try {
      return await work(server);
    } finally {
      for (const socket of server.#sockets) socket.destroy();
      await new Promise((resolve) => server.#server.close(resolve));
    }
  }

  get endpoint(): string {
    const scheme = this.#options.tls === undefined ? "http" : "https";
    return `${scheme}://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** How often a method was asked of keys that end so. */
  count(method: string, ending = ""): number {
    return this.requests.filter((request) => request.method === method && request.key.endsWith(ending))
      .length;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams: query } = new URL(request.url ?? "", "http://x");
    const [, , ...segments] = pathname.split("/").map(decodeURIComponent);
    const { method = "", headers } = request;
    const seen = { method, key: segments.join("/"), query, headers };
    this.requests.push(seen);
    const body = await buffer(request);
    if (this.#options.misbehave?.(seen, response) === true) return;
    if (query.has("uploadId") || query.has("uploads")) this.#upload(seen, body, response);
    else if (method === "PUT") this.#put(seen, body, response);
    else if (method === "GET" && seen.key === "") this.#list(seen, response);
    else if (method === "GET" || method === "HEAD") this.#get(seen, response);
    else {
      this.objects.delete(seen.key);
      response.writeHead(204).end();
    }
  }

  #put({ key, headers }: SeenRequest, body: Buffer, response: ServerResponse): void {
    const present = this.objects.get(key);
    const etag = present && etagOf(present);
    const wanted = this.#options.matchForm === "bare" ? etag : `"${etag ?? ""}"`;
    const ifMatch = headers["if-match"];
    const isRefused =
      (headers["if-none-match"] === "*" && present !== undefined) ||
      (ifMatch !== undefined && (present === undefined || ifMatch !== wanted));
    if (isRefused) {
      sendError(response, 412, "PreconditionFailed");
      return;
    }
    this.objects.set(key, body);
    response.writeHead(200, { etag: `"${etagOf(body)}"` }).end();
  }

  #get({ method, key, headers }: SeenRequest, response: ServerResponse): void {
    const object = this.objects.get(key);
    if (object === undefined) {
      sendError(response, 404, "NoSuchKey");
      return;
    }
    const common = { etag: `"${etagOf(object)}"`, "last-modified": "Sat, 28 Nov 2026 04:00:00 GMT" };
    const [, first = "", last = ""] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? "") ?? [];
    const range = first === "" ? object : object.subarray(Number(first), Number(last) + 1);
    const length = { "content-length": range.byteLength };
    if (first === "") response.writeHead(200, { ...common, ...length });
    else if (range.byteLength === 0) {
      sendError(response, 416, "InvalidRange");
      return;
    } else {
      const end = Number(first) + range.byteLength - 1;
      response.writeHead(206, {
        ...common,
        ...length,
        "content-range": `bytes ${first}-${end}/${object.byteLength}`,
      });
    }
    response.end(method === "HEAD" ? undefined : range);
  }

  #list({ query }: SeenRequest, response: ServerResponse): void {
    const prefix = query.get("prefix") ?? "";
    const after = query.get("start-after") ?? "";
    const keys = [...this.objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
    const contents = keys.map((key) => {
      const size = this.objects.get(key)?.byteLength ?? 0;
      const modified = "<LastModified>2026-11-28T04:00:00.000Z</LastModified>";
      return `<Contents><Key>${key}</Key><Size>${size}</Size>${modified}</Contents>`;
    });
    sendXml(
      response,
      200,
      `<ListBucketResult>${contents.join("")}<IsTruncated>false</IsTruncated></ListBucketResult>`,
    );
  }

  #upload({ method, key, query }: SeenRequest, body: Buffer, response: ServerResponse): void {
    const id = query.get("uploadId") ?? `upload-${this.uploads.size}`;
    const parts = this.uploads.get(id) ?? new Map<number, Buffer>();
    if (method === "PUT") {
      parts.set(Number(query.get("partNumber")), body);
      response.writeHead(200, { etag: `"${etagOf(body)}"` }).end();
    } else if (method === "DELETE") {
      this.uploads.delete(id);
      response.writeHead(204).end();
    } else if (query.has("uploads")) {
      this.uploads.set(id, parts);
      const result = `<UploadId>${id}</UploadId>`;
      sendXml(response, 200, `<InitiateMultipartUploadResult>${result}</InitiateMultipartUploadResult>`);
    } else {
      const numbers = [...parts.keys()].sort((a, b) => a - b);
      this.objects.set(key, Buffer.concat(numbers.map((number) => parts.get(number) ?? Buffer.alloc(0))));
      this.uploads.delete(id);
      sendXml(response, 200, "<CompleteMultipartUploadResult></CompleteMultipartUploadResult>");
    }
  }
}

/** An answer as S3 gives it of an error. */
export function sendError(response: ServerResponse, status: number, code: string): void {
  sendXml(response, status, `<Error><Code>${code}</Code><Message>no</Message></Error>`);
}

function sendXml(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "content-type": "application/xml" }).end(`<?xml version="1.0"?>${text}`);
}

function etagOf(bytes: Buffer): string {
  return createHash("md5").update(bytes).digest("hex");
}
