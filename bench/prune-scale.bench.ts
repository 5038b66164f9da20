/** A prune of a store with ten million chunks: its memory is what counts. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { withFolder } from "./folders.ts";
import { costOf, folderBytes, measureQuietly, NODE, runProgram } from "./measure.ts";
import { roundTo3, type BenchResult, type Figures } from "./result.ts";
import { aetherfsCommand } from "./snapshot-tools.ts";

const CHILD = fileURLToPath(new URL("many-chunks-child.ts", import.meta.url));
const CHUNKS = 10_000_000;
const DROPPED = ["v1", "v3"];
const LIMIT_MIB = 256;

/** One run: making the store takes minutes, and 100,000 small files. `sizes`: how many chunks. */
export async function benchPruneScale(
  _rounds: number,
  sizes: readonly number[] = [CHUNKS],
): Promise<BenchResult> {
  const medians: Record<string, Figures> = {};
  const ratios: Record<string, number> = {};
  for (const chunks of sizes) {
    await withFolder(async (folder) => {
      const store = join(folder, "store");
      await runProgram({ argv: [...NODE, CHILD, store, String(chunks)] });
      const name = `${chunks.toLocaleString("en")} chunks`;
      const prune = (...words: string[]) => measureQuietly(aetherfsCommand(folder, "prune", ...words));
      const look = await prune("--dry-run");
      medians[`${name}, all needed: looked at`] = costOf(look);
      for (const tag of DROPPED) await runProgram(aetherfsCommand(folder, "rm", `many:${tag}`));
      const beforeBytes = await folderBytes(store);
      const pruned = await prune("--grace", "0s");
      const freedBytes = beforeBytes - (await folderBytes(store));
      medians[`${name}, two versions of six dropped: pruned`] = { ...costOf(pruned), freedBytes };
      const memoryMiB = Math.max(look.memoryMiB, pruned.memoryMiB);
      ratios[`${name}: memory / ${LIMIT_MIB} MiB`] = roundTo3(memoryMiB / LIMIT_MIB);
    });
  }
  const compared =
    "generated chunks of 8 bytes, 1,024 to a block, in six versions of half as many each; grace 0, so the store is looked through twice";
  return { name: "prune-scale", rounds: 1, compared, medians, ratios };
}
