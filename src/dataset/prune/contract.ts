/** What a prune is asked, and what it says. */
import type { CallOptions } from "../../store/block-store.ts";
import type { LeaseWatch } from "./lease-watch.ts";

/** How to prune. */
export interface PruneOptions extends CallOptions {
  /** What nothing needs stays for so long, by the store's own clock, in milliseconds: who reads it may finish, or bring it back. */
  readonly graceMs: number;
  /** Looks, and changes nothing. */
  readonly dryRun?: boolean | undefined;
  /** A block of which less than this share (0 to 1) is needed is repacked; 0: none. */
  readonly repackBelow: number;
  /** Bytes of blocks that one run repacks at most. */
  readonly repackBytesMax?: number | undefined;
  /** Bytes that repacking reads and writes in a second at most. */
  readonly bytesPerSecond?: number | undefined;
  /** How long to wait for pushes that are under way, or died, in milliseconds. */
  readonly waitMs?: number | undefined;
  /** Leases as this process saw them before: who prunes often keeps one. */
  readonly watch: LeaseWatch;
  readonly onProgress?: ((progress: PruneProgress) => void) | undefined;
}

/** How far a prune is. */
export interface PruneProgress {
  readonly phase: "mark" | "wait" | "sweep" | "list" | "repack";
  /** Versions, objects or blocks that were dealt with in this phase. */
  readonly done: number;
}

/** Objects, and the bytes of the blocks among them. */
export interface PruneCount {
  readonly blocks: number;
  readonly blockBytes: number;
  /** Manifests, plans and records. */
  readonly others: number;
}

/** A push that keeps what is condemned from being removed. */
export interface PruneHolder {
  readonly holder: string;
  /** RFC 3339, by its own clock. */
  readonly since: string;
}

/** What a prune did. */
export interface PruneResult {
  /** Versions that stay, and what is theirs. */
  readonly versions: number;
  /** Of those, earlier versions of tags of which something is missing: they were pruned before, or the store is damaged. */
  readonly incomplete: number;
  /** Tags that were removed since their time was over. */
  readonly expiredTags: number;
  /** Deleted datasets whose names are free now. */
  readonly removedDatasets: number;
  readonly kept: PruneCount;
  /** Bytes of the blocks that stay which nothing needs. */
  readonly unusedBytes: number;
  /** Was condemned before, and is gone. */
  readonly removed: PruneCount;
  /** Is condemned now: a prune after the grace time removes it. Of a dry run: would be. */
  readonly condemned: PruneCount;
  /** Blocks whose needed frames were packed anew, and bytes of the new blocks. */
  readonly repacked: { readonly blocks: number; readonly blockBytes: number; readonly newBytes: number };
  /** How long until what is condemned may be removed, in milliseconds; undefined when nothing is. */
  readonly ripeInMs: number | undefined;
  /** Pushes that were waited for in vain. */
  readonly holders: readonly PruneHolder[];
  readonly seconds: number;
}
