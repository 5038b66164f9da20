import { copyBytes } from "../../base/bytes.ts";
import type { ByteRange } from "../../base/byte-range.ts";
import { codeOf } from "../../base/errors.ts";
import { KiB, MiB } from "../../base/limits.ts";
import type { Digest } from "../../format/digest.ts";
import type { BlockInfo, BlockStore, CallOptions, ReadRangeOptions, StoreFeatures } from "../block-store.ts";
import type { Layer } from "./stack.ts";

/** Bytes between two ranges that are read in vain sooner than another request is made. */
const GAP_BYTES_MAX = 64 * KiB;
/** Of a read for several: larger ones are faster side by side. */
const JOINED_BYTES_MAX = 2 * MiB;

/** Blocks of which ranges that are asked for at once, and lie close, are read by one call. */
export function joined(): Layer {
  return (inner) => ({
    blocks: new JoinedStore(inner.blocks),
    datasets: inner.datasets,
    close: () => inner.close(),
  });
}

/** Who waits for a range. */
interface Reader {
  readonly range: ByteRange;
  readonly options: ReadRangeOptions;
  readonly resolve: (bytes: Uint8Array | Promise<Uint8Array>) => void;
  readonly reject: (error: unknown) => void;
}

/** Collects reads of a block for one turn of the event loop. Errors: the inner store's. */
class JoinedStore implements BlockStore {
  readonly #inner: BlockStore;
  readonly #readers = new Map<Digest, Reader[]>();

  constructor(inner: BlockStore) {
    this.#inner = inner;
  }

  get features(): StoreFeatures {
    return this.#inner.features;
  }

  read(block: Digest, range?: ByteRange, options: ReadRangeOptions = {}): Promise<Uint8Array> {
    if (range === undefined || !(range.start < range.end)) return this.#inner.read(block, range, options);
    return new Promise((resolve, reject) => {
      const reader = { range, options, resolve, reject };
      const others = this.#readers.get(block);
      if (others !== undefined) others.push(reader);
      else {
        this.#readers.set(block, [reader]);
        setImmediate(() => {
          const readers = this.#readers.get(block) ?? [];
          this.#readers.delete(block);
          for (const group of groupsOf(readers)) this.#readGroup(block, group);
        });
      }
    });
  }

  stat(block: Digest, options?: CallOptions): Promise<number | undefined> {
    return this.#inner.stat(block, options);
  }

  list(options?: CallOptions): AsyncIterable<BlockInfo> {
    return this.#inner.list(options);
  }

  put(block: Digest, parts: readonly Uint8Array[], options?: CallOptions): Promise<void> {
    return this.#inner.put(block, parts, options);
  }

  flush(options?: CallOptions): Promise<void> {
    return this.#inner.flush(options);
  }

  remove(block: Digest, options?: CallOptions): Promise<void> {
    return this.#inner.remove(block, options);
  }

  #readGroup(block: Digest, group: readonly Reader[]): void {
    const [first] = group;
    if (first === undefined) return;
    const alone = ({ range, options, resolve }: Reader): void => {
      resolve(this.#inner.read(block, range, options));
    };
    if (group.length === 1) {
      alone(first);
      return;
    }
    const { start } = first.range;
    const end = Math.max(...group.map(({ range }) => range.end));
    const { signal, wanting, release } = whileWanted(group);
    this.#inner
      .read(block, { start, end }, { signal })
      .then(
        (bytes) => {
          for (const reader of wanting) reader.resolve(partFor(reader, bytes, start));
        },
        (error: unknown) => {
          // It is one of them that ends outside.
          const refuse = codeOf(error) === "RANGE_INVALID" ? alone : ({ reject }: Reader) => reject(error);
          wanting.forEach(refuse);
        },
      )
      .finally(release);
  }
}

/** Readers whose ranges lie close, in order of their beginnings. */
function groupsOf(readers: readonly Reader[]): Reader[][] {
  const groups: Reader[][] = [];
  let [start, end] = [0, -Infinity];
  for (const reader of readers.toSorted((a, b) => a.range.start - b.range.start)) {
    const { range } = reader;
    const last = groups.at(-1);
    const endTogether = Math.max(end, range.end);
    if (last !== undefined && range.start <= end + GAP_BYTES_MAX && endTogether - start <= JOINED_BYTES_MAX) {
      last.push(reader);
      end = endTogether;
    } else {
      groups.push([reader]);
      [start, end] = [range.start, range.end];
    }
  }
  return groups;
}

/** Rejects each reader that gives up, and aborts when all have; `wanting` are those that have not. */
function whileWanted(group: readonly Reader[]): {
  signal: AbortSignal;
  wanting: Set<Reader>;
  release: () => void;
} {
  const controller = new AbortController();
  const wanting = new Set(group);
  const ends = group.map((reader) => {
    const { signal } = reader.options;
    const giveUp = (): void => {
      wanting.delete(reader);
      reader.reject(signal?.reason);
      if (wanting.size === 0) controller.abort(signal?.reason);
    };
    if (signal?.aborted === true) giveUp();
    else signal?.addEventListener("abort", giveUp, { once: true });
    return () => signal?.removeEventListener("abort", giveUp);
  });
  const release = (): void => {
    for (const end of ends) end();
  };
  return { signal: controller.signal, wanting, release };
}

/** The reader's part of what was read from `start`: its own, in its memory if it gave some. */
function partFor({ range, options }: Reader, bytes: Uint8Array, start: number): Uint8Array {
  const part = bytes.subarray(range.start - start, range.end - start);
  const target = options.into?.subarray(0, part.byteLength) ?? Buffer.allocUnsafeSlow(part.byteLength);
  copyBytes(part, target);
  return target;
}
