/** Bodies of frames. docs/protocol.md §4 */
import { fromBinary } from "@bufbuild/protobuf";
import { copyBytes } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { AetherError } from "../../base/errors.ts";
import type { Taking } from "../../dataset/ingest/sessions.ts";
import { PutFramesRequestSchema } from "../../gen/aetherfs/hub/v1/ingest_pb.ts";
import { Gate } from "../../store/layers/gate.ts";
import { BODY_BYTES_MAX, receivedFrame } from "../frame-message.ts";
import type { HttpHandler, HttpRequest } from "../http-handler.ts";
import type { Services } from "../services.ts";
import { BodyMemory } from "./body-memory.ts";

/** Of the engine's memory, what bodies have together from when they come until they are packed. */
const MEMORY_SHARE = 8;
const BODIES_MAX = 256;
const WAITERS_MAX = 1024;
/** How long one body may take to come. */
const BODY_MS_MAX = 120_000;

/** Makes the answer to `POST /bulk/v1/frames`. */
export function createFrameTaker(services: Services): HttpHandler {
  const bytesMax = Math.max(BODY_BYTES_MAX, Math.floor(services.engine.memoryBytes / MEMORY_SHARE));
  const gate = new Gate({ callsMax: BODIES_MAX, bytesMax, waitersMax: WAITERS_MAX });
  const memory = new BodyMemory();
  return async (request, response) => {
    await services.access.identify(request.headers);
    const gone = new AbortController();
    response.once("close", () => {
      gone.abort(new AetherError("CANCELLED", "the client has gone"));
    });
    const { signal } = gone;
    const bytes = announcedBytes(request) ?? BODY_BYTES_MAX;
    await gate.run(
      bytes,
      () =>
        memory.use(bytes, async (room) => {
          const body = await within(services.engine.clock, request, () => readBody(request, room));
          const { done } = await take(services, body, signal);
          // The next body comes while this one is decoded: what is wrong with it, the session tells then.
          response.writeHead(204);
          response.end();
          await done.catch(() => undefined);
        }),
      signal,
    );
  };
}

/** Breaks off a body that takes too long: it keeps others from memory. Errors: those of the task. */
async function within<T>(clock: Clock, request: HttpRequest, task: () => Promise<T>): Promise<T> {
  const ended = new AbortController();
  const late = new AetherError("DEADLINE_EXCEEDED", "the body did not come in time: send smaller ones");
  const watch = clock.sleep(BODY_MS_MAX, ended.signal).then(
    () => request.destroy(late),
    () => undefined,
  );
  try {
    return await task();
  } finally {
    ended.abort();
    await watch;
  }
}

function take({ sessions }: Services, body: Uint8Array, signal: AbortSignal): Promise<Taking> {
  const { session, sequence, frames } = decode(body);
  return sessions.use(session).putFrames(Number(sequence), frames.map(receivedFrame), { signal });
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

/** The body, in `room`. Errors: LIMIT_EXCEEDED when it has more bytes, ARGUMENT_INVALID when fewer than it said. */
async function readBody(request: HttpRequest, room: Uint8Array): Promise<Uint8Array> {
  let bytes = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    if (bytes + piece.byteLength > room.byteLength) throw tooLong();
    copyBytes(piece, room, bytes);
    bytes += piece.byteLength;
  }
  if (request.headers["content-length"] !== undefined && bytes !== room.byteLength) {
    throw new AetherError("ARGUMENT_INVALID", "the body is shorter than it said");
  }
  return room.subarray(0, bytes);
}

function tooLong(): AetherError {
  return new AetherError("LIMIT_EXCEEDED", `a body of frames has at most ${BODY_BYTES_MAX} bytes`);
}
