import type { Socket } from "node:net";

/** What a connection speaks. */
export type Protocol = "tls" | "http1" | "http2";

/** First byte of a TLS record that begins a handshake. RFC 8446 §5.1 */
const TLS_HANDSHAKE = 0x16;
/** How the preface of HTTP/2 begins: enough to tell it from any request by HTTP/1.1. RFC 9113 §3.4 */
const PREFACE = Buffer.from("PRI ");

/** What the first bytes of a connection tell, or undefined while they are too few. */
export function protocolOf(bytes: Uint8Array): Protocol | undefined {
  if (bytes.byteLength === 0) return undefined;
  if (bytes[0] === TLS_HANDSHAKE) return "tls";
  const shared = Math.min(bytes.byteLength, PREFACE.byteLength);
  if (PREFACE.compare(bytes, 0, shared, 0, shared) !== 0) return "http1";
  return shared === PREFACE.byteLength ? "http2" : undefined;
}

/**
 * Reads a new connection until it tells what it speaks, and passes it on with nothing taken away. A connection that
 * ends before is destroyed; one that stays silent is the caller's to end.
 */
export function sniff(socket: Socket, pass: (protocol: Protocol) => void): void {
  let seen: Buffer | undefined;
  const onEnd = (): void => void socket.destroy();
  const onData = (bytes: Buffer): void => {
    seen = seen === undefined ? bytes : Buffer.concat([seen, bytes]);
    const protocol = protocolOf(seen);
    if (protocol === undefined) return;
    socket.off("data", onData);
    socket.off("end", onEnd);
    socket.pause();
    socket.unshift(seen);
    pass(protocol);
  };
  socket.on("data", onData);
  socket.on("end", onEnd);
}
