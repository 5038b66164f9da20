/** An archive as the source's thread reads it. Synchronous. */
import fs from "node:fs";
import { must } from "../../../base/assert.ts";
import type { PathFilter } from "../../path-filter.ts";
import type { SourceFile, SourceFiles } from "../source-files.ts";
import { changed, type WalkedEntry } from "../walk.ts";
import { readCatalog, type CatalogEntry } from "./catalog.ts";

/** Open files, by number: they belong to the process, and are closed by who opened them. */
export interface ArchiveFiles {
  /** The bytes of all files, wherever in it they lie. */
  readonly content: number;
  /** The content file's time of change of status when it was listed: with another one it is not what it was. */
  readonly contentCtimeNs: bigint;
  readonly catalog: number;
}

/** Yields what the archive holds as walk() does; nothing in it is unreadable. */
export function* walkArchive(files: ArchiveFiles, filter: PathFilter): Generator<WalkedEntry> {
  for (const { path, kind, mode, mtimeNs, target, size } of readCatalog(files.catalog)) {
    if (filter.isExcluded(path, kind === "directory")) continue;
    yield { path, kind, mode, mtimeNs, target, size, ctimeNs: 0n, ino: 0n };
  }
}

/** Opens an archive's files, in the order of the walk. */
export class ArchivedFiles implements SourceFiles {
  readonly #files: ArchiveFiles;
  readonly #entries: Generator<CatalogEntry>;
  #current: CatalogEntry | undefined;

  constructor(files: ArchiveFiles) {
    this.#files = files;
    this.#entries = readCatalog(files.catalog);
  }

  open(path: string): SourceFile {
    while (this.#current?.path !== path) {
      const next = this.#entries.next();
      this.#current = must(
        next.done === true ? undefined : next.value,
        "a file that was walked is in the catalog",
      );
    }
    return new ArchivedFile(this.#files, this.#current);
  }
}

class ArchivedFile implements SourceFile {
  readonly size: number;
  readonly mode: number;
  readonly mtimeNs: bigint;
  readonly #files: ArchiveFiles;
  readonly #path: string;
  #at: number;

  constructor(files: ArchiveFiles, entry: CatalogEntry) {
    this.size = entry.size;
    this.mode = entry.mode;
    this.mtimeNs = entry.mtimeNs;
    this.#files = files;
    this.#path = entry.path;
    this.#at = entry.offset;
  }

  read(view: Uint8Array): number {
    let total = 0;
    while (total < view.byteLength) {
      const bytes = fs.readSync(this.#files.content, view, total, view.byteLength - total, this.#at);
      if (bytes === 0) throw changed(this.#path);
      total += bytes;
      this.#at += bytes;
    }
    return total;
  }

  isUnchanged(): boolean {
    return fs.fstatSync(this.#files.content, { bigint: true }).ctimeNs === this.#files.contentCtimeNs;
  }

  close(): void {
    // The content file stays open for the files after this one.
  }
}
