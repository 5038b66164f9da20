/** Plans as they were read before, where a list says that they have not changed since. docs/decisions/0015 */
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { MiB } from "../../base/limits.ts";
import { digestBytes, type Digest } from "../../format/digest.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { ManifestReader, PlanOptions, Revised, Revision } from "../../store/dataset-store.ts";
import { domainPlanDigest } from "../../store/keys.ts";
import { makeFolders } from "../../store/make-folders.ts";
import type { Engine } from "../engine.ts";
import { removeDatabase, sqliteFault } from "../ingest/index-database.ts";

const SCHEMA_VERSION = 1;
/** Bytes of all copies: what does not fit is read again each time. */
const BYTES_MAX = 2048 * MiB;
/** Copies that are written together. */
const BATCH_COPIES = 256;
const BATCH_BYTES = MiB;
const KINDS = ["plans", "domain-plans"] as const;

interface Copy extends Revised<Uint8Array> {
  readonly name: Uint8Array;
}

/** Copies in one file, for one run. Nothing depends on them: one that is not what it was is read from the store. */
export class PlanCopies {
  readonly #db: DatabaseSync;
  readonly #find;
  readonly #isSame;
  readonly #list;
  readonly #put;
  #pending: Copy[] = [];
  #pendingBytes = 0;
  #bytes: number;
  #isBroken = false;

  private constructor(db: DatabaseSync) {
    this.#db = db;
    this.#find = db.prepare(
      "SELECT revision, sum, bytes FROM plan WHERE name = ? AND name IN (SELECT name FROM listed)",
    );
    this.#isSame = db.prepare("SELECT 1 FROM plan WHERE name = ? AND revision = ?");
    this.#list = db.prepare("INSERT OR IGNORE INTO listed VALUES (?)");
    this.#put = db.prepare("INSERT OR REPLACE INTO plan (name, revision, sum, bytes) VALUES (?, ?, ?, ?)");
    this.#bytes = Number(db.prepare("SELECT sum(length(bytes)) AS bytes FROM plan").get()?.["bytes"] ?? 0);
  }

  /**
   * The copies of a store's plans that its lists say to be as they were: as of now, so that what was changed before this call is not
   * missed. undefined where lists do not say it, or there is no folder for copies. Errors: those of the store.
   */
  static async open(engine: Engine, options: CallOptions): Promise<PlanCopies | undefined> {
    const db = openDatabase(engine);
    if (db === undefined) return undefined;
    const copies = new PlanCopies(db);
    try {
      if (await copies.#readLists(engine, options)) return copies;
    } catch (error) {
      if (sqliteFault(error) === undefined) throw error;
    }
    db.close();
    return undefined;
  }

  /** Reads plans from here where they are, else from `datasets`, of which copies are kept. */
  reads(datasets: ManifestReader): ManifestReader {
    return {
      getManifest: (version, options) => datasets.getManifest(version, options),
      getPlan: async (key, options) => {
        const name = nameOf(key, options);
        const copy = this.#copyOf(name);
        if (copy !== undefined) return copy;
        const found = await datasets.getPlan(key, options);
        if (found !== undefined) this.#keep({ name, ...found });
        return found;
      },
    };
  }

  /** Ends the run; `isWhole`: it looked at everything, so that copies of what is not there any more go. */
  close(isWhole: boolean): void {
    this.#guarded(() => {
      this.#write();
      if (isWhole) this.#db.exec("DELETE FROM plan WHERE name NOT IN (SELECT name FROM listed)");
    });
    this.#db.close();
  }

  /** False: the store's lists say no revisions. */
  async #readLists({ store: { datasets } }: Engine, options: CallOptions): Promise<boolean> {
    for (const kind of KINDS) {
      for await (const { digest, revision } of datasets.listPlans(kind, options)) {
        if (revision === undefined) return false;
        const name = nameIn(kind, digest);
        if (this.#isSame.get(name, revision) !== undefined) this.#list.run(name);
      }
    }
    return true;
  }

  #copyOf(name: Uint8Array): Revised<Uint8Array> | undefined {
    return this.#guarded(() => {
      const row = this.#find.get(name);
      const [revision, sum, bytes] = [row?.["revision"], row?.["sum"], row?.["bytes"]];
      if (typeof revision !== "string" || !(sum instanceof Uint8Array) || !(bytes instanceof Uint8Array))
        return undefined;
      const copy = { name, value: bytes, revision: revision as Revision };
      return sumOf(copy).equals(sum) ? copy : undefined;
    });
  }

  #keep(copy: Copy): void {
    const bytes = copy.value.byteLength;
    if (this.#bytes + bytes > BYTES_MAX) return;
    this.#bytes += bytes;
    this.#pending.push({ ...copy, value: new Uint8Array(copy.value) });
    this.#pendingBytes += bytes;
    if (this.#pending.length < BATCH_COPIES && this.#pendingBytes < BATCH_BYTES) return;
    this.#guarded(() => {
      this.#write();
    });
  }

  #write(): void {
    const pending = this.#pending;
    [this.#pending, this.#pendingBytes] = [[], 0];
    if (pending.length === 0) return;
    this.#db.exec("BEGIN IMMEDIATE");
    for (const copy of pending) {
      this.#put.run(copy.name, copy.revision, sumOf(copy), copy.value);
      this.#list.run(copy.name);
    }
    this.#db.exec("COMMIT");
  }

  /** Once the database fails, there are no copies. */
  #guarded<T>(work: () => T): T | undefined {
    if (this.#isBroken) return undefined;
    try {
      return work();
    } catch {
      this.#isBroken = true;
      return undefined;
    }
  }
}

function nameIn(kind: (typeof KINDS)[number], digest: Digest): Uint8Array {
  return Buffer.concat([Buffer.from([KINDS.indexOf(kind)]), digestBytes(digest)]);
}

function nameOf(key: Digest, { domain }: PlanOptions = {}): Uint8Array {
  return domain === undefined ? nameIn("plans", key) : nameIn("domain-plans", domainPlanDigest(key, domain));
}

/** What tells that a copy is as it was written, under this name and revision. */
function sumOf({ name, revision, value }: Copy): Buffer {
  return createHash("sha256").update(name).update(`${revision}\0`).update(value).digest();
}

/** undefined: there is no folder, or what lies there cannot be opened. */
function openDatabase({ cacheDir, store }: Engine): DatabaseSync | undefined {
  if (cacheDir === undefined) return undefined;
  const file = join(cacheDir, "prune", `${store.datasets.store.id}.db`);
  for (let tries = 0; tries < 2; tries++) {
    try {
      makeFolders(dirname(file), 0o700);
      return prepared(new DatabaseSync(file, { timeout: 10_000 }));
    } catch (error) {
      if (sqliteFault(error) !== "damaged") return undefined;
      removeDatabase(file);
    }
  }
  return undefined;
}

function prepared(db: DatabaseSync): DatabaseSync {
  try {
    db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -4096");
    if (db.prepare("PRAGMA user_version").get()?.["user_version"] !== SCHEMA_VERSION)
      db.exec(`
        BEGIN IMMEDIATE;
        DROP TABLE IF EXISTS plan;
        CREATE TABLE plan (name BLOB NOT NULL UNIQUE, revision TEXT NOT NULL, sum BLOB NOT NULL, bytes BLOB NOT NULL);
        PRAGMA user_version = ${SCHEMA_VERSION};
        COMMIT`);
    db.exec("CREATE TEMP TABLE listed (name BLOB PRIMARY KEY) WITHOUT ROWID");
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}
