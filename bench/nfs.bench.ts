/** NFS of a hub beside nfs-ganesha on the same files. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { must } from "../src/base/assert.ts";
import { noise } from "../src/dataset/testing/engine.ts";
import { withFolder } from "./folders.ts";
import { NODE, runProgram } from "./measure.ts";
import { inRounds, roundTo3, type BenchResult, type Figures } from "./result.ts";
import { aetherfsCommand } from "./snapshot-tools.ts";

/** The long file. */
export const BIG_BYTES = 2 ** 28;
/** Files of 4 KiB. */
export const SMALL_FILES = 2000;
const SMALL_BYTES = 4096;
/** A folder that has them: `big.bin`, and `small/file-N`. */
export type NfsFolder = string;

const CHILD = new URL("./nfs-child.ts", import.meta.url).pathname;

/** Measures both in network namespaces of their own; servers of one round follow one another. Needs root. */
export async function benchNfs(rounds: number): Promise<BenchResult> {
  const medians = await withFolder(async (folder) => {
    await writeFiles(folder);
    const servers = ["aetherfs", "ganesha"].map((name) => ({ name }));
    return inRounds(rounds, servers, ({ name }) => measureServer(name, folder));
  });
  const value = (row: string, column: string): number => must(medians[row]?.[column], "every row has it");
  const ratios: Record<string, number> = {};
  for (const column of Object.keys(medians["aetherfs"] ?? {})) {
    if (/MBs|PerSecond/.test(column))
      ratios[`${column}: aetherfs / ganesha`] = roundTo3(
        value("aetherfs", column) / value("ganesha", column),
      );
  }
  const compared = `a file of 256 MiB of text by 1, 4 and 16 nfs-cat at once, read before; ${SMALL_FILES} files of 4 KiB in a folder by one connection, 1 and 16 at once: LOOKUP and GETATTR, LOOKUP and READ; the folder by READDIRPLUS. nfs-ganesha with FSAL VFS`;
  return { name: "nfs", rounds, compared, medians, ratios };
}

async function measureServer(name: string, folder: string): Promise<Figures> {
  // With a /run of its own, rpcbind is nobody else's either.
  const script = 'mount -t tmpfs tmpfs /run && exec "$@"';
  const argv = ["unshare", "--net", "--mount", "sh", "-c", script, "sh", ...NODE, CHILD, name, folder];
  return JSON.parse(await runProgram({ argv, env: { HOME: join(folder, "home") } })) as Figures;
}

async function writeFiles(folder: string): Promise<void> {
  const files: NfsFolder = join(folder, "files");
  await mkdir(join(files, "small"), { recursive: true });
  await mkdir(join(folder, "home"));
  let text = "";
  for (let line = 0; text.length < BIG_BYTES; line++)
    text += `${line},${(line * 2654435761) % 4294967296},place ${line % 977},${(line * 40503) % 65536}\n`;
  await writeFile(join(files, "big.bin"), text.slice(0, BIG_BYTES));
  for (let index = 0; index < SMALL_FILES; index++)
    await writeFile(join(files, `small/file-${index}`), noise(index + 1, SMALL_BYTES));
  await runProgram(aetherfsCommand(folder, "push", "-t", "files:one", files));
}
