/** Gathers an archive's members in any order; gives them in byte order of path with all their parents. */
import fs from "node:fs";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { must } from "../../../base/assert.ts";
import { asBuffer } from "../../../base/bytes.ts";
import { AetherError } from "../../../base/errors.ts";
import type { CatalogEntry } from "./catalog.ts";
import { spoolError, type Spool } from "./spool.ts";

/** Members of one archive, with the folders that it implies. */
const ENTRIES_MAX = 50_000_000;
/** What a member takes in the index besides its path and target, about. */
const ENTRY_BYTES = 64;
/** What the index keeps of itself in memory. */
const CACHE_KIB = 8192;
/** Of a folder that the archive implies but does not hold. */
const IMPLIED_MODE = 0o755;

const KINDS = ["file", "directory", "symlink"] as const;

const SCHEMA = `
  PRAGMA journal_mode = MEMORY;
  PRAGMA synchronous = OFF;
  PRAGMA locking_mode = EXCLUSIVE;
  PRAGMA cache_size = -${CACHE_KIB};
  CREATE TABLE entry (path BLOB PRIMARY KEY, kind INTEGER, mode INTEGER, mtime TEXT, target TEXT, size INTEGER,
    offset INTEGER) WITHOUT ROWID;
  BEGIN;`;

interface Row {
  readonly path: Uint8Array;
  readonly kind: number;
  readonly mode: number;
  readonly mtime: string;
  readonly target: string;
  readonly size: number;
  readonly offset: number;
}

/** The members of one archive. Kept on the disk: there may be millions. */
export class ArchiveIndex {
  readonly #spool: Spool;
  readonly #database: DatabaseSync;
  readonly #find: StatementSync;
  readonly #insertNew: StatementSync;
  readonly #replace: StatementSync;
  #count = 0;
  /** The folder whose rows, and those of the folders above it, are known to be there. */
  #lastParent = "";

  /** Opens an empty one. Errors: CONFIG_INVALID, SPACE_EXHAUSTED. */
  constructor(spool: Spool) {
    this.#spool = spool;
    const path = spool.createPath();
    try {
      this.#database = new DatabaseSync(path);
      this.#database.exec(SCHEMA);
    } catch (error) {
      throw spoolError(error, path);
    } finally {
      fs.rmSync(path, { force: true });
    }
    this.#find = this.#database.prepare("SELECT * FROM entry WHERE path = ?");
    this.#insertNew = this.#database.prepare("INSERT OR IGNORE INTO entry VALUES (?, ?, ?, ?, ?, ?, ?)");
    this.#replace = this.#database.prepare("REPLACE INTO entry VALUES (?, ?, ?, ?, ?, ?, ?)");
  }

  /**
   * Adds a member; its path is valid (pathFault). A folder may come more than once: the last one tells its mode and time.
   * Errors: SOURCE_UNSUPPORTED for a path that comes twice, or below something that is no folder; LIMIT_EXCEEDED,
   * SPACE_EXHAUSTED.
   */
  add(entry: CatalogEntry): void {
    if (!this.#insert(entry)) {
      const existing = must(this.find(entry.path), "what is not inserted is there");
      if (existing.kind !== entry.kind) throw clash(entry.path, "stands twice in it, as two kinds");
      if (entry.kind !== "directory") throw clash(entry.path, "stands twice in it");
      this.#run(() => this.#replace.run(...valuesOf(entry)));
    }
    this.#addParents(entry.path);
  }

  /** The member at a path, or undefined. */
  find(path: string): CatalogEntry | undefined {
    const row = this.#run(() => this.#find.get(Buffer.from(path)));
    return row === undefined ? undefined : entryOf(row as unknown as Row);
  }

  /** All members and the folders above them, in byte order of path. */
  *entries(): Generator<CatalogEntry> {
    for (const row of this.#database.prepare("SELECT * FROM entry ORDER BY path").iterate()) {
      yield entryOf(row as unknown as Row);
    }
  }

  /** Gives its space back. May be called again. */
  close(): void {
    if (this.#database.isOpen) this.#database.close();
  }

  #addParents(path: string): void {
    const nearest = parentOf(path);
    if (nearest === this.#lastParent) return;
    for (let parent = nearest; parent !== ""; parent = parentOf(parent)) {
      if (this.#insert(impliedFolder(parent))) continue;
      const existing = must(this.find(parent), "what is not inserted is there");
      if (existing.kind === "directory") break;
      throw clash(path, `lies below ${JSON.stringify(parent)}, which is a ${existing.kind} there`);
    }
    this.#lastParent = nearest;
  }

  /** Adds what is new; false when there is something at its path. */
  #insert(entry: CatalogEntry): boolean {
    if (this.#run(() => this.#insertNew.run(...valuesOf(entry))).changes === 0) return false;
    if (++this.#count > ENTRIES_MAX) {
      throw new AetherError("LIMIT_EXCEEDED", `the archive holds more than ${ENTRIES_MAX} entries: split it`);
    }
    this.#spool.take(Buffer.byteLength(entry.path) + Buffer.byteLength(entry.target) + ENTRY_BYTES);
    return true;
  }

  #run<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      const isFull = error instanceof Error && /disk is full/.test(error.message);
      throw isFull ? spoolError(Object.assign(error, { code: "ENOSPC" }), "the spool") : error;
    }
  }
}

function entryOf({ path, kind, mode, mtime, target, size, offset }: Row): CatalogEntry {
  return {
    path: asBuffer(path).toString("utf8"),
    kind: must(KINDS[kind], "a kind is one of three"),
    mode,
    mtimeNs: BigInt(mtime),
    target,
    size,
    offset,
  };
}

function valuesOf({ path, kind, mode, mtimeNs, target, size, offset }: CatalogEntry): SQLInputValue[] {
  return [Buffer.from(path), KINDS.indexOf(kind), mode, String(mtimeNs), target, size, offset];
}

function impliedFolder(path: string): CatalogEntry {
  return { path, kind: "directory", mode: IMPLIED_MODE, mtimeNs: 0n, target: "", size: 0, offset: 0 };
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf("/"), 0));
}

function clash(path: string, what: string): AetherError {
  const shown = path.slice(0, 200);
  return new AetherError(
    "SOURCE_UNSUPPORTED",
    `the archive is refused: ${JSON.stringify(shown)} ${what}, so what it means is not clear; make it anew`,
    { data: { path: shown } },
  );
}
