/** Reading chunks by a plan at hand. */
import { must } from "../../base/assert.ts";
import type { ChunkItem } from "../../format/page.ts";
import type { Plan } from "../../format/plan.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { ReadEngine } from "../engine.ts";
import { fetchFrames } from "./block-ranges.ts";
import { UnitBuilder } from "./unit.ts";

/** Adds the plan's items, which these chunks are, to a unit. Errors: OBJECT_INVALID. */
export function addPlanned<L>(unit: UnitBuilder<L>, plan: Plan, chunks: readonly ChunkItem[]): void {
  for (const [index, { digest, length }] of chunks.entries()) {
    unit.add({
      digest,
      bytes: length,
      plan,
      place: must(plan.places[index], "the plan has a place for each"),
    });
  }
}

/**
 * The bytes of the plan's items, which these chunks are, one after another, verified. The caller keeps within a few MiB.
 * Errors: OBJECT_MISSING, OBJECT_CORRUPT, OBJECT_INVALID, STORE_UNAVAILABLE.
 */
export async function readPlanned(
  engine: Pick<ReadEngine, "store" | "pool">,
  plan: Plan,
  chunks: readonly ChunkItem[],
  options: CallOptions,
): Promise<Uint8Array> {
  const unit = new UnitBuilder<never>(() => undefined);
  addPlanned(unit, plan, chunks);
  const fetched = await fetchFrames(engine.store.blocks, unit.frames, options);
  const transfer = fetched.ranges.map((range) => range.buffer);
  const input = { frames: unit.frames, chunks: unit.chunks, stored: fetched.stored, locals: [] };
  return engine.pool.run("decodeUnit", input, { transfer, signal: options.signal });
}
