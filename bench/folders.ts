/** Where benchmarks keep what they work on. */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Inputs that are kept between runs, and repositories of the run under way. Not in git. */
export const DATA = fileURLToPath(new URL("data", import.meta.url));

/** Compiled code of the command line, kept as an installed one keeps it. */
export const COMPILE_CACHE = join(DATA, "compile-cache");

/** Runs a task with a new folder on the disk of the inputs, removed afterwards. */
export async function withFolder<T>(task: (folder: string) => Promise<T>): Promise<T> {
  await mkdir(DATA, { recursive: true });
  const folder = await mkdtemp(join(DATA, "run-"));
  try {
    return await task(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
