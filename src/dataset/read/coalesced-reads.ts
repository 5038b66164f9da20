import type { ByteRange } from "../../base/byte-range.ts";
import { MiB } from "../../base/limits.ts";
import type { Digest } from "../../format/digest.ts";
import type { RangeReader } from "../../store/block-store.ts";

/** One request's bytes, unless a single read has more. */
const REQUEST_BYTES_MAX = 4 * MiB;

/** A read that waits. */
interface Waiting {
  readonly range: ByteRange;
  readonly into: Uint8Array;
  readonly resolve: (bytes: Uint8Array) => void;
  readonly reject: (error: unknown) => void;
}

/** What goes on at one block. */
interface BlockReads {
  readonly underWay: Set<ByteRange>;
  waiting: Waiting[];
}

/**
 * Reads of a store on another machine: one that lies right beside another that is under way waits for it, and goes together with
 * its neighbours then, or when they fill a request. So who reads in order makes few requests, and who does not, waits
 * for nobody.
 */
export class CoalescedReads {
  readonly #store: RangeReader;
  readonly #blocks = new Map<Digest, BlockReads>();

  constructor(store: RangeReader) {
    this.#store = store;
  }

  /** The block's bytes of `range`, at the beginning of `into`. Errors: those of RangeReader.read. */
  read(block: Digest, range: ByteRange, into: Uint8Array): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const reads = this.#readsOf(block);
      const waiting = { range, into, resolve, reject };
      const others = [...reads.underWay, ...reads.waiting.map((other) => other.range)];
      if (!others.some((other) => touches(other, range))) {
        this.#request(block, reads, [waiting]);
        return;
      }
      reads.waiting.push(waiting);
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
    void this.#answer(block, range, group).finally(() => {
      reads.underWay.delete(range);
      for (const next of groupsOf(reads.waiting)) this.#release(block, reads, next);
      if (reads.underWay.size === 0) this.#blocks.delete(block);
    });
  }

  async #answer(block: Digest, range: ByteRange, group: readonly Waiting[]): Promise<void> {
    const [first] = group;
    try {
      if (group.length === 1 && first !== undefined) {
        first.resolve(await this.#store.read(block, range, { into: first.into }));
        return;
      }
      const bytes = await this.#store.read(block, range);
      for (const { range: part, into, resolve } of group) {
        into.set(bytes.subarray(part.start - range.start, part.end - range.start));
        resolve(into.subarray(0, part.end - part.start));
      }
    } catch (error) {
      for (const { reject } of group) reject(error);
    }
  }
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
