/** A wire between client and hub that breaks: for tests. */
import { once } from "node:events";
import net from "node:net";

/** How it breaks. */
export interface WireOptions {
  /** Where the hub listens. */
  readonly port: () => number;
  /** What a connection carries before it breaks, in bytes of both ways; asked for each connection. */
  readonly bytesMax: () => number;
}

/** A wire that stands. */
export interface Wire {
  /** `host:port` for a client. */
  readonly address: string;
  /** Connections that broke. */
  readonly broken: () => number;
  readonly close: () => Promise<void>;
}

/** Stands in front of a hub; each connection ends, without a word, once it has carried enough. */
export async function openWire(options: WireOptions): Promise<Wire> {
  const sockets = new Set<net.Socket>();
  let broken = 0;
  const server = net.createServer((near) => {
    const far = net.connect(options.port(), "127.0.0.1");
    const both = [near, far];
    let left = options.bytesMax();
    const end = (): void => {
      for (const socket of both) {
        socket.destroy();
        sockets.delete(socket);
      }
    };
    const carry = (from: net.Socket, to: net.Socket): void => {
      from.on("data", (bytes: Buffer) => {
        const part = bytes.subarray(0, left);
        left -= part.byteLength;
        if (!to.write(part)) from.pause();
        if (left > 0) return;
        broken++;
        end();
      });
      to.on("drain", () => from.resume());
    };
    for (const socket of both) {
      sockets.add(socket);
      socket.on("error", end).on("close", end);
    }
    carry(near, far);
    carry(far, near);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, "close");
  };
  return { address: `127.0.0.1:${port}`, broken: () => broken, close };
}
