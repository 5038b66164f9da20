/** Which protocol a connection speaks, told by its first bytes. RFC 9113 §3.4, RFC 8446 §5.1 */
import type { Socket } from "node:net";

/** What a connection speaks. */
export type Protocol = "tls" | "http1" | "http2";

/** A TLS record of the kind handshake. */
const TLS_HANDSHAKE = 0x16;
/** No method of HTTP/1.1 is PRI, so that its four bytes tell. */
const PREFACE = Buffer.from("PRI ");

/**
 * Tells the protocol of a connection, once: what was read is put back, and the socket is paused. A connection that
 * does not say enough within `timeoutMs`, or ends before, is destroyed.
 */
export function sniff(socket: Socket, timeoutMs: number, told: (protocol: Protocol) => void): void {
  let seen: Buffer = Buffer.alloc(0);
  const give = (): void => void socket.destroy();
  const onData = (bytes: Buffer): void => {
    seen = seen.byteLength === 0 ? bytes : Buffer.concat([seen, bytes]);
    const protocol = protocolOf(seen);
    if (protocol === undefined) return;
    socket.setTimeout(0);
    socket.off("data", onData).off("end", give).off("timeout", give);
    socket.pause();
    socket.unshift(seen);
    told(protocol);
  };
  // Each byte that comes starts a socket's timeout anew, so that slow senders of a preface are bounded by its length.
  socket.setTimeout(timeoutMs);
  socket.on("data", onData).on("end", give).on("timeout", give);
}

function protocolOf(seen: Buffer): Protocol | undefined {
  if (seen[0] === TLS_HANDSHAKE) return "tls";
  const length = Math.min(seen.byteLength, PREFACE.byteLength);
  if (!seen.subarray(0, length).equals(PREFACE.subarray(0, length))) return "http1";
  return length === PREFACE.byteLength ? "http2" : undefined;
}
