/** What decoding frames takes, counted anew from the blocks alone: for tests that hold it to what the indexes say. */
import assert from "node:assert/strict";
import { must } from "../../base/assert.ts";
import type { FrameInfo } from "../../format/block.ts";
import type { Digest } from "../../format/digest.ts";
import { DECODE_BYTES_MAX, DEPTH_MAX } from "../../format/frame.ts";
import { splitDigests } from "../ingest/block-packer.ts";

interface Cost {
  readonly depth: number;
  readonly decodeBytes: number;
}

/**
 * That each frame is within the limits of docs/format.md §5.1 by the frames that its base chunks really lie in (of several,
 * the one of the lowest depth), and takes no more than its index says. Gives the greatest costs that were found.
 */
export function assertWithinLimits(frames: readonly FrameInfo[]): Cost {
  const holders = holdersOf(frames);
  const known = new Map<FrameInfo, Cost>();
  const costOf = (frame: FrameInfo, under: ReadonlySet<FrameInfo>): Cost => {
    const found = known.get(frame);
    if (found !== undefined) return found;
    assert.ok(!under.has(frame), "a frame lies on itself");
    const cost = costOn(frame, holders, (base) => costOf(base, new Set([...under, frame])));
    known.set(frame, cost);
    return cost;
  };
  let worst: Cost = { depth: 0, decodeBytes: 0 };
  for (const frame of frames) {
    const { depth, decodeBytes } = costOf(frame, new Set());
    if (frame.base === undefined) continue;
    assert.ok(
      depth <= DEPTH_MAX && depth <= frame.depth,
      `depth ${depth}, and the index says ${frame.depth}`,
    );
    assert.ok(
      decodeBytes <= DECODE_BYTES_MAX && decodeBytes <= frame.decodeBytes,
      `${decodeBytes} bytes to decode, and the index says ${frame.decodeBytes}`,
    );
    worst = {
      depth: Math.max(worst.depth, depth),
      decodeBytes: Math.max(worst.decodeBytes, decodeBytes),
    };
  }
  return worst;
}

/** Each chunk's frame: of several, the one of the lowest depth. */
function holdersOf(frames: readonly FrameInfo[]): ReadonlyMap<Digest, FrameInfo> {
  const holders = new Map<Digest, FrameInfo>();
  for (const frame of frames) {
    for (const digest of splitDigests(frame.digests)) {
      if ((holders.get(digest)?.depth ?? Infinity) > frame.depth) holders.set(digest, frame);
    }
  }
  return holders;
}

function costOn(
  frame: FrameInfo,
  holders: ReadonlyMap<Digest, FrameInfo>,
  costOf: (base: FrameInfo) => Cost,
): Cost {
  const bytes = frame.lengths.reduce((sum, length) => sum + length, 0);
  if (frame.base === undefined) return { depth: 0, decodeBytes: bytes };
  const bases = new Set(
    splitDigests(frame.base.digests).map((digest) => must(holders.get(digest), "a base chunk is stored")),
  );
  const costs = [...bases].map(costOf);
  return {
    depth: 1 + Math.max(...costs.map((cost) => cost.depth)),
    decodeBytes: costs.reduce((sum, cost) => sum + cost.decodeBytes, bytes),
  };
}
