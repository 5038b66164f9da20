/** The list of what an archive holds, in a temporary file: batches of entries in byte order of path, each after its length. */
import fs from "node:fs";
import { deserialize, serialize } from "node:v8";
import type { SpoolFile } from "./spool.ts";

/** An entry of an archive, and where its bytes lie in the content file. */
export interface CatalogEntry {
  readonly path: string;
  readonly kind: "file" | "directory" | "symlink";
  readonly mode: number;
  readonly mtimeNs: bigint;
  /** Of a symlink, else "". */
  readonly target: string;
  /** Bytes of a file, else 0. */
  readonly size: number;
  /** Where a file begins in the content file. */
  readonly offset: number;
}

const BATCH_ENTRIES = 512;
const LENGTH_BYTES = 4;

/** Writes a catalog. */
export class CatalogWriter {
  readonly #file: SpoolFile;
  #batch: CatalogEntry[] = [];

  constructor(file: SpoolFile) {
    this.#file = file;
  }

  /** Adds the next entry; paths ascend. Errors: those of the spool. */
  async add(entry: CatalogEntry): Promise<void> {
    this.#batch.push(entry);
    if (this.#batch.length === BATCH_ENTRIES) await this.finish();
  }

  /** Writes what waits. */
  async finish(): Promise<void> {
    if (this.#batch.length === 0) return;
    const bytes = serialize(this.#batch);
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeUInt32LE(bytes.byteLength);
    this.#batch = [];
    await this.#file.append(Buffer.concat([length, bytes]));
  }
}

/** Reads the entries of the catalog in an open file, in order. Synchronous: for the source's thread. */
export function* readCatalog(fd: number): Generator<CatalogEntry> {
  const length = Buffer.alloc(LENGTH_BYTES);
  for (let at = 0; fs.readSync(fd, length, 0, LENGTH_BYTES, at) === LENGTH_BYTES;) {
    const bytes = Buffer.allocUnsafe(length.readUInt32LE());
    fs.readSync(fd, bytes, 0, bytes.byteLength, at + LENGTH_BYTES);
    at += LENGTH_BYTES + bytes.byteLength;
    yield* deserialize(bytes) as readonly CatalogEntry[];
  }
}
