import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { countedBytes, LiveFrames } from "./live-frames.ts";

const GiB = 2 ** 30;
const MiB = 2 ** 20;

describe("live frames of a block", () => {
  it("are those that were added, each once, in order, whatever the order they came in", () => {
    const frame = fc.tuple(fc.integer({ min: 0, max: 400 }), fc.integer({ min: 1, max: 1000 }));
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 600 }), fc.array(fc.nat({ max: 600 })), (added, looks) => {
        const lengths = new Map<number, number>();
        const live = new LiveFrames();
        for (const [index, [offset, bytes]] of added.entries()) {
          const known = lengths.get(offset) ?? bytes;
          lengths.set(offset, known);
          live.add(offset, known);
          if (looks.includes(index)) assert.equal(live.count, lengths.size);
        }
        assert.deepEqual(
          [...live.offsets()],
          [...lengths.keys()].sort((one, other) => one - other),
        );
        assert.equal(live.count, lengths.size);
        assert.equal(
          live.bytes,
          [...lengths.values()].reduce((sum, bytes) => sum + countedBytes(bytes), 0),
        );
        live.clear();
        assert.deepEqual([live.count, live.bytes], [0, 0]);
      }),
    );
  });

  it("of the largest block, with the longest frame at its end, are as they were added", () => {
    const live = new LiveFrames();
    live.add(GiB - 32 * MiB, 32 * MiB);
    live.add(32, 1);
    assert.deepEqual([...live.offsets()], [32, GiB - 32 * MiB]);
    assert.equal(live.bytes, 32 * MiB + 16);
  });
});
