/** The messages of a gRPC request. https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md */
import type { Readable } from "node:stream";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { Code, ConnectError } from "@connectrpc/connect";

const PREFIX_BYTES = 5;
const unzip = promisify(gunzip);

/**
 * The bytes of each message of a request body, compressed ones (`encoding` is gzip) unpacked. The stream is not destroyed
 * when the reader stops early: its other half may be needed. Errors (ConnectError): ResourceExhausted for a message of
 * more than `bytesMax`, Unimplemented for a compression that was not agreed on, InvalidArgument for a torn message.
 */
export async function* readMessages(
  body: Readable,
  encoding: string | undefined,
  bytesMax: number,
): AsyncGenerator<Uint8Array> {
  let parts: Buffer[] = [];
  let have = 0;
  const take = (bytes: number): Buffer => {
    const all = parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts, have);
    const rest = all.subarray(bytes);
    parts = rest.byteLength === 0 ? [] : [rest];
    have = rest.byteLength;
    return all.subarray(0, bytes);
  };
  let prefix: Buffer | undefined;
  for await (const part of body.iterator({ destroyOnReturn: false })) {
    parts.push(part as Buffer);
    have += (part as Buffer).byteLength;
    for (;;) {
      if (prefix === undefined && have >= PREFIX_BYTES) prefix = checked(take(PREFIX_BYTES), bytesMax);
      const bytes = prefix?.readUInt32BE(1) ?? Infinity;
      if (prefix === undefined || have < bytes) break;
      const message = take(bytes);
      yield prefix[0] === 0 ? message : await decompress(message, encoding, bytesMax);
      prefix = undefined;
    }
  }
  if (have > 0 || prefix !== undefined) throw new ConnectError("a message is cut off", Code.InvalidArgument);
}

function checked(prefix: Buffer, bytesMax: number): Buffer {
  const bytes = prefix.readUInt32BE(1);
  if (bytes <= bytesMax) return prefix;
  throw new ConnectError(`a message of ${bytes} bytes is larger than ${bytesMax}`, Code.ResourceExhausted);
}

async function decompress(
  message: Uint8Array,
  encoding: string | undefined,
  bytesMax: number,
): Promise<Uint8Array> {
  if (encoding !== "gzip") {
    throw new ConnectError("messages may be compressed with gzip only", Code.Unimplemented);
  }
  try {
    return await unzip(message, { maxOutputLength: bytesMax });
  } catch (error) {
    const isLarge = error instanceof RangeError;
    throw new ConnectError(
      isLarge ? `a message unpacks to more than ${bytesMax} bytes` : "a message cannot be unpacked",
      isLarge ? Code.ResourceExhausted : Code.InvalidArgument,
    );
  }
}
