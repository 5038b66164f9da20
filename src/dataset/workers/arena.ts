/** Memory that a thread decodes into, job after job: buffers made for each chunk stay until garbage is collected. */

/** More than a unit decodes to as a rule; what goes beyond gets memory of its own. */
const ARENA_BYTES_MAX = 12 * 1024 * 1024;

let memory: Buffer | undefined;
let usedBytes = 0;

/** Makes all room free again: what was taken before is void. */
export function beginArena(): void {
  usedBytes = 0;
}

/** Room for `bytes`, until the next beginArena(). Its content is undefined. */
export function takeRoom(bytes: number): Uint8Array {
  memory ??= Buffer.allocUnsafeSlow(ARENA_BYTES_MAX);
  if (usedBytes + bytes > ARENA_BYTES_MAX) return Buffer.allocUnsafeSlow(bytes);
  usedBytes += bytes;
  return memory.subarray(usedBytes - bytes, usedBytes);
}
