import { randomBytes, randomUUID } from "node:crypto";

/** Where randomness enters. Passed on by the composition roots so that a simulation can supply its own. */
export interface Random {
  /** A fraction in [0, 1), for jitter. */
  readonly fraction: () => number;
  /** An unguessable name of 32 hex digits: write ids, leases, temporary files. */
  readonly id: () => string;
}

/** The machine's randomness. */
export const systemRandom: Random = {
  fraction: () => randomBytes(4).readUInt32LE(0) / 2 ** 32,
  id: () => randomUUID().replaceAll("-", ""),
};
