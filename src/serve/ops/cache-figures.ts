/** How well the cache of decoded content does, for Prometheus. */
import type { PieceFigures } from "../../dataset/read/piece-cache.ts";
import type { Meter } from "./meter.ts";

const ORIGINS = {
  memory: "was decoded in memory",
  disk: "was decoded in the cache folder",
  decoded: "was read from the store and decoded",
} as const;

/** Shows where content that was read came from. */
export function showCache(meter: Meter, figures: () => PieceFigures): void {
  for (const [origin, where] of Object.entries(ORIGINS) as [keyof PieceFigures, string][]) {
    const name = `aetherfs_cache_${origin}`;
    meter.counter(
      `${name}_pieces_total`,
      `Pieces of content of which each ${where}.`,
      () => figures()[origin].pieces,
    );
    meter.counter(`${name}_bytes_total`, `Bytes of content that ${where}.`, () => figures()[origin].bytes);
  }
}
