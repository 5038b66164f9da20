/** A port, and clients that write raw bytes, for tests. */
import net from "node:net";
import { systemClock } from "../../../base/clock.ts";
import { AetherError } from "../../../base/errors.ts";
import { SILENT_LOG, type Log } from "../../../base/log.ts";
import type { HttpHandler } from "../../http-handler.ts";
import type { PortTls } from "../certificates.ts";
import { openPort, type Port } from "../one-port.ts";
import type { PortLimits } from "../port-limits.ts";

/** Tells what it was asked; /wait answers when `release` is called. */
export function echo(): {
  readonly http: HttpHandler;
  readonly release: () => void;
  readonly waiting: Promise<void>;
} {
  const gate = Promise.withResolvers<undefined>();
  const arrived = Promise.withResolvers<undefined>();
  const http: HttpHandler = async (request, response) => {
    if (request.url === "/fail") throw new AetherError("TAG_NOT_FOUND", "no such tag");
    if (request.url === "/crash") throw new Error("secret insides");
    let bytes = 0;
    for await (const part of request) bytes += (part as Buffer).byteLength;
    if (request.url === "/wait") {
      arrived.resolve(undefined);
      await gate.promise;
    }
    response.writeHead(200, { "content-type": "text/plain" });
    response.end(`${request.method ?? ""} ${request.url ?? ""} ${request.httpVersion} ${bytes}\n`);
  };
  return { http, release: () => gate.resolve(undefined), waiting: arrived.promise };
}

/** Opens a port, which is closed again whatever the work does. */
export async function withPort<T>(
  options: {
    readonly tls?: PortTls;
    readonly limits?: Partial<PortLimits>;
    readonly http?: HttpHandler;
    readonly log?: Log;
    readonly isShared?: boolean;
    /** Any that is free, when not given. */
    readonly port?: number;
  },
  work: (port: Port) => Promise<T>,
): Promise<T> {
  const port = await openPort({
    host: "127.0.0.1",
    port: options.port ?? 0,
    isShared: options.isShared,
    tls: options.tls,
    http: options.http ?? echo().http,
    grpc: (stream) => {
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { endStream: false });
      stream.end("grpc");
    },
    log: options.log ?? SILENT_LOG,
    clock: systemClock,
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  });
  try {
    return await work(port);
  } finally {
    await port.close({ graceMs: 0 });
  }
}

/** Writes pieces to the port, each after `gapMs`; all that came back when the connection has ended. */
export async function raw(port: Port, pieces: readonly string[], gapMs = 5): Promise<string> {
  const socket = net.connect(port.port, "127.0.0.1");
  let answer = "";
  socket.on("data", (bytes) => (answer += bytes.toString("latin1")));
  socket.on("error", () => undefined);
  const closed = new Promise((resolve) => socket.once("close", resolve));
  for (const piece of pieces) {
    socket.write(piece, "latin1");
    await systemClock.sleep(gapMs);
  }
  await closed;
  return answer;
}
