/** What an analysis takes and gives. The result's names are a contract with users: docs/analyze.md. */
import type { Readable } from "node:stream";
import type { ChunkingParameters } from "../../format/chunking.ts";
import type { Digest } from "../../format/digest.ts";
import type { OperationOptions, PushOptions } from "../contract.ts";

/** A source that is not a version yet: as a push takes it. */
export interface AnalyzeSource extends Pick<PushOptions, "source" | "exclude" | "skipUnreadable"> {
  /** The archive of the source "-"; closed in any case. */
  readonly input?: Readable;
}

/** Options of every analysis. */
export interface AnalyzeLimits extends OperationOptions {
  /** Bytes of a version that are measured at most; beyond, a sample is. undefined: 2 GiB, less where memory is scarce. */
  readonly sampleBytes?: number;
  /** Temporary space, in bytes; undefined: half of what is free. */
  readonly spoolBytes?: number;
}

/** What is analyzed: versions of one dataset, the oldest first, then perhaps a source that would follow them. */
export interface AnalyzeInput extends AnalyzeLimits {
  readonly versions: readonly Digest[];
  readonly source?: AnalyzeSource;
}

/** One way to store content: whether chunks are compressed, and whether new ones may lie on old ones as deltas. */
export interface StoredForm {
  readonly compression: "none" | "zstd";
  readonly deltas: boolean;
  /** Frames of content. */
  readonly payloadBytes: number;
  /** Those, with manifest, plan and the blocks' indexes. */
  readonly totalBytes: number;
}

/** What storing a version takes, of content that the store lacks. Bytes, but for chunks and seconds. */
export interface Stored {
  /** Chunks that were new, and their bytes before compression. */
  readonly chunks: number;
  readonly newBytes: number;
  /** The manifest object and its pages. */
  readonly manifestBytes: number;
  readonly planBytes: number;
  /** Headers, indexes and footers of blocks. */
  readonly indexBytes: number;
  /** none and zstd without deltas, then none and zstd with them; of a first version only the former. */
  readonly forms: readonly StoredForm[];
  /** Of a push in the last form, on this machine. */
  readonly seconds: number;
}

/** What one chunking makes of the versions. */
export interface ChunkingReport {
  readonly chunking: ChunkingParameters["kind"];
  readonly chunkSize: number;
  /** Chunks of the newest version, the same one counted as often as it stands in it. */
  readonly chunks: number;
  /** The newest version, stored where there is nothing yet. */
  readonly first: Stored;
  /** Medians over all updates; null when there is none. */
  readonly update: Stored | null;
  /** From each version to the next, the oldest first. */
  readonly updates: readonly Stored[];
}

/** A file that changes. */
export interface ChurningFile {
  readonly path: string;
  /** Of the newest version that it is in. */
  readonly size: number;
  /** Bytes of chunks (of 16 KiB on average) that were new in it, over all updates. */
  readonly changedBytes: number;
  /** In how many of the updates it changed, or came. */
  readonly updates: number;
}

/** Why one chunking is recommended: docs/analyze.md has what each means. */
export type Reason =
  | "default"
  | "smallest-first-version"
  | "nothing-changed"
  | "smallest-update"
  | "fewest-chunks"
  | "keeps-current"
  | "nothing-shifts"
  | "does-not-compress"
  | "does-not-delta";

/** How to publish it. */
export interface Recommendation {
  readonly chunking: ChunkingParameters["kind"];
  readonly chunkSize: number;
  readonly compression: "none" | "zstd";
  /** The options of `aetherfs push` that say so; "" when those of the dataset, or the defaults, do. */
  readonly options: string;
  readonly reasons: readonly Reason[];
  /** What the first push in another chunking than the dataset's takes, once: all is stored anew. 0: it is the dataset's. */
  readonly switchBytes: number;
}

/** A version that was measured; `digest` is null of a source. */
export interface AnalyzedVersion {
  readonly digest: Digest | null;
  readonly files: number;
  readonly bytes: number;
}

/** What an analysis found. */
export interface AnalyzeResult {
  /** The oldest first. */
  readonly versions: readonly AnalyzedVersion[];
  /** Null when everything was measured; else of the newest version: bytes that were, and all that it has. */
  readonly sampled: { readonly bytes: number; readonly totalBytes: number } | null;
  /** How the newest stored version is cut; null when there is none. */
  readonly current: { readonly chunking: ChunkingParameters["kind"]; readonly chunkSize: number } | null;
  readonly chunkings: readonly ChunkingReport[];
  /** Paths over all updates. */
  readonly changes: { readonly added: number; readonly removed: number; readonly changed: number };
  /** Most changed bytes first, 100 at most. */
  readonly churn: readonly ChurningFile[];
  readonly recommendation: Recommendation;
  /** Paths of the source that skipUnreadable left out. */
  readonly skipped: readonly { readonly path: string; readonly reason: string }[];
  readonly seconds: number;
}
