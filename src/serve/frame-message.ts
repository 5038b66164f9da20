/** Frames as messages: by gRPC, and as bodies of plain HTTP. docs/protocol.md §4 */
import { AetherError } from "../base/errors.ts";
import { MiB } from "../base/limits.ts";
import type { ReceivedBase, ReceivedFrame, ReceivedPage } from "../dataset/ingest/sessions.ts";
import { CHUNK_BYTES_MAX } from "../format/chunking.ts";
import { CODECS, type Codec } from "../format/frame.ts";

/** One body of frames or pages at most: the longest chunk, and what is said of it. */
export const BODY_BYTES_MAX = CHUNK_BYTES_MAX + MiB;

/** A message `aetherfs.hub.v1.Frame`, as whoever decoded it gives it. */
interface FrameMessage {
  readonly codec: number;
  readonly digests: Uint8Array;
  readonly lengths: readonly bigint[];
  readonly stored: Uint8Array;
  readonly base?: BaseMessage | undefined;
  readonly proposal?: { readonly base?: BaseMessage | undefined; readonly frames: number } | undefined;
}

/** A message `aetherfs.hub.v1.FrameBase`. */
interface BaseMessage {
  readonly digests: Uint8Array;
  readonly offset: bigint;
  readonly bytes: bigint;
}

/** The frame that a message describes; nothing of it is verified but its codec. Errors: OBJECT_INVALID. */
export function receivedFrame({
  codec,
  digests,
  lengths,
  stored,
  base,
  proposal,
}: FrameMessage): ReceivedFrame {
  return {
    codec: codecOf(codec),
    digests,
    lengths: lengths.map(Number),
    stored,
    base: base && receivedBase(base),
    proposal: proposal?.base && { base: receivedBase(proposal.base), frames: proposal.frames },
  };
}

/** A message `aetherfs.hub.v1.PageFrame`. */
interface PageMessage {
  readonly codec: number;
  readonly pageBytes: number;
  readonly bases: Uint8Array;
  readonly stored: Uint8Array;
}

/** The page that a message describes; nothing of it is verified but its codec. Errors: OBJECT_INVALID. */
export function receivedPage({ codec, pageBytes, bases, stored }: PageMessage): ReceivedPage {
  return { codec: codecOf(codec), pageBytes, bases, stored };
}

/** The page that came as it is. */
export function plainPage(bytes: Uint8Array): ReceivedPage {
  return { codec: CODECS.raw, pageBytes: bytes.byteLength, bases: new Uint8Array(), stored: bytes };
}

function receivedBase({ digests, offset, bytes }: BaseMessage): ReceivedBase {
  return { digests, offset: Number(offset), bytes: Number(bytes) };
}

function codecOf(number: number): Codec {
  const codec = Object.values(CODECS).find((each) => each === number);
  if (codec === undefined) throw new AetherError("OBJECT_INVALID", `a frame has the unknown codec ${number}`);
  return codec;
}
