/** Choices that a seed repeats. */
import { randomInt } from "node:crypto";

const SEED_MAX = 2 ** 32;

/** A fraction in [0, 1), the next at each call. */
export type Fractions = () => number;

/** The seed of a run: AETHERFS_CRASH_SEED, or a new one. */
export function chooseSeed(environment: Readonly<Record<string, string | undefined>> = process.env): number {
  const given = environment["AETHERFS_CRASH_SEED"];
  if (given === undefined) return randomInt(SEED_MAX);
  const seed = Number(given);
  if (!Number.isSafeInteger(seed) || seed < 0) throw new RangeError(`AETHERFS_CRASH_SEED is "${given}"`);
  return seed;
}

/** Kills that a run makes in all: AETHERFS_CRASH_POINTS, or 200. */
export function crashPoints(environment: Readonly<Record<string, string | undefined>> = process.env): number {
  const points = Number(environment["AETHERFS_CRASH_POINTS"] ?? "200");
  if (!Number.isSafeInteger(points) || points < 1)
    throw new RangeError("AETHERFS_CRASH_POINTS is not a count");
  return points;
}

/** The fractions of a seed (mulberry32). */
export function fractionsOf(seed: number): Fractions {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / SEED_MAX;
  };
}

/** A whole number from 0 below `below`. */
export function pick(fractions: Fractions, below: number): number {
  return Math.floor(fractions() * below);
}

/** Bytes of the fractions, which hardly compress. */
export function bytesOf(fractions: Fractions, length: number): Buffer {
  const bytes = Buffer.alloc(length + 4);
  for (let at = 0; at < length; at += 4) bytes.writeUInt32LE(pick(fractions, SEED_MAX), at);
  return bytes.subarray(0, length);
}
