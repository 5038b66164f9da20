/** Peak memory of push and pull, of little and of much input. */
import { createCipheriv } from "node:crypto";
import { mkdir, open, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { GiB, MiB } from "../src/base/limits.ts";
import { DATA, withFolder } from "./folders.ts";
import { costOf, measure } from "./measure.ts";
import { roundTo3, type BenchResult, type Figures } from "./result.ts";
import { aetherfsCommand } from "./snapshot-tools.ts";

const LIMIT_MIB = 256;
/** What the runtime may take beside the limit. */
const RUNTIME_MIB = 100;
const SMALL_GIB = 1;
const LARGE_GIB = 20;
/** Free space that the large input needs: the source with its store, then the store with what is pulled. */
const LARGE_FREE_BYTES = 60 * GiB;
const FILE_BYTES = 512 * MiB;
const PIECE_BYTES = MiB;

/** 1 GiB, and 20 GiB when the disk has room for it. */
export async function benchMemory(): Promise<BenchResult> {
  await mkdir(DATA, { recursive: true });
  const { bavail, bsize } = await statfs(DATA);
  const sizes = [SMALL_GIB];
  if (bavail * bsize > LARGE_FREE_BYTES) sizes.push(LARGE_GIB);
  const medians: Record<string, Figures> = {};
  for (const sizeGiB of sizes) {
    await withFolder(async (folder) => {
      const limit = ["--memory_limit", `${LIMIT_MIB}MiB`];
      const source = join(folder, "source");
      await mkdir(join(folder, "home"));
      await generate(source, sizeGiB * GiB);
      const push = await measure(aetherfsCommand(folder, ...limit, "push", "-t", "big:one", source));
      medians[`push ${sizeGiB} GiB`] = costOf(push);
      await rm(source, { recursive: true });
      const target = join(folder, "target");
      const pull = await measure(aetherfsCommand(folder, ...limit, "pull", "--into", target, "big:one"));
      medians[`pull ${sizeGiB} GiB`] = costOf(pull);
    });
  }
  const left = sizes.includes(LARGE_GIB) ? "" : `; ${LARGE_GIB} GiB left out: the disk has too little room`;
  const compared = `unique bytes that compress 2:1, files of 512 MiB, --memory_limit ${LIMIT_MIB}MiB${left}`;
  const most = Math.max(...Object.values(medians).map((figures) => figures["memoryMiB"] ?? NaN));
  const ratios = { "most memory / (limit + 100 MiB)": roundTo3(most / (LIMIT_MIB + RUNTIME_MIB)) };
  return { name: "memory", rounds: 1, compared, medians, ratios };
}

/** Files of hexadecimal noise, the same at every run: 4 bits of information in each byte. */
async function generate(folder: string, bytes: number): Promise<void> {
  await mkdir(folder, { recursive: true });
  const cipher = createCipheriv("aes-256-ctr", Buffer.alloc(32, 1), Buffer.alloc(16));
  const zeros = Buffer.alloc(PIECE_BYTES / 2);
  for (let start = 0; start < bytes; start += FILE_BYTES) {
    const file = await open(join(folder, `part-${start / FILE_BYTES}`), "wx");
    try {
      for (let at = start; at < Math.min(start + FILE_BYTES, bytes); at += PIECE_BYTES) {
        await file.write(Buffer.from(cipher.update(zeros).toString("hex"), "latin1"));
      }
    } finally {
      await file.close();
    }
  }
}
