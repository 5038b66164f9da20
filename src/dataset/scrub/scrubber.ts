/** Reading a hub's store through in the background, so that damage is found before somebody needs what is damaged. */
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AetherError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { MiB } from "../../base/limits.ts";
import { digestFromHex, formatDigest, type Digest } from "../../format/digest.ts";
import type { BlockInfo, CallOptions } from "../../store/block-store.ts";
import type { DamagedObject } from "../../store/keys.ts";
import { makeFolders } from "../../store/make-folders.ts";
import type { Engine } from "../engine.ts";
import type { StoreFault } from "./contract.ts";
import { isPlanDamaged } from "./heal.ts";
import { isFault } from "./is-fault.ts";
import { Pace } from "../pace.ts";
import { verifyStore } from "./verify-store.ts";

const PIECE_BYTES = MiB;
/** A hub that was just started has other things to do. */
const FIRST_MS = 5 * 60 * 1000;
/** From the beginning of one round to that of the next, at least. */
const ROUND_MS_MIN = 24 * 60 * 60 * 1000;
/** After a round that failed. */
const RETRY_MS = 10 * 60 * 1000;
/** Bytes after which a round's place is noted. */
const NOTE_BYTES = 256 * MiB;

/** What a scrubber works with. */
export interface ScrubberOptions {
  readonly log: Log;
  /** Bytes a second at most, about. */
  readonly rateBytes: number;
  /** Ends it. */
  readonly signal: AbortSignal;
}

/** What it did since it began. Numbers only grow. */
export interface ScrubFigures {
  readonly bytes: number;
  readonly rounds: number;
  readonly faults: number;
  readonly quarantined: number;
}

/**
 * Round by round compares each block with its name, then everything that histories name with what is there. What is damaged is moved to
 * quarantine, so that the next push or copy stores it anew, and told in the log.
 */
export class Scrubber {
  readonly #engine: Engine;
  readonly #options: ScrubberOptions;
  readonly #call: CallOptions;
  readonly #pace: Pace;
  readonly #figures = { bytes: 0, rounds: 0, faults: 0, quarantined: 0 };

  constructor(engine: Engine, options: ScrubberOptions) {
    this.#engine = engine;
    this.#options = options;
    this.#call = { signal: options.signal };
    this.#pace = new Pace(engine.clock, options.rateBytes);
  }

  get figures(): ScrubFigures {
    return this.#figures;
  }

  /** Goes on until the signal aborts. Never rejects: what fails is told in the log, and tried again later. */
  async run(): Promise<void> {
    const { log, signal } = this.#options;
    const { clock } = this.#engine;
    await clock.sleep(FIRST_MS, signal).catch(() => undefined);
    while (!signal.aborted) {
      const begunMs = clock.elapsedMs();
      let waitMs = RETRY_MS;
      try {
        await this.round();
        waitMs = Math.max(0, begunMs + ROUND_MS_MIN - clock.elapsedMs());
      } catch (err) {
        if (this.#options.signal.aborted) return;
        log.warn({ err }, "a scrub broke off: it goes on later");
      }
      await clock.sleep(waitMs, signal).catch(() => undefined);
    }
  }

  /** One round, from where the last one broke off. Errors: those of the store, but for damage. */
  async round(): Promise<void> {
    const place = this.#placeFile();
    let after = readPlace(place);
    let bytes = 0;
    for await (const block of this.#engine.store.blocks.list(this.#call)) {
      if (after !== undefined && block.digest <= after) continue;
      await this.#checkBlock(block);
      bytes += block.bytes;
      if (bytes < NOTE_BYTES) continue;
      bytes = 0;
      after = block.digest;
      notePlace(place, after);
    }
    notePlace(place, undefined);
    const { rateBytes } = this.#options;
    const { faults } = await verifyStore(this.#engine, { ...this.#call, structureOnly: true, rateBytes });
    for (const fault of faults) await this.#take(fault);
    this.#figures.rounds++;
  }

  async #checkBlock(block: BlockInfo): Promise<void> {
    const hash = createHash("sha256");
    const { digest } = block;
    try {
      for (let at = 0; at < block.bytes; at += PIECE_BYTES) {
        const end = Math.min(at + PIECE_BYTES, block.bytes);
        await this.#pace.take(end - at, this.#options.signal);
        hash.update(await this.#engine.store.blocks.read(digest, { start: at, end }, this.#call));
        this.#figures.bytes += end - at;
        await new Promise(setImmediate);
      }
      if (hash.digest("hex") === digest) return;
      throw new AetherError("OBJECT_CORRUPT", `its bytes are not what the name ${formatDigest(digest)} says`);
    } catch (error) {
      if (!isFault(error)) throw error;
      // Somebody removed it meanwhile.
      if (error.code === "OBJECT_MISSING") return;
      const object = { kind: "blocks", digest } as const;
      await this.#take({ object, where: "", code: error.code, message: error.message, isDamaged: true });
    }
  }

  async #take({ object, where, code, message, isDamaged }: StoreFault): Promise<void> {
    this.#figures.faults++;
    const digest = object.kind === "records" ? undefined : formatDigest(object.digest);
    const facts = { kind: object.kind, digest, where, code, why: message };
    if (!isDamaged || object.kind === "records" || !(await this.#isInTheWay(object))) {
      this.#options.log.error(facts, "the store is damaged: verify --store tells what is lost");
      return;
    }
    await this.#engine.store.datasets.quarantine(object, this.#call);
    this.#figures.quarantined++;
    this.#options.log.error(
      facts,
      "a damaged object was moved to quarantine: a push or copy of what it held stores it anew",
    );
  }

  /** A manifest object is replaced where it lies. */
  async #isInTheWay(object: DamagedObject): Promise<boolean> {
    if (object.kind !== "plans") return object.kind === "blocks";
    return await isPlanDamaged(this.#engine, object, false, this.#call);
  }

  /** Where a round's place is noted; undefined: there is no folder for it. */
  #placeFile(): string | undefined {
    const { cacheDir, store } = this.#engine;
    if (cacheDir === undefined) return undefined;
    const folder = join(cacheDir, "scrub");
    try {
      makeFolders(folder, 0o700);
    } catch {
      return undefined;
    }
    return join(folder, store.datasets.store.id);
  }
}

/** The last block that was looked at; undefined: begin with the first. */
function readPlace(file: string | undefined): Digest | undefined {
  if (file === undefined) return undefined;
  try {
    return digestFromHex(readFileSync(file, "utf8").trim());
  } catch {
    return undefined;
  }
}

/** A hint: a round that begins anew is no harm. */
function notePlace(file: string | undefined, after: Digest | undefined): void {
  if (file === undefined) return;
  try {
    writeFileSync(file, `${after ?? ""}\n`);
  } catch {
    // The next one begins with the first block.
  }
}
