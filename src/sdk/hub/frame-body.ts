/** Bodies of `POST /bulk/v1/frames`: each one PutFramesRequest (docs/protocol.md §4), written without copying frames twice. */
import { create, toBinary, type MessageShape } from "@bufbuild/protobuf";
import { DeltaProposalSchema, FrameBaseSchema, FrameSchema } from "../../gen/aetherfs/hub/v1/ingest_pb.ts";
import type { FrameBase } from "../../format/block.ts";
import { digestBytes } from "../../format/digest.ts";
import { BODY_DECODED_BYTES_MAX, BODY_FRAMES_MAX } from "../../dataset/ingest/sessions.ts";
import type { IngestFrame } from "../../dataset/ingest/ingest.ts";

/** Tags of length-delimited fields: PutFramesRequest.session and .frames, Frame.stored; and of the varint .sequence. */
const SESSION_TAG = (1 << 3) | 2;
const SEQUENCE_TAG = 2 << 3;
const FRAMES_TAG = (3 << 3) | 2;
const STORED_TAG = (4 << 3) | 2;
/** A tag and a length of 32 bits. */
const PREFIX_BYTES_MAX = 6;

/** One body that fills. */
export class FrameBody {
  readonly #buffer: Buffer;
  #bytes = 0;
  #frames = 0;
  #decodedBytes = 0;

  /** `capacityBytes` is what a body may have. */
  constructor(capacityBytes: number) {
    this.#buffer = Buffer.allocUnsafeSlow(capacityBytes);
  }

  get isEmpty(): boolean {
    return this.#frames === 0;
  }

  /** Empties it, for the session's body of this number. */
  begin(session: string, sequence: number): void {
    this.#bytes = 0;
    this.#frames = 0;
    this.#decodedBytes = 0;
    this.#prefix(SESSION_TAG, Buffer.byteLength(session));
    this.#bytes += this.#buffer.write(session, this.#bytes);
    this.#prefix(SEQUENCE_TAG, sequence);
  }

  /** Takes a copy of the frame; false when it has no room. */
  add(frame: IngestFrame): boolean {
    const { stored, chunks } = frame;
    const decodedBytes = chunks.reduce((sum, chunk) => sum + chunk.length, this.#decodedBytes);
    if (this.#frames === BODY_FRAMES_MAX || decodedBytes > BODY_DECODED_BYTES_MAX) return false;
    const head = encodeHead(frame);
    const messageBytes = head.byteLength + 1 + varintBytes(stored.byteLength) + stored.byteLength;
    if (this.#bytes + PREFIX_BYTES_MAX + messageBytes > this.#buffer.byteLength) return false;
    this.#prefix(FRAMES_TAG, messageBytes);
    this.#copy(head);
    this.#prefix(STORED_TAG, stored.byteLength);
    this.#copy(stored);
    this.#frames++;
    this.#decodedBytes = decodedBytes;
    return true;
  }

  /** The body so far; its own until the next begin(). */
  bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#bytes);
  }

  #copy(bytes: Uint8Array): void {
    this.#buffer.set(bytes, this.#bytes);
    this.#bytes += bytes.byteLength;
  }

  #prefix(tag: number, value: number): void {
    this.#buffer[this.#bytes++] = tag;
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.#buffer[this.#bytes++] = (rest % 0x80) | 0x80;
    this.#buffer[this.#bytes++] = rest;
  }
}

/** Everything of a frame but its stored bytes. */
function encodeHead({ codec, chunks, base, proposal }: IngestFrame): Uint8Array {
  const message = create(FrameSchema, {
    codec,
    digests: Buffer.concat(chunks.map(({ digest }) => digestBytes(digest))),
    lengths: chunks.map(({ length }) => BigInt(length)),
  });
  if (base !== undefined) message.base = baseMessage(base);
  if (proposal !== undefined) {
    message.proposal = create(DeltaProposalSchema, {
      base: baseMessage(proposal.base),
      frames: proposal.frames,
    });
  }
  return toBinary(FrameSchema, message);
}

function baseMessage({ digests, offset, bytes }: FrameBase): MessageShape<typeof FrameBaseSchema> {
  return create(FrameBaseSchema, { digests, offset: BigInt(offset), bytes: BigInt(bytes) });
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes++;
  return bytes;
}
