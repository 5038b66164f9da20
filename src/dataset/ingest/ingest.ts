/** The one way into a store: where leases, verification, packing and publishing live. ARCHITECTURE.md "Seams" */
import type { Digest } from "../../format/digest.ts";
import type { FrameBase, FrameInfo } from "../../format/block.ts";
import type { ManifestBase } from "../../format/manifest.ts";
import type { EncodedPage } from "../../format/page.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { TagReference } from "../contract.ts";

/** A frame on its way in: what its index entry will say, and its bytes. */
export interface IngestFrame {
  readonly codec: FrameInfo["codec"];
  /** The chunks it holds, in order. */
  readonly chunks: readonly { readonly digest: Digest; readonly length: number }[];
  readonly stored: Uint8Array;
  /** Of a delta frame: what it was encoded against; all of it must be in the domain already. */
  readonly base: FrameBase | undefined;
}

/** What a version is published with. */
export interface Publication {
  /** The root's canonical bytes. */
  readonly root: Uint8Array;
  /** Pages that lie in the manifest object; the others were put before. */
  readonly inlinePages: readonly Uint8Array[];
  /** What the manifest object may be encoded against. */
  readonly base: ManifestBase | undefined;
  readonly tags: readonly TagReference[];
  readonly publisher: string;
  readonly message: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** What a session wrote, in bytes. */
export interface IngestTotals {
  /** All that went to the store. */
  readonly storedBytes: number;
  /** Of those, manifest object, pages and plans. */
  readonly manifestBytes: number;
}

/** What came of a publish. */
export interface Published {
  readonly version: Digest;
  /** Whether each tag moved, in order. */
  readonly moved: readonly boolean[];
  readonly totals: IngestTotals;
}

/** One producer's session. Calls come one after another; put may return before its frames are stored. */
export interface IngestSession {
  /**
   * Which of the chunks the domain lacks, in order. The session counts on getting those: asked again, a chunk that was
   * missing is not missing any more.
   */
  missing(digests: readonly Digest[], options?: CallOptions): Promise<readonly boolean[]>;
  /**
   * Whether a delta on these base chunks would stay within the limits of depth and decoding (docs/format.md §5.1), given
   * the bytes that it decodes to.
   */
  canBase(bases: readonly Digest[], decodedBytes: number, options?: CallOptions): Promise<boolean>;
  /**
   * Takes frames in the order in which they are to lie. Waits while too much is on its way to the store. The frames'
   * bytes are the caller's again when it resolves.
   */
  put(frames: readonly IngestFrame[], options?: CallOptions): Promise<void>;
  /** Takes a page of the version that does not lie in its manifest object, children before parents. */
  putPage(page: EncodedPage, options?: CallOptions): Promise<void>;
  /**
   * Makes everything durable, checks that every block it builds on is there, and moves the tags.
   * Errors: OBJECT_MISSING when a block was pruned meanwhile (a new session then sends what is missing), TAG_IMMUTABLE.
   */
  publish(publication: Publication, options?: CallOptions): Promise<Published>;
  /** Gives up: what was stored stays for the next session to find, nothing refers to it. */
  abort(): Promise<void>;
}
