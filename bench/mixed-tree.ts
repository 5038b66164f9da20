/** About 1 GiB of real files of many kinds, from what a Debian machine has. */
import {
  copyFile,
  lstat,
  mkdir,
  readdir,
  readlink,
  rename,
  rm,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { globSync } from "node:fs";
import { dirname, join } from "node:path";
import { readFile } from "node:fs/promises";
import { DATA } from "./folders.ts";

/** What the tree holds. */
export interface MixedTree {
  readonly path: string;
  readonly files: number;
  readonly bytes: number;
  /** Folder of the machine → bytes taken from it. */
  readonly taken: Readonly<Record<string, number>>;
}

/** Source code, headers, documents, icons, translations; then programs and libraries, until there is enough. */
const SOURCES = [
  "/usr/lib/python3*",
  "/usr/include",
  "/usr/share/{doc,locale,man,icons,vim,perl,perl5,fonts,zoneinfo,java,i18n}",
  "/usr/lib/gcc",
  "/usr/bin",
  "/usr/lib/x86_64-linux-gnu",
  "/usr/lib/aarch64-linux-gnu",
];
const BYTES_WANTED = 1.1 * 2 ** 30;
const TREE = join(DATA, "mixed");
const NOTE = join(DATA, "mixed.json");

/** The tree, made the first time that it is asked for. */
export async function mixedTree(): Promise<MixedTree> {
  try {
    return JSON.parse(await readFile(NOTE, "utf8")) as MixedTree;
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
  }
  const temporary = `${TREE}.tmp`;
  await Promise.all([TREE, temporary].map((path) => rm(path, { recursive: true, force: true })));
  const tree = new TreeCopy(temporary);
  for (const source of SOURCES.flatMap((pattern) => globSync(pattern).sort())) await tree.add(source);
  await rename(temporary, TREE);
  const made = { path: TREE, files: tree.files, bytes: tree.bytes, taken: tree.taken };
  await writeFile(NOTE, `${JSON.stringify(made, undefined, 2)}\n`);
  console.log(`made ${TREE}: ${made.files} files, ${made.bytes} bytes, from`, made.taken);
  return made;
}

class TreeCopy {
  files = 0;
  bytes = 0;
  readonly taken: Record<string, number> = {};
  readonly #target: string;

  constructor(target: string) {
    this.#target = target;
  }

  async add(source: string): Promise<void> {
    if (this.bytes >= BYTES_WANTED) return;
    const before = this.bytes;
    await this.#copy(source);
    if (this.bytes > before) this.taken[source] = this.bytes - before;
  }

  async #copy(source: string): Promise<void> {
    if (this.bytes >= BYTES_WANTED) return;
    const target = join(this.#target, source);
    const info = await lstat(source);
    if (info.isDirectory()) {
      await mkdir(target, { recursive: true });
      for (const name of (await readdir(source)).sort()) await this.#copy(join(source, name));
    } else if (info.isSymbolicLink()) {
      await mkdir(dirname(target), { recursive: true });
      await symlink(await readlink(source), target);
    } else if (info.isFile()) {
      await mkdir(dirname(target), { recursive: true });
      await copyFile(source, target);
      await utimes(target, info.atime, info.mtime);
      this.files++;
      this.bytes += info.size;
    }
  }
}
