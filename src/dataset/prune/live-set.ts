/** What of a store something still needs. */
import { must } from "../../base/assert.ts";
import { DIGEST_BYTES, digestBytes, digestFromBytes, type Digest } from "../../format/digest.ts";
import type { Plan } from "../../format/plan.ts";
import { objectName, type ObjectName, type PrunedKind } from "../../format/prune-record.ts";
import { LiveFrames } from "./live-frames.ts";

/** A plan that is read by who reads live versions. */
export interface LivePlan {
  /** The page or version that it is about. */
  readonly key: Digest;
  /** The domain that keeps it apart; undefined: the one that all share. */
  readonly domain: string | undefined;
}

/** Names of live objects, live frames of blocks, and which plan leads to which block. Grows as versions are marked. */
export class LiveSet {
  readonly #names = new Set<ObjectName>();
  readonly #frames = new Map<Digest, LiveFrames>();
  /** Blocks of which everything stays. */
  readonly #held = new Set<Digest>();
  readonly #uses = new PlanUses();

  /** Notes an object beside blocks. */
  addName(name: ObjectName): void {
    this.#names.add(name);
  }

  /** Notes that a block stays as it is: somebody who builds on it says so. */
  holdBlock(block: Digest): void {
    this.#held.add(block);
  }

  /** Notes the frames of a whole plan. */
  addPlan(live: LivePlan, { frames }: Plan): void {
    const blocks = new Set<Digest>();
    for (const { block, offset, storedBytes } of frames) {
      blocks.add(block);
      this.#framesOf(block).add(offset, storedBytes);
    }
    this.#uses.add(live, blocks);
  }

  /** Whether an object must stay. */
  has(kind: PrunedKind, digest: Digest): boolean {
    if (kind === "blocks") return this.#frames.has(digest) || this.#held.has(digest);
    return this.#names.has(objectName(kind, digest));
  }

  /** Whether nothing of the block may be moved. */
  isHeld(block: Digest): boolean {
    return this.#held.has(block);
  }

  /** The block's live frames; undefined when it has none. */
  framesOf(block: Digest): LiveFrames | undefined {
    return this.#frames.get(block);
  }

  /** Forgets a block whose frames lie elsewhere now. */
  dropBlock(block: Digest): void {
    this.#frames.get(block)?.clear();
    this.#frames.delete(block);
  }

  /** Gives the memory of frames back at once: the next set may be begun before this one is collected. */
  clear(): void {
    for (const frames of this.#frames.values()) frames.clear();
    this.#frames.clear();
    this.#names.clear();
  }

  /** The plans that lead to one of these blocks. */
  plansOf(blocks: ReadonlySet<Digest>): Iterable<LivePlan> {
    return this.#uses.of(blocks);
  }

  /** Blocks with live frames. */
  get blocks(): number {
    return this.#frames.size;
  }

  /** Every name, of blocks too. */
  *names(): Generator<ObjectName> {
    yield* this.#names;
    for (const block of this.#frames.keys()) yield objectName("blocks", block);
  }

  #framesOf(block: Digest): LiveFrames {
    let frames = this.#frames.get(block);
    if (frames === undefined) {
      frames = new LiveFrames();
      this.#frames.set(block, frames);
    }
    return frames;
  }
}

/** Which plans lead to which blocks, in few bytes: stores have many of both. */
class PlanUses {
  readonly #numbers = new Map<Digest, number>();
  readonly #domains: (string | undefined)[] = [undefined];
  #keys = Buffer.alloc(DIGEST_BYTES * 64);
  /** Of each plan its domain's number, and where its blocks' numbers begin. */
  #heads = new Uint32Array(2 * 64);
  #blocks = new Uint32Array(256);
  #plans = 0;
  #count = 0;

  add({ key, domain }: LivePlan, blocks: ReadonlySet<Digest>): void {
    if ((this.#plans + 1) * DIGEST_BYTES > this.#keys.byteLength) this.#makeRoomForPlans();
    this.#keys.set(digestBytes(key), this.#plans * DIGEST_BYTES);
    this.#heads.set([this.#domainNumber(domain), this.#count], this.#plans * 2);
    this.#plans++;
    for (const block of blocks) {
      if (this.#count === this.#blocks.length) this.#blocks = grown(this.#blocks);
      this.#blocks[this.#count++] = this.#numberOf(block);
    }
  }

  *of(blocks: ReadonlySet<Digest>): Generator<LivePlan> {
    const wanted = new Set([...blocks].flatMap((block) => this.#numbers.get(block) ?? []));
    for (let plan = 0; plan < this.#plans; plan++) {
      const start = this.#heads[plan * 2 + 1] ?? 0;
      const end = plan + 1 < this.#plans ? (this.#heads[plan * 2 + 3] ?? 0) : this.#count;
      let at = start;
      while (at < end && !wanted.has(this.#blocks[at] ?? -1)) at++;
      if (at === end) continue;
      yield {
        key: digestFromBytes(this.#keys, plan * DIGEST_BYTES),
        domain: this.#domains[must(this.#heads[plan * 2], "each plan has a head")],
      };
    }
  }

  #numberOf(block: Digest): number {
    const known = this.#numbers.get(block);
    if (known !== undefined) return known;
    this.#numbers.set(block, this.#numbers.size);
    return this.#numbers.size - 1;
  }

  #domainNumber(domain: string | undefined): number {
    const known = this.#domains.indexOf(domain);
    return known === -1 ? this.#domains.push(domain) - 1 : known;
  }

  #makeRoomForPlans(): void {
    this.#keys = Buffer.concat([this.#keys, Buffer.alloc(this.#keys.byteLength)]);
    this.#heads = grown(this.#heads);
  }
}

function grown(numbers: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(numbers.length * 2);
  larger.set(numbers);
  return larger;
}
