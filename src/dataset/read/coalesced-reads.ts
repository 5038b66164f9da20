import { copyBytes } from "../../base/bytes.ts";
import type { ByteRange } from "../../base/byte-range.ts";
import { MiB } from "../../base/limits.ts";
import { SharedCall } from "../../base/shared-call.ts";
import type { Digest } from "../../format/digest.ts";
import type { RangeReader, ReadRangeOptions } from "../../store/block-store.ts";

/** One request's bytes, unless a single read has more. */
const REQUEST_BYTES_MAX = 4 * MiB;
/** Memory of requests that is kept for the next ones. */
const KEPT_MAX = 4;

/** How a range is read: into memory that the reader has. */
type IntoOptions = ReadRangeOptions & Required<Pick<ReadRangeOptions, "into">>;

/** A read that waits. */
interface Waiting extends IntoOptions {
  readonly range: ByteRange;
  /** Takes what is under way now, and its place there. */
  readonly begin: (bytes: Promise<Uint8Array>) => void;
}

/** What goes on at one block. */
interface BlockReads {
  readonly underWay: Set<ByteRange>;
  waiting: Waiting[];
}

/**
 * Reads of a store on another machine: one that lies right beside another that is under way waits for it, and goes together with
 * its neighbours then, or when they fill a request. So who reads in order makes few requests, and who does not, waits
 * for nobody. A request is aborted when all whose ranges it has have given up.
 */
export class CoalescedReads {
  readonly #store: RangeReader;
  readonly #blocks = new Map<Digest, BlockReads>();
  /** Of requests for several: fresh memory costs more than copying. */
  readonly #memory: Buffer[] = [];

  constructor(store: RangeReader) {
    this.#store = store;
  }

  /** The block's bytes of `range`, at the beginning of `into`. Errors: those of RangeReader.read; the signal's reason. */
  read(block: Digest, range: ByteRange, options: IntoOptions): Promise<Uint8Array> {
    const { signal } = options;
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const reads = this.#readsOf(block);
      const leave = (): void => {
        reads.waiting = reads.waiting.filter((other) => other !== waiting);
        reject(signal?.reason as Error);
      };
      const begin = (bytes: Promise<Uint8Array>): void => {
        signal?.removeEventListener("abort", leave);
        resolve(bytes);
      };
      const waiting = { ...options, range, begin };
      const others = [...reads.underWay, ...reads.waiting.map((other) => other.range)];
      if (!others.some((other) => touches(other, range))) {
        this.#request(block, reads, [waiting]);
        return;
      }
      reads.waiting.push(waiting);
      signal?.addEventListener("abort", leave, { once: true });
      const group = groupsOf(reads.waiting).find((each) => each.includes(waiting)) ?? [];
      if (spanOf(group).end - spanOf(group).start >= REQUEST_BYTES_MAX) this.#release(block, reads, group);
    });
  }

  #readsOf(block: Digest): BlockReads {
    const known = this.#blocks.get(block);
    if (known !== undefined) return known;
    const reads = { underWay: new Set<ByteRange>(), waiting: [] };
    this.#blocks.set(block, reads);
    return reads;
  }

  #release(block: Digest, reads: BlockReads, group: readonly Waiting[]): void {
    reads.waiting = reads.waiting.filter((waiting) => !group.includes(waiting));
    this.#request(block, reads, group);
  }

  #request(block: Digest, reads: BlockReads, group: readonly Waiting[]): void {
    const range = spanOf(group);
    reads.underWay.add(range);
    const call = this.#call(block, range, group);
    const end = (): void => {
      reads.underWay.delete(range);
      for (const next of groupsOf(reads.waiting)) this.#release(block, reads, next);
      if (reads.underWay.size === 0) this.#blocks.delete(block);
    };
    call.result.then(end, end);
  }

  #call(block: Digest, range: ByteRange, group: readonly Waiting[]): SharedCall<Uint8Array> {
    const [first] = group;
    if (group.length === 1 && first !== undefined) {
      const { into } = first;
      const alone = new SharedCall((signal) => this.#store.read(block, range, { into, signal }));
      first.begin(alone.join(first));
      return alone;
    }
    const memory = this.#memory.pop() ?? Buffer.allocUnsafeSlow(REQUEST_BYTES_MAX);
    const call = new SharedCall((signal) => this.#store.read(block, range, { into: memory, signal }));
    const parts = group.map(async (each) => {
      const part = call.join(each).then((all) => partOf(all, range, each));
      each.begin(part);
      await part;
    });
    const keep = (): void => {
      if (this.#memory.length < KEPT_MAX) this.#memory.push(memory);
    };
    // Not after a failure: the store may still be at it.
    Promise.all([call.result, Promise.allSettled(parts)]).then(keep, () => undefined);
    return call;
  }
}

function partOf(bytes: Uint8Array, { start }: ByteRange, { range, into }: Waiting): Uint8Array {
  copyBytes(bytes.subarray(range.start - start, range.end - start), into);
  return into.subarray(0, range.end - range.start);
}

function touches(one: ByteRange, other: ByteRange): boolean {
  return one.start <= other.end && other.start <= one.end;
}

function spanOf(group: readonly Waiting[]): ByteRange {
  return {
    start: Math.min(...group.map(({ range }) => range.start)),
    end: Math.max(...group.map(({ range }) => range.end)),
  };
}

/** Neighbours together, as many as fill a request. */
function groupsOf(waiting: readonly Waiting[]): Waiting[][] {
  const groups: Waiting[][] = [];
  let span: ByteRange | undefined;
  for (const each of waiting.toSorted((a, b) => a.range.start - b.range.start)) {
    const { range } = each;
    const last = groups.at(-1);
    const joins =
      span !== undefined && range.start <= span.end && range.end - span.start <= REQUEST_BYTES_MAX;
    if (joins && last !== undefined && span !== undefined) {
      last.push(each);
      span = { start: span.start, end: Math.max(span.end, range.end) };
    } else {
      groups.push([each]);
      span = range;
    }
  }
  return groups;
}
