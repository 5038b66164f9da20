/**
 * Writes the vectors of the format to test/vectors/: `node scripts/vectors.ts`. With `--check` writes nothing and fails
 * when anything would change. Stored bytes that are compressed stay as they were made first: another zlib may compress
 * otherwise, and what is pinned is how they decode.
 */
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { blockCases } from "./vectors/blocks.ts";
import type { VectorCase } from "./vectors/case.ts";
import { manifestCases, rootCases } from "./vectors/manifest.ts";
import { pageCases } from "./vectors/pages.ts";
import { planCases } from "./vectors/plans.ts";
import { recordCases } from "./vectors/records.ts";
import { treeCases } from "./vectors/trees.ts";
import { headerCases, wireCases } from "./vectors/wire.ts";

const folder = fileURLToPath(new URL("../test/vectors/", import.meta.url));

/** What stands in each file under test/vectors/, by its path there; the vectors of chunking are not among them. */
export function vectorFiles(): ReadonlyMap<string, string> {
  const cases: VectorCase[] = [
    ...wireCases(),
    ...headerCases(),
    ...rootCases(),
    ...pageCases(),
    ...treeCases(),
    ...manifestCases(pinned),
    ...blockCases(pinned),
    ...planCases(pinned),
    ...recordCases(),
  ];
  const files = new Map(
    cases.map(({ path, content }) => [path, `${JSON.stringify(content, undefined, 2)}\n`]),
  );
  if (files.size !== cases.length) throw new Error("two vectors have one name");
  return files;
}

/** Paths of the files that are there, but for the vectors of chunking. */
export function presentFiles(): string[] {
  return globSync("*/*.json", { cwd: folder })
    .filter((path) => !path.startsWith("chunking/"))
    .sort();
}

function pinned(path: string): Uint8Array | undefined {
  const file = `${folder}${path}`;
  if (!existsSync(file)) return undefined;
  return Buffer.from((JSON.parse(readFileSync(file, "utf8")) as { bytes: string }).bytes, "hex");
}

/** Paths of the files that are missing, are too many, or say something else than they should. */
export function changedFiles(files: ReadonlyMap<string, string>): string[] {
  const present = presentFiles();
  const changed = [...files].filter(
    ([path, text]) => !present.includes(path) || readFileSync(`${folder}${path}`, "utf8") !== text,
  );
  return [...changed.map(([path]) => path), ...present.filter((path) => !files.has(path))].sort();
}

if (import.meta.main) {
  const files = vectorFiles();
  const changed = changedFiles(files);
  const check = process.argv.includes("--check");
  for (const path of changed) {
    console.log(path);
    if (check) continue;
    const text = files.get(path);
    if (text === undefined) rmSync(`${folder}${path}`);
    else {
      mkdirSync(dirname(`${folder}${path}`), { recursive: true });
      writeFileSync(`${folder}${path}`, text);
    }
  }
  console.log(`${files.size} vectors, ${changed.length} ${check ? "differ" : "written"}`);
  if (check && changed.length > 0) process.exitCode = 1;
}
