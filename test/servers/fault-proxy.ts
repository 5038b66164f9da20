/** A proxy in front of an S3 server, which counts requests and lets them fail by rules, as networks and servers do. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, createServer, request, type IncomingMessage, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { Random } from "../../src/base/random.ts";
import { operationOf } from "./s3-operation.ts";

/** What may happen to a request. */
export type Fault =
  /** The proxy answers, and forwards nothing. */
  | { readonly kind: "status"; readonly status: number; readonly code: string }
  /** The connection is reset before anything is forwarded. */
  | { readonly kind: "reset before" }
  /** The connection is reset once the whole request was forwarded, whether or not the server has done it. */
  | { readonly kind: "reset after" }
  /** The server has done it and answered; the answer is thrown away and the connection reset. */
  | { readonly kind: "answer lost" }
  /** The connection is reset after this share of the answer's body. */
  | { readonly kind: "truncated"; readonly share: number }
  /** The answer is whole by its Content-Length, which is short of the object by some bytes, and so is the body. */
  | { readonly kind: "short"; readonly bytes: number }
  /** Content-Length says more than there is, and the connection ends after what there is. */
  | { readonly kind: "long"; readonly bytes: number }
  /** The request is forwarded after a while. */
  | { readonly kind: "delayed"; readonly delayMs: number }
  /** The answer's body comes in small pieces with a wait before each. */
  | { readonly kind: "trickling"; readonly pieces: number; readonly delayMs: number };

/** When a fault strikes: a request that fits everything that is said. The first rule that strikes counts. */
export interface Rule {
  readonly method?: string;
  /** As operationOf names it. */
  readonly operation?: string;
  /** Of path and query. */
  readonly path?: RegExp;
  /** Only the so-manieth request that fits, from 1. */
  readonly nth?: number;
  /** How often, from 0 to 1: always when it is not said. */
  readonly probability?: number;
  readonly fault: Fault;
}

/** A request that came. */
export interface SeenRequest {
  readonly method: string;
  readonly operation: string;
  readonly path: string;
  /** The kind of the fault that struck. */
  readonly fault: Fault["kind"] | undefined;
  /** When it came, and when its answer had gone on (undefined: not yet), in milliseconds of this process. */
  readonly beganMs: number;
  endedMs: number | undefined;
}

/** A proxy that listens. */
export interface FaultProxy {
  /** `http://127.0.0.1:PORT`, in place of the server's. */
  readonly endpoint: string;
  /** Since the last reset, in order. */
  readonly requests: readonly SeenRequest[];
  /** Of connections since the last reset, headers included: from clients, and to them. */
  readonly bytes: () => { readonly received: number; readonly sent: number };
  /** Forgets what was counted, and how often rules fitted. */
  readonly reset: () => void;
  /** Rules instead of those before. */
  readonly setRules: (rules: readonly Rule[]) => void;
  readonly stop: () => Promise<void>;
}

/** More than any test makes; counting goes no further. */
const REQUESTS_MAX = 1_000_000;

/** Starts a proxy of the server at `upstream`. The same seed in `random` and the same requests meet the same faults. */
export async function startFaultProxy(
  upstream: string,
  random: Random,
  rules: readonly Rule[] = [],
): Promise<FaultProxy> {
  const proxy = new Proxying(new URL(upstream), random);
  proxy.setRules(rules);
  const server = createServer((incoming, outgoing) => void proxy.handle(incoming, outgoing));
  // Every wait is the client's: a proxy that gives up first would be a fault that no rule names.
  server.requestTimeout = 0;
  server.headersTimeout = 0;
  server.keepAliveTimeout = 0;
  server.on("connection", (socket) => {
    proxy.count(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    requests: proxy.requests,
    bytes: () => proxy.bytes(),
    reset: () => {
      proxy.reset();
    },
    setRules: (more) => {
      proxy.setRules(more);
    },
    stop: async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
      proxy.agent.destroy();
    },
  };
}

class Proxying {
  readonly agent = new Agent({ keepAlive: true });
  readonly requests: SeenRequest[] = [];
  readonly #upstream: URL;
  readonly #random: Random;
  #rules: readonly Rule[] = [];
  #fitted = new Map<Rule, number>();
  readonly #sockets = new Set<Socket>();
  #closed = { received: 0, sent: 0 };
  #forgotten = { received: 0, sent: 0 };

  constructor(upstream: URL, random: Random) {
    this.#upstream = upstream;
    this.#random = random;
  }

  setRules(rules: readonly Rule[]): void {
    this.#rules = rules;
    this.#fitted = new Map();
  }

  reset(): void {
    this.requests.length = 0;
    this.#fitted = new Map();
    this.#forgotten = this.#all();
  }

  bytes(): { received: number; sent: number } {
    const all = this.#all();
    return { received: all.received - this.#forgotten.received, sent: all.sent - this.#forgotten.sent };
  }

  count(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("close", () => {
      this.#sockets.delete(socket);
      this.#closed.received += socket.bytesRead;
      this.#closed.sent += socket.bytesWritten;
    });
  }

  async handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    // Clients go away when they like; nobody else listens.
    for (const stream of [incoming, outgoing]) stream.on("error", () => undefined);
    const { method = "", url: path = "" } = incoming;
    const operation = operationOf({ method, path, isCopy: "x-amz-copy-source" in incoming.headers });
    const fault = this.#strike({ method, operation, path });
    const seen: SeenRequest = {
      ...{ method, operation, path, fault: fault?.kind },
      ...{ beganMs: performance.now(), endedMs: undefined },
    };
    if (this.requests.length < REQUESTS_MAX) this.requests.push(seen);
    outgoing.on("close", () => {
      seen.endedMs = performance.now();
    });
    try {
      await this.#serve(incoming, outgoing, fault);
    } catch {
      incoming.socket.resetAndDestroy();
    }
  }

  #all(): { received: number; sent: number } {
    const open = [...this.#sockets];
    const sum = (pick: (socket: Socket) => number): number =>
      open.reduce((total, socket) => total + pick(socket), 0);
    return {
      received: this.#closed.received + sum((socket) => socket.bytesRead),
      sent: this.#closed.sent + sum((socket) => socket.bytesWritten),
    };
  }

  #strike(request: Pick<SeenRequest, "method" | "operation" | "path">): Fault | undefined {
    for (const rule of this.#rules) {
      const fits =
        (rule.method ?? request.method) === request.method &&
        (rule.operation ?? request.operation) === request.operation &&
        (rule.path?.test(request.path) ?? true);
      if (!fits) continue;
      const number = (this.#fitted.get(rule) ?? 0) + 1;
      this.#fitted.set(rule, number);
      if (rule.nth !== undefined && rule.nth !== number) continue;
      if (rule.probability !== undefined && this.#random.fraction() >= rule.probability) continue;
      return rule.fault;
    }
    return undefined;
  }

  async #serve(incoming: IncomingMessage, outgoing: ServerResponse, fault: Fault | undefined): Promise<void> {
    const { socket } = incoming;
    if (fault?.kind === "reset before") {
      socket.resetAndDestroy();
      return;
    }
    if (fault?.kind === "status") {
      await drain(incoming);
      answerError(outgoing, fault.status, fault.code);
      return;
    }
    if (fault?.kind === "delayed") await sleep(fault.delayMs, undefined, { ref: false });
    // Who has gone away meanwhile, or died, has sent nothing.
    if (socket.destroyed) return;
    const { sent, answered } = this.#forward(incoming);
    if (fault?.kind === "reset after") {
      answered.then(drain).catch(() => undefined);
      await sent;
      socket.resetAndDestroy();
      return;
    }
    const answer = await answered;
    if (fault?.kind === "answer lost") {
      await drain(answer);
      socket.resetAndDestroy();
      return;
    }
    await pass(answer, outgoing, fault);
  }

  /** The headers go on as they are: the signature covers Host. */
  #forward(incoming: IncomingMessage): { sent: Promise<unknown>; answered: Promise<IncomingMessage> } {
    const { hostname, port } = this.#upstream;
    const headers = incoming.rawHeaders.flatMap((name, index, all) =>
      index % 2 === 0 && !/^(expect|connection)$/i.test(name) ? [name, all[index + 1] ?? ""] : [],
    );
    const forwarded = request({
      ...{ host: hostname, port, method: incoming.method, path: incoming.url, headers },
      ...{ agent: this.agent, setHost: false },
    });
    const sent = once(forwarded, "finish");
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      forwarded.on("response", resolve).on("error", reject);
    });
    sent.catch(() => undefined);
    incoming.pipe(forwarded);
    // Half a request must not wait at the server for its other half.
    incoming.on("close", () => {
      if (!incoming.complete) forwarded.destroy();
    });
    return { sent, answered };
  }
}

/** Reads to the end. */
async function drain(stream: IncomingMessage): Promise<void> {
  stream.resume();
  if (!stream.readableEnded) await once(stream, "end");
}

function answerError(outgoing: ServerResponse, status: number, code: string): void {
  const body = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>an injected fault</Message></Error>`;
  outgoing.writeHead(status, {
    "content-type": "application/xml",
    "content-length": Buffer.byteLength(body),
  });
  outgoing.end(body);
}

/** Gives the server's answer to the client, with what a fault makes of its body. */
async function pass(
  answer: IncomingMessage,
  outgoing: ServerResponse,
  fault: Fault | undefined,
): Promise<void> {
  const { statusCode = 502, rawHeaders } = answer;
  const body = fault === undefined || outgoing.req.method === "HEAD" ? undefined : await bodyOf(answer);
  if (fault === undefined || body === undefined || body.byteLength === 0) {
    outgoing.writeHead(statusCode, rawHeaders);
    await pipeline(answer, outgoing);
    return;
  }
  const { saidBytes, given } = damaged(body, fault);
  const headers = rawHeaders.flatMap((name, index, all) =>
    index % 2 === 0 && !/^(content-length|transfer-encoding)$/i.test(name)
      ? [name, all[index + 1] ?? ""]
      : [],
  );
  outgoing.writeHead(statusCode, [...headers, "Content-Length", String(saidBytes)]);
  if (fault.kind === "trickling") {
    const pieceBytes = Math.ceil(given.byteLength / fault.pieces);
    for (let start = 0; start < given.byteLength && !outgoing.destroyed; start += pieceBytes) {
      await sleep(fault.delayMs);
      outgoing.write(given.subarray(start, start + pieceBytes));
    }
  } else outgoing.write(given);
  if (saidBytes === given.byteLength) outgoing.end();
  else outgoing.socket?.destroySoon();
}

/** How many bytes the headers promise, and which the client gets. */
function damaged(body: Buffer, fault: Fault): { saidBytes: number; given: Buffer } {
  const { byteLength } = body;
  switch (fault.kind) {
    case "truncated":
      return { saidBytes: byteLength, given: body.subarray(0, Math.floor(byteLength * fault.share)) };
    case "short": {
      const given = body.subarray(0, Math.max(byteLength - fault.bytes, 0));
      return { saidBytes: given.byteLength, given };
    }
    case "long":
      return { saidBytes: byteLength + fault.bytes, given: body };
    default:
      return { saidBytes: byteLength, given: body };
  }
}

async function bodyOf(answer: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of answer) parts.push(part as Buffer);
  return Buffer.concat(parts);
}
