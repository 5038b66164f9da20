/** A folder of a version, as something that goes into one file. */
import type { WaitOptions } from "../../../base/shared-call.ts";
import type { Entry } from "../../../format/entry.ts";
import type { DirectoryNode, EntryNode, FileNode, Tree } from "../../../vfs/tree.ts";

/** An entry, called as it is below the folder, and its bytes when it has some. */
export interface Member {
  readonly entry: Entry;
  readonly name: string;
  /** To be read to its end before the next member is asked for. Each piece holds until the next is asked for. */
  readonly content: () => AsyncIterable<Uint8Array>;
}

/** What goes into an archive: the same each time that it is gone through. */
export interface Members {
  members(): AsyncIterable<Member>;
  /** The same without their bytes. */
  entries(): AsyncIterable<Omit<Member, "content">>;
}

/**
 * A folder, whose members can be gone through again and again. Files come in byte order of path, and each folder right before what lies in
 * it: programs set its time when they leave it.
 */
export class ArchiveSource implements Members {
  readonly #tree: Tree;
  readonly #folder: DirectoryNode;
  readonly #options: WaitOptions;

  /** `options`: how members' bytes are waited for. */
  constructor(tree: Tree, folder: DirectoryNode, options: WaitOptions = {}) {
    this.#tree = tree;
    this.#folder = folder;
    this.#options = options;
  }

  /** The members with their bytes. Errors: those of Tree.entries and Tree.readOn. */
  async *members(): AsyncGenerator<Member> {
    const prefixLength = this.#prefix.length;
    for await (const batch of this.#batches()) {
      const files = batch.filter((node) => node.kind === "file");
      const bytes = files.reduce((sum, { entry }) => sum + entry.size, 0);
      const stream = new Stream(files[0], (first) => this.#tree.readOn(first, bytes, this.#options));
      try {
        for (const { kind, entry } of batch) {
          const size = kind === "file" ? entry.size : 0;
          yield { entry, name: entry.path.slice(prefixLength), content: () => stream.take(size) };
        }
      } finally {
        await stream.close();
      }
    }
  }

  /** The members without their bytes. Errors: those of Tree.entries. */
  async *entries(): AsyncGenerator<Omit<Member, "content">> {
    const prefixLength = this.#prefix.length;
    for await (const batch of this.#batches()) {
      for (const { entry } of batch) yield { entry, name: entry.path.slice(prefixLength) };
    }
  }

  get #prefix(): string {
    return this.#folder.path === "" ? "" : `${this.#folder.path}/`;
  }

  async *#batches(): AsyncGenerator<EntryNode[]> {
    const prefix = this.#prefix;
    const options = prefix === "" ? {} : { from: prefix };
    const order = new FolderOrder();
    for await (const batch of this.#tree.entries(this.#folder, options)) {
      const end = batch.findIndex(({ entry: { path } }) => !path.startsWith(prefix));
      const inside = end === -1 ? batch : batch.slice(0, end);
      const ready = inside.flatMap((node) => order.take(node));
      if (ready.length > 0) yield ready;
      if (end !== -1) break;
    }
    yield order.rest();
  }
}

/** Byte order of path has `a-b` between `a` and `a/b`: lets `a` wait for what lies in it. */
class FolderOrder {
  /** Each is the beginning of the path taken last, and longer than the one before: there are never many. */
  #waiting: EntryNode[] = [];

  /** What comes now that `node` was taken, in byte order of path. */
  take(node: EntryNode): EntryNode[] {
    const { kind, path } = node.entry;
    const waits = ({ entry }: EntryNode): boolean =>
      path.startsWith(entry.path) && path.charAt(entry.path.length) < "/";
    const ready = this.#waiting.filter((folder) => !waits(folder));
    if (ready.length > 0) this.#waiting = this.#waiting.filter(waits);
    if (kind === "directory") this.#waiting.push(node);
    else ready.push(node);
    return ready;
  }

  /** What comes at the end. */
  rest(): EntryNode[] {
    return this.#waiting;
  }
}

/** The bytes of files that lie one after another, given out file by file. */
class Stream {
  readonly #pieces: AsyncGenerator<Uint8Array> | undefined;
  #rest: Uint8Array = new Uint8Array();

  constructor(first: FileNode | undefined, read: (first: FileNode) => AsyncGenerator<Uint8Array>) {
    this.#pieces = first && read(first);
  }

  async *take(bytes: number): AsyncGenerator<Uint8Array> {
    for (let left = bytes; left > 0;) {
      if (this.#rest.byteLength === 0) {
        const next = await this.#pieces?.next();
        if (next === undefined || next.done === true) throw new TypeError("the files' bytes ended early");
        this.#rest = next.value;
      }
      const part = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(part.byteLength);
      left -= part.byteLength;
      yield part;
    }
  }

  async close(): Promise<void> {
    await this.#pieces?.return(undefined);
  }
}
