import type { WholeFiles } from "../../dataset/read/whole-files.ts";
import type { FileNode, Tree } from "../../vfs/tree.ts";
import { openAnswer } from "./answers.ts";
import type { Node } from "./nodes.ts";
import { KEEP_CACHE, PASSTHROUGH } from "./protocol.ts";

/** Files whose openings are counted. */
const COUNTED_MAX = 4096;
/** Openings after which a file is worth a copy of its own. */
const OPENINGS = 2;

/** The kernel's way to files of this machine that it reads by itself. */
export interface Backings {
  /** The kernel's number of a file that it may read; undefined: it may not. */
  open(file: string): number | undefined;
  close(id: number): void;
}

/** How a node is open: all who have it open at once have it in the same way, as the kernel demands. */
interface Open {
  count: number;
  readonly backing: number | undefined;
}

/** Files that are open by the kernel's count, and which of them it reads from the cache folder by itself. */
export class OpenFiles {
  readonly #tree: Tree;
  readonly #files: WholeFiles;
  readonly #backings: Backings;
  readonly #open = new Map<number, Open>();
  readonly #openings = new Map<string, number>();

  constructor(tree: Tree, files: WholeFiles, backings: Backings) {
    this.#tree = tree;
    this.#files = files;
    this.#backings = backings;
  }

  /** What the opening of a file is answered with. */
  open({ id }: Node, file: FileNode): Uint8Array {
    let open = this.#open.get(id);
    if (open === undefined) {
      open = { count: 0, backing: this.#back(file) };
      this.#open.set(id, open);
    }
    open.count++;
    const { backing } = open;
    return backing === undefined ? openAnswer(KEEP_CACHE) : openAnswer(PASSTHROUGH, backing);
  }

  /** Ends one opening. */
  release(id: number): void {
    const open = this.#open.get(id);
    if (open === undefined || --open.count > 0) return;
    this.#open.delete(id);
    if (open.backing !== undefined) this.#backings.close(open.backing);
  }

  #back(file: FileNode): number | undefined {
    const { digest, size } = file.entry;
    const whole = this.#files.find(digest);
    if (whole !== undefined) return this.#backings.open(whole);
    const openings = (this.#openings.get(digest) ?? 0) + 1;
    this.#openings.delete(digest);
    this.#openings.set(digest, openings);
    for (const oldest of this.#openings.keys()) {
      if (this.#openings.size <= COUNTED_MAX) break;
      this.#openings.delete(oldest);
    }
    if (openings >= OPENINGS || this.#files.has(digest)) {
      const read = (): AsyncIterable<Uint8Array> => this.#tree.read(file, { start: 0, end: size });
      this.#files.want({ digest, size, read });
    }
    return undefined;
  }
}
