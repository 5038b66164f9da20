// AssemblyScript, compiled into ../chunker-wasm.ts by scripts/build-wasm.ts. docs/format.md §4
//
// The imported memory is shared by several instances at once: this module only reads it, and has neither globals nor a
// stack in it. The gear table lies at address 0.

/** Bytes that the hash depends on: older ones have been shifted out of its 64 bits. */
const WINDOW: usize = 64;

// @ts-ignore: decorators are valid here
@inline
function roll(hash: u64, byte: u32): u64 {
  return (hash << 1) + load<u64>((<usize>byte) << 3);
}

/** The smallest cut in [from, to) where the hash's `bits` highest bits are zero, or 0 when there is none. */
function scan(from: usize, to: usize, bits: u64): usize {
  const mask: u64 = ~((<u64>-1) >> bits);
  let hash: u64 = 0;
  for (let at = from - WINDOW; at < from - 1; at++) hash = roll(hash, load<u8>(at));
  let at = from - 1;
  const last = to - 1;
  // Four bytes a turn: about a tenth faster than one, and eight are no faster.
  while (at + 4 <= last) {
    hash = roll(hash, load<u8>(at));
    if (!(hash & mask)) return at + 1;
    hash = roll(hash, load<u8>(at, 1));
    if (!(hash & mask)) return at + 2;
    hash = roll(hash, load<u8>(at, 2));
    if (!(hash & mask)) return at + 3;
    hash = roll(hash, load<u8>(at, 3));
    if (!(hash & mask)) return at + 4;
    at += 4;
  }
  for (; at < last; at++) {
    hash = roll(hash, load<u8>(at));
    if (!(hash & mask)) return at + 1;
  }
  return 0;
}

/**
 * The end of the chunk that starts at `start`, at most `end`, or 0 when the bytes up to `end` do not decide it. The
 * average is 2^averageBits. Addresses stay below 2^31, so that none of the sums here can wrap around.
 */
export function findCut(start: usize, end: usize, averageBits: u32): usize {
  const average = (<usize>1) << averageBits;
  const shortest = average >> 1;
  const longest = average << 2;
  const length = end - start;
  if (length < shortest) return 0;
  const early = scan(start + shortest, start + min<usize>(average, length + 1), averageBits + 2);
  if (early) return early;
  if (length < average) return 0;
  const late = scan(start + average, start + min<usize>(longest, length + 1), averageBits - 2);
  if (late) return late;
  return length >= longest ? start + longest : 0;
}
