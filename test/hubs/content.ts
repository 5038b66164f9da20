/** What a publish of a run holds: files that tell its id. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { equalBytes } from "../../src/base/bytes.ts";
import { noise } from "../../src/dataset/testing/engine.ts";
import { digestOf } from "../../src/format/digest.ts";

const NOISE_BYTES = 150_000;
/** Says whose the other one is. */
export const ID_FILE = "id.txt";
/** Depends on the id alone, and is several chunks long. */
export const NOISE_FILE = "data/noise.bin";

function noiseOf(id: string): Uint8Array {
  return noise(Number.parseInt(digestOf(Buffer.from(id)).slice(0, 7), 16), NOISE_BYTES);
}

/** Makes the folder that a publish of this id pushes; what was there goes. */
export function writeContent(folder: string, id: string): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, "data"), { recursive: true });
  writeFileSync(join(folder, ID_FILE), id);
  writeFileSync(join(folder, NOISE_FILE), noiseOf(id));
}

/** The id of the publish that these are the files of; undefined when they belong to none, or to two. */
export function idOfContent(idBytes: Uint8Array, noiseBytes: Uint8Array): string | undefined {
  const id = Buffer.from(idBytes).toString();
  return equalBytes(noiseBytes, noiseOf(id)) ? id : undefined;
}

/** The same, of a folder. */
export function idOfFolder(folder: string): string | undefined {
  return idOfContent(readFileSync(join(folder, ID_FILE)), readFileSync(join(folder, NOISE_FILE)));
}
