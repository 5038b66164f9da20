/** The sessions of a hub's producers. */
import { GiB } from "../../base/limits.ts";
import type { Digest } from "../../format/digest.ts";
import type { FrameInfo } from "../../format/block.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { TagReference } from "../contract.ts";
import type { IngestStart, Publication, Published, SessionOptions } from "./ingest.ts";

/** Frames or pages of one body at most, and what they decode to in bytes. docs/protocol.md §4 */
export const BODY_FRAMES_MAX = 16_384;
export const BODY_DECODED_BYTES_MAX = GiB;

/** Pages that a page's dictionary consists of at most: of whole ones. */
export const PAGE_BASES_MAX = 4;

/** What a producer knows a session by. */
export interface BegunSession {
  readonly id: string;
  /** How long the producer may be silent. */
  readonly ttlSeconds: number;
}

/** A frame as a producer sends it: nothing in it is known to be true. */
export interface ReceivedFrame {
  readonly codec: FrameInfo["codec"];
  /** Of the chunks that it holds, in order: digests of 32 bytes one after another, and lengths in bytes. */
  readonly digests: Uint8Array;
  readonly lengths: readonly number[];
  readonly stored: Uint8Array;
  /** Of a delta frame: what it was encoded against. */
  readonly base: ReceivedBase | undefined;
  /** Of a plain frame: what it may be encoded against, with those that come after it: so many `frames` in all. */
  readonly proposal?: { readonly base: ReceivedBase; readonly frames: number } | undefined;
}

/** `bytes` from `offset` of these chunks' concatenation. */
export interface ReceivedBase {
  readonly digests: Uint8Array;
  readonly offset: number;
  readonly bytes: number;
}

/** A page as a producer sends it, likewise. */
export interface ReceivedPage {
  readonly codec: FrameInfo["codec"];
  /** What it decodes to. */
  readonly pageBytes: number;
  /** Of a delta: the digests, of 32 bytes one after another, of the pages that its dictionary consists of: at most 4. */
  readonly bases: Uint8Array;
  readonly stored: Uint8Array;
}

/** What a producer publishes a version with: `base` is a version that the manifest object may be encoded against. */
export interface HubPublication extends Omit<Publication, "base"> {
  readonly base: Digest | undefined;
  /** Present, and not empty: the manifest object, against `base` at most, in place of root and pages. */
  readonly manifest?: Uint8Array | undefined;
}

/** A body of frames that is being taken. */
export interface Taking {
  /** Resolves when the frames' bytes are not needed any more; rejects with what was wrong with them. */
  readonly done: Promise<void>;
}

/**
 * A producer's session on a hub, which trusts nothing that it is given. Calls may overlap; they are answered one after
 * another. Frames and pages come in bodies, each kind numbered 0, 1, 2, …: one that was taken already is answered again
 * and not taken again.
 * Errors of every call: SESSION_LOST when the session has ended.
 */
export interface HubSession {
  /** As IngestSession.missing; tells only of the session's domain. */
  missing(digests: readonly Digest[], options: CallOptions): Promise<readonly boolean[]>;
  /** As IngestSession.canBase. */
  canBase(bases: readonly Digest[], decodedBytes: number, options: CallOptions): Promise<boolean>;
  /**
   * Takes frames: resolves in their turn, when those of the body before are packed. Each is then decoded, and each chunk
   * compared with its digest, before anything may refer to it. What is wrong with them is told by `Taking`, and by every
   * later body and publish: the session can only be given up then. Errors: OBJECT_CORRUPT when a frame does not decode or
   * has other chunks; OBJECT_INVALID when it breaks docs/format.md §5.1; OBJECT_MISSING when a base is not there;
   * ARGUMENT_INVALID when a number was left out; LIMIT_EXCEEDED; those of the store.
   */
  putFrames(sequence: number, frames: readonly ReceivedFrame[], options: CallOptions): Promise<Taking>;
  /**
   * Takes pages, children before parents; those that the domain has need not be put. Errors: OBJECT_INVALID, MANIFEST_UNSAFE
   * when one is malformed; OBJECT_CORRUPT when it does not decode; OBJECT_MISSING when a child or a base is not there;
   * ARGUMENT_INVALID when a number was left out; LIMIT_EXCEEDED; those of the store.
   */
  putPages(sequence: number, pages: readonly ReceivedPage[], options: CallOptions): Promise<void>;
  /**
   * As IngestSession.publish, after everything was checked that the root names. Asked again with the same root it gives
   * the same answer, for as long as the session would have lived. Errors: OBJECT_MISSING, OBJECT_INVALID, MANIFEST_UNSAFE,
   * TAG_IMMUTABLE, TAG_CONFLICT, ACCESS_DENIED when a tag lies in another domain than the session; those of the store.
   */
  publish(publication: HubPublication, options: CallOptions): Promise<Published>;
  /** As IngestSession.abort. */
  abort(): Promise<void>;
}

/** Sessions by their ids: each ends by publish, abort, or when nothing is heard of it. */
export interface IngestSessions {
  /** As Ingest.prepare. */
  prepare(tags: readonly TagReference[], options: CallOptions): Promise<IngestStart>;
  /** As Ingest.begin; waits while too many are under way. Errors: LIMIT_EXCEEDED when too many wait. */
  begin(session: SessionOptions, options: CallOptions): Promise<BegunSession>;
  /** The session, which lives on from now. Errors: SESSION_LOST. */
  use(id: string): HubSession;
  /** Ends all of them. */
  close(): Promise<void>;
}
