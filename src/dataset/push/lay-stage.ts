/** The laying stage: entries in order, gathered into segments. */
import type { Channel } from "../../base/channel.ts";
import { Segmenter } from "../../format/segment.ts";
import type { IngestSession } from "../ingest/ingest.ts";
import { sameFiles, type OldSegment, type Reference } from "./reference.ts";
import type { ScanStage } from "./scan-stage.ts";
import { SegmentPush } from "./segment-push.ts";
import type { SourceEntry } from "./source.ts";
import type { WalkAhead } from "./walk-ahead.ts";

/** What goes from the laying stage to the storing one, in stream order. `held`: entries with those files among them. */
export type Item =
  | { readonly kind: "entry"; readonly entry: SourceEntry }
  | { readonly kind: "known"; readonly old: OldSegment; readonly held: readonly SourceEntry[] }
  | {
      readonly kind: "scan";
      readonly segment: SegmentPush;
      readonly held: readonly SourceEntry[];
      /** Whether another item brings more of the segment. */
      readonly continues: boolean;
    };

/** How many entries an item is about. */
export function entriesOf(item: Item): number {
  return item.kind === "entry" ? 1 : 1 + item.held.length;
}

/** Whether an entry has bytes in the stream. */
export function hasBytes(entry: SourceEntry): boolean {
  return entry.kind === "file" && entry.size > 0;
}

/** Entries that wait for the end of their segment at most: there may be many folders after a small file. */
const HELD_MAX = 16_384;

/** What the stage works with. */
export interface LayStageParts {
  readonly averageBytes: number;
  readonly walk: WalkAhead;
  readonly scan: ScanStage;
  readonly session: IngestSession;
  readonly queue: Channel<Item>;
  readonly reference: Reference | undefined;
  /** zstd's. */
  readonly level: number;
  readonly signal: AbortSignal | undefined;
}

/** Follows the walk: decides what is read and what is taken from the reference. */
export class LayStage {
  readonly #parts: LayStageParts;
  #held: SourceEntry[] = [];
  #files: SourceEntry[] = [];
  /** The segment of which a part is laid already. */
  #open: SegmentPush | undefined;
  #segments = 0;

  constructor(parts: LayStageParts) {
    this.#parts = parts;
  }

  /** Runs until everything is laid. Errors: the walk's, the reference's. */
  async run(): Promise<void> {
    const { averageBytes, walk, scan, queue } = this.#parts;
    const segmenter = new Segmenter(averageBytes);
    for await (const batch of walk.batches()) {
      for (const entry of batch) {
        const isContent = hasBytes(entry);
        if (isContent && segmenter.next(entry.path, entry.size)) await this.#endSegment();
        if (isContent) this.#files.push(entry);
        if (this.#files.length === 0) await queue.send({ kind: "entry", entry });
        else if (this.#held.push(entry) === HELD_MAX) await this.#scan(true);
      }
    }
    await this.#endSegment();
    scan.complete();
    queue.close();
  }

  async #endSegment(): Promise<void> {
    if (this.#files.length === 0 && this.#open === undefined) return;
    const same = this.#open === undefined ? await this.#unchanged() : undefined;
    if (same === undefined) {
      await this.#scan(false);
      return;
    }
    const held = this.#take();
    await this.#parts.queue.send({ kind: "known", old: same, held });
  }

  /** The old segment that the files are, when none of them needs to be read. */
  async #unchanged(): Promise<OldSegment | undefined> {
    const [same, ...others] = await this.#overlapping();
    const isSame = same !== undefined && others.length === 0 && this.#files.every((file) => file.unchanged);
    return isSame && sameFiles(this.#files, same) ? same : undefined;
  }

  async #overlapping(): Promise<readonly OldSegment[]> {
    const first = this.#files[0];
    const last = this.#files.at(-1);
    if (first === undefined || last === undefined) return [];
    return (await this.#parts.reference?.overlapping(first.path, last.path)) ?? [];
  }

  /** Has the files read; `continues`: more of the segment follows. */
  async #scan(continues: boolean): Promise<void> {
    const { scan, queue, session, reference, level, signal } = this.#parts;
    const segment =
      this.#open ??
      new SegmentPush(session, {
        id: this.#segments++,
        old: await this.#overlapping(),
        reference,
        level,
        signal,
      });
    this.#open = continues ? segment : undefined;
    const files = this.#files;
    const held = this.#take();
    await scan.add(segment, files, continues);
    await queue.send({ kind: "scan", segment, held, continues });
  }

  #take(): SourceEntry[] {
    const held = this.#held;
    this.#held = [];
    this.#files = [];
    return held;
  }
}
