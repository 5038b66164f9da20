/** A manifest of a million files: built, stored, searched, listed and compared, in one child whose memory is measured. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { withFolder } from "./folders.ts";
import { measure, NODE } from "./measure.ts";
import { roundTo3, type BenchResult, type Figures } from "./result.ts";

const CHILD = fileURLToPath(new URL("manifest-child.ts", import.meta.url));
const LIMIT_MIB = 256;
const RUNTIME_MIB = 100;

/** What manifest-child.ts prints. */
export type ManifestSteps = Readonly<Record<string, Figures>>;

/** One run: its steps are long. */
export async function benchManifest(): Promise<BenchResult> {
  return withFolder(async (folder) => {
    const store = join(folder, "store");
    await mkdir(store);
    const { stdout, memoryMiB } = await measure({
      argv: [...NODE, CHILD, store, String(LIMIT_MIB)],
    });
    const medians = JSON.parse(stdout) as ManifestSteps;
    const compared = "1,000,000 generated files, four to a chunk, no deltas; a store on disk, synced";
    const ratios = { "memory / (limit + 100 MiB)": roundTo3(memoryMiB / (LIMIT_MIB + RUNTIME_MIB)) };
    return { name: "manifest", rounds: 1, compared, medians: { ...medians, process: { memoryMiB } }, ratios };
  });
}
