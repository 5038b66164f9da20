/** Bodies of frames. docs/protocol.md §4 */
import { fromBinary } from "@bufbuild/protobuf";
import { AetherError } from "../../base/errors.ts";
import { PutFramesRequestSchema } from "../../gen/aetherfs/hub/v1/ingest_pb.ts";
import { Gate } from "../../store/layers/gate.ts";
import { BODY_BYTES_MAX, receivedFrame } from "../frame-message.ts";
import type { HttpHandler, HttpRequest } from "../http-handler.ts";
import type { Services } from "../services.ts";

/** Of the engine's memory, what bodies on their way in have together. */
const MEMORY_SHARE = 8;
const BODIES_MAX = 256;
const WAITERS_MAX = 1024;

/** Makes the answer to `POST /bulk/v1/frames`. */
export function createFrameTaker(services: Services): HttpHandler {
  const bytesMax = Math.max(BODY_BYTES_MAX, Math.floor(services.engine.memoryBytes / MEMORY_SHARE));
  const gate = new Gate({ callsMax: BODIES_MAX, bytesMax, waitersMax: WAITERS_MAX });
  return async (request, response) => {
    await services.access.identify(request.headers);
    const gone = new AbortController();
    response.once("close", () => {
      gone.abort(new AetherError("CANCELLED", "the client has gone"));
    });
    const { signal } = gone;
    const bytes = announcedBytes(request);
    await gate.run(bytes ?? BODY_BYTES_MAX, () => take(services, request, bytes, signal), signal);
    response.writeHead(204);
    response.end();
  };
}

async function take(
  { sessions }: Services,
  request: HttpRequest,
  bytes: number | undefined,
  signal: AbortSignal,
): Promise<void> {
  const body = await readBody(request, bytes);
  const { session, sequence, frames } = decode(body);
  await sessions.use(session).putFrames(Number(sequence), frames.map(receivedFrame), { signal });
}

function decode(body: Uint8Array): ReturnType<typeof fromBinary<typeof PutFramesRequestSchema>> {
  try {
    return fromBinary(PutFramesRequestSchema, body);
  } catch (cause) {
    throw new AetherError("ARGUMENT_INVALID", "the body is no PutFramesRequest", { cause });
  }
}

/** What the body is said to have; undefined: nobody says. Errors: ARGUMENT_INVALID, LIMIT_EXCEEDED. */
function announcedBytes(request: HttpRequest): number | undefined {
  const type = request.headers["content-type"]?.split(";")[0]?.trim().toLowerCase();
  if (type !== "application/protobuf" && type !== "application/x-protobuf") {
    throw new AetherError("ARGUMENT_INVALID", "frames come as application/protobuf");
  }
  if (request.headers["content-encoding"] !== undefined) {
    throw new AetherError(
      "ARGUMENT_INVALID",
      "frames come without content-encoding: they are compressed already",
    );
  }
  const length = request.headers["content-length"];
  if (length === undefined) return undefined;
  const bytes = Number(length);
  if (!(bytes <= BODY_BYTES_MAX)) throw tooLong();
  return bytes;
}

async function readBody(request: HttpRequest, announced: number | undefined): Promise<Uint8Array> {
  const body = new Uint8Array(new SharedArrayBuffer(announced ?? BODY_BYTES_MAX));
  let bytes = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    if (bytes + piece.byteLength > body.byteLength) throw tooLong();
    body.set(piece, bytes);
    bytes += piece.byteLength;
  }
  if (announced !== undefined && bytes !== announced) {
    throw new AetherError("ARGUMENT_INVALID", "the body is shorter than it said");
  }
  return body.subarray(0, bytes);
}

function tooLong(): AetherError {
  return new AetherError("LIMIT_EXCEEDED", `a body of frames has at most ${BODY_BYTES_MAX} bytes`);
}
