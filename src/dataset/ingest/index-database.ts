/** The file that a chunk index lies in. */
import fs from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { makeFolders } from "../../store/make-folders.ts";
import type { Engine } from "../engine.ts";

const SCHEMA_VERSION = 5;
/** Pages of the log after which the file itself is written: each time the disk is waited for. */
const CHECKPOINT_PAGES = 4000;
/** How long one process waits for another's transaction. */
const BUSY_MS = 10_000;

/** Where a chunk index of a store lies, by its name; undefined: in memory, since there is no folder for it. */
export function indexFile({ cacheDir, store }: Engine, name: string): string | undefined {
  return cacheDir && join(cacheDir, "index", store.datasets.store.id, `${name}.db`);
}

/** SQLite's primary result codes. https://sqlite.org/rescode.html */
const SQLITE = { corrupt: 11, full: 13, notADatabase: 26 } as const;

/** What SQLite complains of: "damaged" content, a "full" disk, or something else. */
export function sqliteFault(error: unknown): "damaged" | "full" | undefined {
  if (!(error instanceof Error) || !("errcode" in error) || typeof error.errcode !== "number")
    return undefined;
  const code = error.errcode & 0xff;
  if (code === SQLITE.full) return "full";
  return code === SQLITE.corrupt || code === SQLITE.notADatabase ? "damaged" : undefined;
}

/**
 * Opens the database at `file` (in a folder that is made), or one in memory. A damaged file is replaced; where none can be opened (a folder that may
 * not be written, a disk that is full) the database lies in memory: it holds hints only.
 */
export function openIndexDatabase(file: string | undefined): DatabaseSync {
  if (file === undefined) return open(":memory:");
  try {
    makeFolders(dirname(file), 0o700);
    return open(file);
  } catch (error) {
    if (sqliteFault(error) !== "damaged") return open(":memory:");
  }
  removeDatabase(file);
  return open(file);
}

/** Removes the database's files. */
export function removeDatabase(file: string): void {
  for (const suffix of ["", "-wal", "-shm"]) fs.rmSync(file + suffix, { force: true });
}

function open(place: string): DatabaseSync {
  const db = new DatabaseSync(place);
  try {
    prepare(db);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function prepare(db: DatabaseSync): void {
  // NORMAL: what a power failure leaves may be old, but never mixed from old and new.
  db.exec(
    `PRAGMA busy_timeout = ${BUSY_MS}; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
     PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}; PRAGMA cache_size = -8192`,
  );
  if (schemaVersion(db) !== SCHEMA_VERSION) makeSchema(db);
  db.prepare("SELECT count(digest) FROM block").get();
}

function schemaVersion(db: DatabaseSync): unknown {
  return db.prepare("PRAGMA user_version").get()?.["user_version"];
}

function makeSchema(db: DatabaseSync): void {
  db.exec("BEGIN IMMEDIATE");
  // Another process may have made it meanwhile, and be using it.
  if (schemaVersion(db) !== SCHEMA_VERSION) {
    db.exec(`
      DROP TABLE IF EXISTS block;
      DROP TABLE IF EXISTS chunk;
      DROP TABLE IF EXISTS sketch;
      CREATE TABLE block (number INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE, bytes INTEGER NOT NULL);
      CREATE TABLE chunk (digest BLOB PRIMARY KEY, block INTEGER NOT NULL, frame INTEGER NOT NULL,
        frame_offset INTEGER NOT NULL, stored INTEGER NOT NULL, codec INTEGER NOT NULL, depth INTEGER NOT NULL, decode INTEGER NOT NULL,
        chunk_offset INTEGER NOT NULL, length INTEGER NOT NULL) WITHOUT ROWID;
      CREATE TABLE sketch (feature INTEGER PRIMARY KEY, digest BLOB NOT NULL);
      PRAGMA user_version = ${SCHEMA_VERSION};`);
  }
  db.exec("COMMIT");
}
