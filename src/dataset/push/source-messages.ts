/** What the engine and the source's thread say to each other. */
import type { ChunkerMemory } from "../../format/chunker.ts";
import type { ChunkingParameters } from "../../format/chunking.ts";
import type { Digest } from "../../format/digest.ts";
import type { PlainError } from "../workers/message.ts";
import type { ArchiveFiles } from "./archive/archive-source.ts";
import type { ScannedPiece, SegmentRequest } from "./scan.ts";

/** How the thread is started. */
export interface SourceSettings {
  /** A folder or a file by its path, or an open archive. */
  readonly source: string | ArchiveFiles;
  readonly exclude: readonly string[];
  readonly skipUnreadable: boolean;
  readonly chunking: ChunkingParameters;
  readonly memory: ChunkerMemory;
  /** The stat cache to compare with, and where to write the next one. */
  readonly statCache: {
    readonly read: { readonly file: string; readonly version: Digest } | undefined;
    readonly write: string | undefined;
    readonly id: string;
  };
}

/** Entries of a walk, in columns: cheap to send. */
export interface WalkBatch {
  /** Joined by NUL. */
  readonly paths: string;
  readonly count: number;
  /** 0 file, 1 directory, 2 symlink. */
  readonly kinds: Uint8Array;
  /** 1 when the file is as the stat cache has it. */
  readonly unchanged: Uint8Array;
  readonly sizes: Float64Array;
  readonly modes: Uint16Array;
  /** Times of change: whole seconds since 1970, and nanoseconds after. */
  readonly seconds: Float64Array;
  readonly nanos: Uint32Array;
  /** Of the symlinks, in order. */
  readonly targets: readonly string[];
  readonly skipped: readonly { readonly path: string; readonly reason: string }[];
  readonly done: boolean;
}

/** What the thread is asked; it answers in order. */
export type SourceRequest =
  | { readonly kind: "walk" }
  | {
      readonly kind: "fill";
      readonly segments: readonly SegmentRequest[];
      readonly start: number;
      readonly end: number;
    }
  | { readonly kind: "commit"; readonly version: Digest }
  | { readonly kind: "close" };

/** What it answers: what the request was for, or an error. After an error it answers every request with that. */
export interface SourceReply {
  readonly batch?: WalkBatch;
  readonly pieces?: readonly ScannedPiece[];
  readonly error?: PlainError;
}
