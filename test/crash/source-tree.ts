/** A folder that changes from version to version, as data does. */
import fs from "node:fs";
import path from "node:path";
import { must } from "../../src/base/assert.ts";
import { bytesOf, pick, type Fractions } from "./seeded.ts";

const SMALL_FILES = 150;
const FOLDERS = 6;
const SMALL_BYTES_MAX = 6000;
const LARGE_BYTES = 3_000_000;
/** Of the large file in one edit: places that are overwritten, and bytes that are put in between. */
const LARGE_EDITS = 4;
const EDIT_BYTES = 900;
const SMALL_EDITS = 12;
const TIME_SECONDS = 1_700_000_000;

/** Makes and edits the folder; all that it does follows from the fractions. */
export class SourceTree {
  readonly folder: string;
  readonly #fractions: Fractions;
  #names = 0;
  #edits = 0;

  constructor(folder: string, fractions: Fractions) {
    this.folder = folder;
    this.#fractions = fractions;
    this.#write("large.bin", bytesOf(fractions, LARGE_BYTES));
    this.#write("empty", Buffer.alloc(0));
    fs.mkdirSync(path.join(folder, "empty-folder"));
    for (let count = 0; count < SMALL_FILES; count++) this.#add();
    this.#edit();
  }

  /** Goes on to the next version. */
  edit(): void {
    this.#edits++;
    this.#edit();
  }

  #edit(): void {
    this.#editLarge();
    for (let count = 0; count < SMALL_EDITS; count++) this.#write(this.#anySmall(), this.#smallBytes());
    for (let count = 0; count < 3; count++) {
      fs.rmSync(path.join(this.folder, this.#anySmall()), { force: true });
      this.#add();
    }
    this.#swap();
    const link = path.join(this.folder, "link");
    fs.rmSync(link, { force: true });
    fs.symlinkSync(`target-${this.#edits}`, link);
  }

  #editLarge(): void {
    const file = path.join(this.folder, "large.bin");
    const bytes = fs.readFileSync(file);
    for (let count = 0; count < LARGE_EDITS; count++) {
      bytesOf(this.#fractions, EDIT_BYTES).copy(bytes, pick(this.#fractions, bytes.byteLength - EDIT_BYTES));
    }
    const at = pick(this.#fractions, bytes.byteLength);
    const added = bytesOf(this.#fractions, pick(this.#fractions, EDIT_BYTES));
    this.#write("large.bin", Buffer.concat([bytes.subarray(0, at), added, bytes.subarray(at)]));
  }

  /** What is a file in one version is a folder in the next. */
  #swap(): void {
    const place = path.join(this.folder, "either");
    const wasFile = fs.lstatSync(place, { throwIfNoEntry: false })?.isFile() === true;
    fs.rmSync(place, { recursive: true, force: true });
    this.#write(wasFile ? "either/inner" : "either", this.#smallBytes());
  }

  #add(): void {
    const folder = `folder-${pick(this.#fractions, FOLDERS)}`;
    this.#write(`${folder}/file-${this.#names++}`, this.#smallBytes());
  }

  #anySmall(): string {
    const folders = fs.readdirSync(this.folder).filter((name) => name.startsWith("folder-"));
    const folder = must(folders.sort()[pick(this.#fractions, folders.length)], "there are folders");
    const files = fs.readdirSync(path.join(this.folder, folder)).sort();
    return `${folder}/${files[pick(this.#fractions, files.length)] ?? "file-again"}`;
  }

  #smallBytes(): Buffer {
    const bytes = bytesOf(this.#fractions, pick(this.#fractions, SMALL_BYTES_MAX));
    return Buffer.from(bytes.toString("base64"));
  }

  #write(name: string, bytes: Buffer): void {
    const file = path.join(this.folder, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, bytes);
    const time = TIME_SECONDS + this.#edits;
    fs.utimesSync(file, time, time);
  }
}
