import type { Clock } from "../../base/clock.ts";
import type { FileTime } from "../../format/entry.ts";
import type { DirectoryNode } from "../../vfs/tree.ts";

/** Tops of versions before, whose lists are read on by who had begun. */
const TOPS_MAX = 16;
/** Places in one list; what stands above them in an offset tells which list. With as many moves, both fit into 53 bits. */
const PLACES = 2 ** 32;
const MOVES = 2 ** 20;
const NANOS_PER_MS = 1_000_000;

/** A part of the top's list. */
export interface TopPart {
  readonly folder: DirectoryNode;
  /** Entries before it, `.` and `..` among them. */
  readonly place: number;
  /** To be added to a place for the offset that the kernel gets. */
  readonly base: number;
}

/**
 * The tops that a followed tag led to. The kernel reads a list in parts, and asks for each by the offset that the last one gave: the offset
 * names the version too, so that who lists while the tag moves is told of one version's names, each once.
 */
export class Tops {
  readonly #clock: Clock;
  readonly #kept = new Map<number, DirectoryNode>();
  #moves = 0;
  #newest: DirectoryNode;
  #mtime: FileTime;

  constructor(top: DirectoryNode, clock: Clock) {
    this.#clock = clock;
    this.#newest = top;
    this.#kept.set(0, top);
    this.#mtime = this.#now();
  }

  /** The newest version's time, never the same twice in a row: by it the kernel tells whether a list that it keeps still holds. */
  get mtime(): FileTime {
    return this.#mtime;
  }

  /** Shows another version. */
  move(top: DirectoryNode): void {
    this.#moves = (this.#moves + 1) % MOVES;
    this.#newest = top;
    this.#mtime = this.#now();
    this.#kept.delete(this.#moves);
    this.#kept.set(this.#moves, top);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= TOPS_MAX) return;
      this.#kept.delete(oldest);
    }
  }

  /** What comes at an offset; undefined: of a version that was too long ago. At 0 the newest one's list begins. */
  partAt(offset: number): TopPart | undefined {
    const move = offset === 0 ? this.#moves : Math.floor(offset / PLACES);
    const folder = this.#kept.get(move);
    return folder && { folder, place: offset % PLACES, base: move * PLACES };
  }

  /** Whether this top is the one that is shown. */
  isNewest(top: DirectoryNode): boolean {
    return top === this.#newest;
  }

  #now(): FileTime {
    const ms = this.#clock.nowMs();
    const nanos = (ms - Math.floor(ms / 1000) * 1000) * NANOS_PER_MS;
    return { seconds: Math.floor(ms / 1000), nanos: Math.floor(nanos) + (this.#moves % NANOS_PER_MS) };
  }
}
