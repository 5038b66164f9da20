import type { FileHandle } from "node:fs/promises";

/** An open file of known size. */
export interface OpenFile {
  readonly handle: FileHandle;
  readonly bytes: number;
}

interface Slot {
  readonly file: Promise<OpenFile | undefined>;
  users: number;
  stale: boolean;
}

/** Files kept open between reads, at most `filesMax` of them that nobody is reading, the longest unused closed first. */
export class DescriptorCache {
  readonly #filesMax: number;
  readonly #open: (path: string) => Promise<OpenFile | undefined>;
  /** In the order of last use. */
  readonly #slots = new Map<string, Slot>();

  /** `open` gives undefined when there is no such file. */
  constructor(filesMax: number, open: (path: string) => Promise<OpenFile | undefined>) {
    this.#filesMax = filesMax;
    this.#open = open;
  }

  /** What `task` gives for the open file, which stays open until it is done; undefined when there is no such file. */
  async use<T>(path: string, task: (file: OpenFile) => Promise<T>): Promise<T | undefined> {
    const slot = this.#slots.get(path) ?? { file: this.#open(path), users: 0, stale: false };
    this.#slots.delete(path);
    this.#slots.set(path, slot);
    slot.users++;
    let file: OpenFile | undefined;
    try {
      file = await slot.file;
      return file === undefined ? undefined : await task(file);
    } finally {
      slot.users--;
      if (file === undefined) this.#drop(path, slot);
      else if (slot.stale && slot.users === 0) await file.handle.close();
      await this.#trim();
    }
  }

  /** Closes the file as soon as nobody reads it. */
  async forget(path: string): Promise<void> {
    const slot = this.#slots.get(path);
    if (slot === undefined) return;
    this.#drop(path, slot);
    slot.stale = true;
    if (slot.users === 0) await (await slot.file.catch(() => undefined))?.handle.close();
  }

  /** Closes all. Nothing may be under way. */
  async close(): Promise<void> {
    for (const path of [...this.#slots.keys()]) await this.forget(path);
  }

  #drop(path: string, slot: Slot): void {
    if (this.#slots.get(path) === slot) this.#slots.delete(path);
  }

  async #trim(): Promise<void> {
    if (this.#slots.size <= this.#filesMax) return;
    for (const [path, slot] of this.#slots) {
      if (slot.users === 0) return this.forget(path);
    }
  }
}
