/** The messages of a gRPC request. https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md */
import type { Readable } from "node:stream";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { Code, ConnectError } from "@connectrpc/connect";
import type { MessageRoom } from "./message-room.ts";

const PREFIX_BYTES = 5;
const unzip = promisify(gunzip);

/** How the messages come. */
export interface MessageForm {
  /** `grpc-encoding` of the request. */
  readonly encoding: string | undefined;
  /** One message, also unpacked. */
  readonly bytesMax: number;
  /** Of the call. A message keeps it until the next one is asked for, the last one until the call gives it back. */
  readonly room: MessageRoom;
}

/**
 * The bytes of each message of a request body, compressed ones (the encoding is gzip) unpacked. The stream is not destroyed
 * when the reader stops early: its other half may be needed. Errors (ConnectError): ResourceExhausted for a message of
 * more than `bytesMax`, Unimplemented for a compression that was not agreed on, InvalidArgument for a torn message; those
 * of MessageRoom.
 */
export async function* readMessages(
  body: Readable,
  { encoding, bytesMax, room }: MessageForm,
): AsyncGenerator<Uint8Array, void> {
  const source = new ByteSource(body);
  try {
    for (;;) {
      const prefix = await source.read(PREFIX_BYTES);
      if (prefix === undefined) return;
      const isPacked = isPackedBy(prefix, encoding);
      const bytes = lengthOf(prefix, bytesMax);
      // What a packed message unpacks to is not known before.
      const message = await room.use(isPacked ? bytesMax : bytes, () => source.read(bytes));
      if (message === undefined) throw cutOff();
      yield isPacked ? await unpack(message, bytesMax) : message;
      room.release();
    }
  } finally {
    source.close();
  }
}

/** Reads a stream by numbers of bytes. */
class ByteSource {
  readonly #parts: AsyncIterator<unknown>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(body: Readable) {
    this.#parts = body.iterator({ destroyOnReturn: false });
  }

  /** The next bytes; undefined at the end of the stream. Errors (ConnectError): InvalidArgument when it ends in between. */
  async read(bytes: number): Promise<Buffer | undefined> {
    if (bytes === 0) return Buffer.alloc(0);
    if (this.#rest.byteLength === 0 && !(await this.#pull())) return undefined;
    if (this.#rest.byteLength >= bytes) return this.#take(bytes);
    // Parts are put together as they come: kept one by one, parts of a byte take a hundred times their length.
    const whole = Buffer.allocUnsafeSlow(bytes);
    let have = 0;
    for (;;) {
      have += this.#take(bytes - have).copy(whole, have);
      if (have === bytes) return whole;
      if (!(await this.#pull())) throw cutOff();
    }
  }

  /** Reads no more; what comes is somebody else's to read. */
  close(): void {
    void this.#parts.return?.();
  }

  #take(bytes: number): Buffer {
    const taken = this.#rest.subarray(0, bytes);
    this.#rest = this.#rest.subarray(taken.byteLength);
    return taken;
  }

  async #pull(): Promise<boolean> {
    do {
      const next = await this.#parts.next();
      if (next.done === true) return false;
      this.#rest = next.value as Buffer;
    } while (this.#rest.byteLength === 0);
    return true;
  }
}

function isPackedBy(prefix: Buffer, encoding: string | undefined): boolean {
  const [flag] = prefix;
  if (flag === 0) return false;
  if (flag !== 1) throw new ConnectError("a message has an unknown flag", Code.InvalidArgument);
  if (encoding === "gzip") return true;
  throw new ConnectError("messages may be compressed with gzip only", Code.Unimplemented);
}

function lengthOf(prefix: Buffer, bytesMax: number): number {
  const bytes = prefix.readUInt32BE(1);
  if (bytes <= bytesMax) return bytes;
  throw new ConnectError(`a message of ${bytes} bytes is larger than ${bytesMax}`, Code.ResourceExhausted);
}

function cutOff(): ConnectError {
  return new ConnectError("a message is cut off", Code.InvalidArgument);
}

async function unpack(message: Uint8Array, bytesMax: number): Promise<Uint8Array> {
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
