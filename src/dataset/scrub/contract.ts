/** What checking a whole store takes and gives. The result's names are a contract with users. */
import type { ErrorCode } from "../../base/errors.ts";
import type { Digest } from "../../format/digest.ts";
import type { DatasetName, Tag } from "../../format/reference.ts";
import type { DamagedObject } from "../../store/keys.ts";
import type { OperationOptions } from "../contract.ts";

/** Options of verifyStore. */
export interface VerifyStoreOptions extends OperationOptions {
  /** Reads manifests, plans and the blocks' own indexes alone: what is there, not what it holds. */
  readonly structureOnly?: boolean | undefined;
  /** Bytes a second that are read at most, about. */
  readonly rateBytes?: number | undefined;
  /** Called for each fault when it is found. */
  readonly onFault?: ((fault: StoreFault) => void | Promise<void>) | undefined;
}

/** Something of a store that is missing, damaged or contradicts itself. */
export interface StoreFault {
  /** The object; of a record its key's kind, with `where`. */
  readonly object: DamagedObject | { readonly kind: "records" };
  /** The frame's first byte in a block, the tag of a record, and so on. */
  readonly where: string;
  readonly code: ErrorCode;
  readonly message: string;
  /** Whether the object's own bytes are not what they were: it is of no use, and out of the way it can be stored anew. */
  readonly isDamaged: boolean;
}

/** An entry of a tag's history. */
export interface HistoryPlace {
  readonly dataset: DatasetName;
  readonly tag: Tag;
  readonly number: number;
  /** Whether the tag points there now. */
  readonly isCurrent: boolean;
}

/** A version of which something cannot be read. */
export interface LostVersion {
  readonly version: Digest;
  /** Where it stands in histories: the first of them, up to a limit. */
  readonly places: readonly HistoryPlace[];
  readonly code: ErrorCode;
  readonly message: string;
  /** Paths that cannot be read, up to a limit; null: nobody can tell, the list of paths itself is damaged. */
  readonly paths: readonly string[] | null;
  /** How many they are, as far as is known. */
  readonly pathCount: number;
}

/** What was checked, and what is wrong with it. */
export interface VerifyStoreResult {
  readonly datasets: number;
  readonly tags: number;
  /** Entries of histories that name a version, and different versions. */
  readonly entries: number;
  readonly versions: number;
  readonly plans: number;
  readonly blocks: number;
  /** Bytes of blocks that were read and compared. */
  readonly bytes: number;
  readonly faults: readonly StoreFault[];
  /** Faults in all: of very many only the first are told. */
  readonly faultCount: number;
  readonly lost: readonly LostVersion[];
  readonly lostCount: number;
  readonly seconds: number;
}
