/** A client that sends bytes as they are, for tests. */
import net from "node:net";

/** What answered by HTTP/1.1, as far as it came; interim answers (1xx) are passed over. */
export interface RawAnswer {
  /** 0: there was none. */
  readonly status: number;
  /** How many answers came on the connection, told by their first lines. */
  readonly answers: number;
  readonly text: string;
}

/** Sends bytes on a new connection; what came back once the server has closed it. */
export function exchange(port: number, bytes: string | Uint8Array): Promise<RawAnswer> {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1");
    const parts: Buffer[] = [];
    socket.on("data", (part: Buffer) => parts.push(part));
    socket.on("error", () => undefined);
    socket.once("close", () => {
      const text = Buffer.concat(parts).toString("latin1");
      const [, status = "0"] = /^HTTP\/1\.1 ([2-5]\d\d) /m.exec(text) ?? [];
      resolve({ status: Number(status), answers: text.match(/^HTTP\/1\.1 [2-5]\d\d /gm)?.length ?? 0, text });
    });
    socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  });
}

/** A request without a body, which ends its connection. */
export function requestOf(line: string, headers: readonly string[] = []): string {
  return [line, "host: hub", "connection: close", ...headers, "", ""].join("\r\n");
}
