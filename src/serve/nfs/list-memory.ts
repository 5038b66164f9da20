import type { Clock } from "../../base/clock.ts";
import { AetherError } from "../../base/errors.ts";
import { MiB } from "../../base/limits.ts";
import { cookieOf, NameList, type NameKind } from "./name-list.ts";

/** Names of one directory. */
const NAMES_MAX = 100_000;
/** The share of the memory that all lists may take, and what a list and a name do, besides its text, while the list is made. */
const SHARE = 1 / 32;
const BYTES_MIN = MiB;
const LIST_BYTES = 500;
const NAME_BYTES = 100;

/** A list, whole or being made. */
interface Kept {
  readonly key: string;
  readonly value: Promise<NameList>;
  readonly sinceMs: number;
  bytes: number;
  isWhole: boolean;
}

/** What a list is made of. */
export interface NamesToList {
  readonly names: () => AsyncIterable<string>;
  readonly kindOf: (name: string) => NameKind;
}

/** Lists that clients read, those that are being made among them: together they take no more than their share of the memory. */
export class ListMemory {
  readonly #clock: Clock;
  readonly #bytesMax: number;
  /** The oldest first. */
  readonly #lists = new Map<string, Kept>();
  #bytes = 0;

  constructor(clock: Clock, memoryBytes: number) {
    this.#clock = clock;
    this.#bytesMax = Math.max(memoryBytes * SHARE, BYTES_MIN);
  }

  /**
   * The list: one that is being made, or not older than that, or else a new one. Errors: LIMIT_EXCEEDED when it has more names than any
   * may, or takes more than all may; HUB_BUSY when others take too much at the moment; those of `names`.
   */
  get(key: string, ageMsMax: number, made: NamesToList): Promise<NameList> {
    const known = this.#lists.get(key);
    const nowMs = this.#clock.elapsedMs();
    if (known !== undefined && (!known.isWhole || nowMs - known.sinceMs < ageMsMax)) return known.value;
    if (known !== undefined) this.#drop(known);
    const { promise, resolve, reject } = Promise.withResolvers<NameList>();
    const kept: Kept = { key, value: promise, sinceMs: nowMs, bytes: 0, isWhole: false };
    this.#lists.set(key, kept);
    this.#make(kept, made).then(resolve, (error: unknown) => {
      this.#drop(kept);
      reject(error);
    });
    return promise;
  }

  async #make(kept: Kept, { names, kindOf }: NamesToList): Promise<NameList> {
    const all: string[] = [];
    const cookies: bigint[] = [];
    this.#take(kept, LIST_BYTES);
    for await (const name of names()) {
      all.push(name);
      if (all.length > NAMES_MAX)
        throw new AetherError("LIMIT_EXCEEDED", `a directory has more than ${NAMES_MAX} names`);
      this.#take(kept, NAME_BYTES + name.length);
      cookies.push(cookieOf(kindOf(name), name));
    }
    const list = new NameList(all, cookies, kindOf);
    kept.isWhole = true;
    return list;
  }

  #take(kept: Kept, bytes: number): void {
    kept.bytes += bytes;
    this.#bytes += bytes;
    for (const oldest of this.#lists.values()) {
      if (this.#bytes <= this.#bytesMax) return;
      if (oldest.isWhole) this.#drop(oldest);
    }
    if (this.#bytes <= this.#bytesMax) return;
    // At once: others that are being made have its room.
    this.#drop(kept);
    if (kept.bytes > this.#bytesMax)
      throw new AetherError(
        "LIMIT_EXCEEDED",
        `the names of a directory take more than ${this.#bytesMax} bytes: raise --memory_limit`,
      );
    throw new AetherError("HUB_BUSY", "too many lists of names are being made at once: try again");
  }

  #drop(kept: Kept): void {
    if (this.#lists.get(kept.key) !== kept) return;
    this.#lists.delete(kept.key);
    this.#bytes -= kept.bytes;
  }
}
