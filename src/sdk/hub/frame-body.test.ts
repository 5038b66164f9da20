import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import type { IngestFrame } from "../../dataset/ingest/ingest.ts";
import { CODECS } from "../../format/frame.ts";
import { digestBytes, digestOf } from "../../format/digest.ts";
import { PutFramesRequestSchema } from "../../gen/aetherfs/hub/v1/ingest_pb.ts";
import { FrameBody } from "./frame-body.ts";

const digests = fc.uint8Array({ maxLength: 8 }).map(digestOf);
const bases = fc.record({
  digests: digests.map(digestBytes),
  lengths: fc.constant([7]),
  offset: fc.nat(),
  bytes: fc.nat(),
});
const frames: fc.Arbitrary<IngestFrame> = fc.record({
  codec: fc.constantFrom(...Object.values(CODECS)),
  chunks: fc.array(fc.record({ digest: digests, length: fc.nat() }), { minLength: 1, maxLength: 5 }),
  stored: fc.uint8Array({ maxLength: 300 }),
  base: fc.option(bases, { nil: undefined }),
  proposal: fc.option(fc.record({ base: bases, frames: fc.nat(1000) }), { nil: undefined }),
});

describe("a body of frames", () => {
  it("read as the message that it is, holds what was added, in order, as far as there was room", () => {
    const input = [
      fc.array(frames, { maxLength: 20 }),
      fc.nat(2 ** 31),
      fc.integer({ min: 64, max: 4000 }),
    ] as const;
    fc.assert(
      fc.property(...input, (added, sequence, capacity) => {
        const body = new FrameBody(capacity);
        body.begin("left over", 1);
        for (const frame of added) body.add(frame);
        body.begin("session", sequence);
        assert.equal(body.isEmpty, true);
        const taken = added.filter((frame) => body.add(frame));
        assert.equal(body.isEmpty, taken.length === 0);
        const message = fromBinary(PutFramesRequestSchema, body.bytes());
        assert.deepEqual([message.session, message.sequence], ["session", BigInt(sequence)]);
        assert.equal(message.frames.length, taken.length);
        for (const [index, { codec, chunks, stored, base, proposal }] of taken.entries()) {
          const frame = message.frames[index];
          assert.ok(frame !== undefined);
          assert.equal(frame.codec, codec);
          assert.deepEqual(
            frame.lengths,
            chunks.map(({ length }) => BigInt(length)),
          );
          assert.deepEqual(
            Buffer.from(frame.digests),
            Buffer.concat(chunks.map(({ digest }) => digestBytes(digest))),
          );
          assert.deepEqual(Buffer.from(frame.stored), Buffer.from(stored));
          assert.equal(frame.base?.offset, base === undefined ? undefined : BigInt(base.offset));
          assert.equal(frame.base?.bytes, base === undefined ? undefined : BigInt(base.bytes));
          assert.equal(frame.proposal?.frames, proposal?.frames);
          assert.deepEqual(
            frame.proposal?.base && Buffer.from(frame.proposal.base.digests),
            proposal && Buffer.from(proposal.base.digests),
          );
        }
      }),
    );
  });

  it("without room for a frame, takes none of it", () => {
    const body = new FrameBody(200);
    body.begin("s", 0);
    const frame = {
      codec: CODECS.raw,
      chunks: [{ digest: digestOf(Buffer.of(1)), length: 1 }],
      base: undefined,
    };
    assert.equal(body.add({ ...frame, stored: new Uint8Array(50) }), true);
    const before = Buffer.from(body.bytes());
    assert.equal(body.add({ ...frame, stored: new Uint8Array(150) }), false);
    assert.deepEqual(Buffer.from(body.bytes()), before);
  });
});
