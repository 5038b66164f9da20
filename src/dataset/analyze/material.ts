/** What is measured, in a form that a push reads: a source as it lies, or a copy in temporary files. */
import type { CatalogEntry } from "../push/archive/catalog.ts";
import { CatalogWriter } from "../push/archive/catalog.ts";
import type { Archive } from "../push/archive/archive.ts";
import type { Spool, SpoolFile } from "../push/archive/spool.ts";
import type { AnalyzeSource } from "./contract.ts";

/** One version to be. */
export interface Material {
  /** Where it is read from: the source itself, unless it is undefined. */
  readonly source: AnalyzeSource | undefined;
  /** Its content and the list of it, where they lie in files. */
  readonly archive: Archive | undefined;
  /** Of what is measured. */
  readonly bytes: number;
}

/** An entry without its content. */
export type MaterialEntry = Omit<CatalogEntry, "size" | "offset">;

/** Writes a copy as an archive's catalog and content. */
export class MaterialWriter {
  readonly #content: SpoolFile;
  readonly #catalogFile: SpoolFile;
  readonly #catalog: CatalogWriter;
  #bytes = 0;

  private constructor(content: SpoolFile, catalog: SpoolFile) {
    this.#content = content;
    this.#catalogFile = catalog;
    this.#catalog = new CatalogWriter(catalog);
  }

  /** Errors of all: those of the spool. */
  static async open(spool: Spool): Promise<MaterialWriter> {
    return new MaterialWriter(await spool.createFile(), await spool.createFile());
  }

  /** Adds the next entry; of a file its content is appended by the caller, in the same order. */
  async add(entry: MaterialEntry, size: number): Promise<void> {
    await this.#catalog.add({ ...entry, size, offset: this.#bytes });
    this.#bytes += size;
  }

  /** Adds an entry whose content lies in another file. */
  async addElsewhere(entry: CatalogEntry): Promise<void> {
    await this.#catalog.add(entry);
    this.#bytes += entry.size;
  }

  append(bytes: Uint8Array): Promise<void> {
    return this.#content.append(bytes);
  }

  /** Ends it. The content is the writer's, or `content`. Both stay the spool's. */
  async finish(content: Archive["files"] | undefined): Promise<Material> {
    await this.#catalog.finish();
    const own = this.#content.handle;
    const where = content ?? {
      content: own.fd,
      contentCtimeNs: (await own.stat({ bigint: true })).ctimeNs,
    };
    const files = { ...where, catalog: this.#catalogFile.handle.fd };
    const archive = { files, skipped: [], close: () => Promise.resolve() };
    return { source: undefined, archive, bytes: this.#bytes };
  }
}
