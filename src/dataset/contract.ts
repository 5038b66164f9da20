/** What the engine's operations take and give. The result names of push, pull and diff are a contract with users. */
import type { Readable } from "node:stream";
import type { ChunkingParameters } from "../format/chunking.ts";
import type { Digest } from "../format/digest.ts";
import type { DatasetName, Tag } from "../format/reference.ts";

/** A tag of a dataset, named in full. */
export interface TagReference {
  readonly name: DatasetName;
  readonly tag: Tag;
}

/** How far an operation is. Numbers only grow, but for those of "unpack", after which they begin anew; totals may grow while
 * the source is still being walked. */
export interface Progress {
  readonly phase: "unpack" | "walk" | "read" | "fetch" | "publish" | "verify";
  readonly files: number;
  readonly bytes: number;
  /** Bytes in all, or undefined while nobody knows. */
  readonly totalBytes: number | undefined;
  /** Of `bytes`, those that were there already. */
  readonly reusedBytes: number;
}

/** Options that every long operation takes. */
export interface OperationOptions {
  readonly signal?: AbortSignal;
  /** Called at most some tens of times a second. */
  readonly onProgress?: (progress: Progress) => void;
}

/** The source of a push that stands for its input. */
export const STDIN_SOURCE = "-";

/** What a push takes. */
export interface PushOptions extends OperationOptions {
  /**
   * The folder, single file or archive to publish; "-": the archive in `input`. A file is an archive by its name (.tar,
   * .tar.gz, .tgz, .tar.zst, .tzst, .zip), see docs/archives.md.
   */
  readonly source: string;
  /** The archive "-": a tar, as it is or with gzip or zstd, or a zip. The push closes it in any case. */
  readonly input?: Readable;
  /** Temporary space that an archive may take, in bytes; undefined: half of what is free. */
  readonly spoolBytes?: number;
  /** Tags to set, all to the same version; the first names the predecessor. */
  readonly tags: readonly TagReference[];
  /** undefined: the dataset's, else the predecessor's, else the default. */
  readonly chunking?: ChunkingParameters;
  /** Size of blocks in bytes. */
  readonly blockBytes?: number;
  /** zstd level, 0 for none. */
  readonly compressionLevel?: number;
  /** Globs against paths in the dataset; what matches is left out, folders with all below them. */
  readonly exclude?: readonly string[];
  readonly publisher: string;
  readonly message?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Reads and compares, writes nothing. */
  readonly dryRun?: boolean;
  /** Reads every file, whatever the stat cache says. */
  readonly rehash?: boolean;
  /** Leaves out what cannot be read or held, and lists it in the result. */
  readonly skipUnreadable?: boolean;
}

/** What a push did. A contract with users, but for `skipped` and `moved`. */
export interface PushResult {
  readonly digest: Digest;
  readonly files: number;
  /** Bytes of all files. */
  readonly bytes: number;
  readonly chunks: number;
  /** Chunks that the store did not have, and their bytes before compression. */
  readonly newChunks: number;
  readonly newBytes: number;
  /**
   * What the new chunks would take without deltas, each compressed on its own: of chunks that became deltas, estimated from
   * one of every run.
   */
  readonly plainBytes: number;
  /** Bytes handed to the store, manifest and plan included. */
  readonly sentBytes: number;
  /** Bytes by which the store grew, manifest and plan included. */
  readonly storedBytes: number;
  /** Of those, the manifest's and the plan's. */
  readonly manifestBytes: number;
  readonly seconds: number;
  /** Paths that skipUnreadable left out, with the reason. */
  readonly skipped: readonly { readonly path: string; readonly reason: string }[];
  /** Whether each tag moved (in the order given); one that pointed there already does not. */
  readonly moved: readonly boolean[];
}

/** What a pull takes. */
export interface PullOptions extends OperationOptions {
  readonly name: DatasetName;
  readonly version: Digest;
  /** The folder that becomes the version's tree. */
  readonly target: string;
  /** Globs; when given, only matching paths (and the folders above them) are pulled. */
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
  /** Removes what the version does not have. */
  readonly delete?: boolean;
  /** Re-reads every file afterwards and compares its SHA-256 with the entry's. */
  readonly verify?: boolean;
}

/** What a pull did. A contract with users. */
export interface PullResult {
  readonly digest: Digest;
  readonly files: number;
  readonly bytes: number;
  /** Bytes read from the store, manifest and plan included. */
  readonly fetchedBytes: number;
  /** Bytes of files that were there already, or built from what was. */
  readonly reusedBytes: number;
  readonly manifestBytes: number;
  readonly seconds: number;
}

/** Paths, each list in byte order; `updateBytes` is what a consumer of the first version fetches to have the second. */
export interface DiffResult {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly changed: readonly string[];
  readonly renamed: readonly { readonly from: string; readonly to: string }[];
  readonly updateBytes: number;
}

/** What was read and found sound. */
export interface VerifyResult {
  readonly digest: Digest;
  readonly files: number;
  readonly bytes: number;
  readonly chunks: number;
  readonly seconds: number;
}
