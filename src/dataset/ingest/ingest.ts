/** The one way into a store: where leases, verification, packing and publishing live. ARCHITECTURE.md "Seams" */
import type { Digest } from "../../format/digest.ts";
import type { FrameBase, FrameInfo } from "../../format/block.ts";
import type { ChunkingParameters } from "../../format/chunking.ts";
import type { ManifestBase } from "../../format/manifest.ts";
import type { ChunkItem, EncodedPage } from "../../format/page.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { TagReference } from "../contract.ts";
import type { SeenTag } from "../tag-head.ts";
import type { Sketch } from "../workers/sketch.ts";

/** A chunk, and what it is like where that is known: later ones find it by that. */
export interface SketchedChunk extends ChunkItem {
  readonly sketch?: Sketch | undefined;
}

/** A frame on its way in: what its index entry will say, and its bytes. */
export interface IngestFrame {
  readonly codec: FrameInfo["codec"];
  /** The chunks it holds, in order. */
  readonly chunks: readonly SketchedChunk[];
  readonly stored: Uint8Array;
  /** Of a delta frame: what it was encoded against; all of it must be in the domain already. */
  readonly base: FrameBase | undefined;
  /** Of a plain frame, where the session makes deltas itself. */
  readonly proposal?: DeltaProposal | undefined;
  /** Whether it holds a page in place of chunks. */
  readonly isPage?: boolean;
}

/** What plain frames may be stored as instead: a wish, which is left out where it does not serve. */
export interface DeltaProposal {
  /** What the delta would be encoded against. */
  readonly base: FrameBase;
  /** The run that it would hold: so many frames, of which the first bears the proposal. */
  readonly frames: number;
}

/** What a producer knows of a page. */
export interface PageForm {
  /** The reference has it, or the session said that it is not missing. */
  readonly isHeld?: boolean;
  /** The frame to store when it is missing; none: the session makes one. */
  readonly frame?: IngestFrame | undefined;
}

/** Names one push, however often it has to begin anew: its changes of tags are made once. */
export interface PushAttempt {
  /** 32 hex digits. */
  readonly writeId: string;
  /** IngestStart.heads as they were when the push began. */
  readonly heads: readonly number[];
}

/** A tag that a publish moves. */
export interface TagGoal extends TagReference {
  /** Where it must point (null: at nothing) to be moved; undefined: anywhere. */
  readonly expected?: Digest | null | undefined;
}

/** What a version is published with. */
export interface Publication {
  /** The root's canonical bytes. */
  readonly root: Uint8Array;
  /** Pages that lie in the manifest object; the others were put before. */
  readonly inlinePages: readonly Uint8Array[];
  /** What the manifest object may be encoded against. */
  readonly base: ManifestBase | undefined;
  readonly tags: readonly TagGoal[];
  readonly publisher: string;
  readonly message: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Undefined: nobody publishes this again whose answer was lost. */
  readonly attempt?: PushAttempt | undefined;
}

/** What a session did, in bytes. */
export interface IngestTotals {
  /** What the producer handed over: to a store of its own, all that was written; to a hub, all that went over the wire. */
  readonly sentBytes: number;
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

/** What a store showed of a push's tags. */
export interface SeenTags {
  /** In which all of them lie. */
  readonly domain: string;
  /** In the tags' order. */
  readonly tags: readonly (TagReference & { readonly seen: SeenTag })[];
}

/** What a push starts from. */
export interface IngestStart {
  /** The store's id: names what is remembered about it. */
  readonly storeId: string;
  /** The dataset's wish, if it has one. */
  readonly chunking: ChunkingParameters | undefined;
  /** Versions to build on, the best first; any of them may be unreadable. */
  readonly predecessors: readonly Digest[];
  /** The number of an entry of each tag's history, nearly always the newest, in the tags' order: 0 where there is none. Empty: nobody says. */
  readonly heads: readonly number[];
  /** For a session that this process begins next. */
  readonly seen?: SeenTags | undefined;
}

/** What a session is for. */
export interface SessionOptions {
  /** Tags that will be set; they name the datasets, which all lie in one domain. */
  readonly tags: readonly TagReference[];
  readonly publisher: string;
  /** The largest block in bytes; where it packs, the session may make smaller ones. */
  readonly blockBytes?: number | undefined;
  /** Writes nothing, but counts what it would write. */
  readonly dryRun?: boolean | undefined;
  /** The version whose chunks the producer reuses without asking for each. */
  readonly reference?: Digest | undefined;
  /** As prepare() gave it for the same tags: spares reading it again. */
  readonly seen?: SeenTags | undefined;
}

/** The way into a store: this process's own, or a hub's. */
export interface Ingest {
  /** The folder of this machine that holds the store; undefined when none does. */
  readonly folder: string | undefined;
  /** Errors: FEATURE_UNSUPPORTED when the tags lie in several domains; those of the store. */
  prepare(tags: readonly TagReference[], options?: CallOptions): Promise<IngestStart>;
  /** Begins a session, which claims what it builds on. It ends with publish() or abort(). Errors: those of the store. */
  begin(session: SessionOptions, options?: CallOptions): Promise<IngestSession>;
}

/** A chunk that another resembles. */
export interface SimilarChunk extends ChunkItem {
  /** Mostly the same, not just in part. */
  readonly isStrong: boolean;
}

/** Chunks that are at hand, as bases for deltas. */
export interface DeltaBases {
  /** For each sketch the chunks that have something of it, those that have most first: few, often none. */
  similar(sketches: readonly Sketch[]): readonly (readonly SimilarChunk[])[];
  /**
   * The dictionary that `base` names, verified; undefined: it is not at hand. Errors of what should be: OBJECT_MISSING,
   * OBJECT_CORRUPT, OBJECT_INVALID; those of the store.
   */
  read(base: FrameBase, options?: CallOptions): Promise<Uint8Array | undefined>;
}

/** One producer's session. Calls come one after another; put may return before its frames are stored. */
export interface IngestSession {
  /** What the producer makes deltas on; undefined: nothing is at hand. */
  readonly bases: DeltaBases | undefined;
  /**
   * Whether the session makes deltas itself, of plain frames with proposals: where the producer would have to fetch the bases'
   * bytes first, plain frames are less to send.
   */
  readonly takesProposals: boolean;
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
  putPage(page: EncodedPage, form?: PageForm, options?: CallOptions): Promise<void>;
  /**
   * Makes everything durable, checks that every block it builds on is there, and moves the tags.
   * Errors: OBJECT_MISSING when a block was pruned meanwhile (a new session then sends what is missing), TAG_IMMUTABLE,
   * TAG_CONFLICT when a tag is not where it is expected.
   */
  publish(publication: Publication, options?: CallOptions): Promise<Published>;
  /** Gives up: what was stored stays for the next session to find, nothing refers to it. */
  abort(): Promise<void>;
}
