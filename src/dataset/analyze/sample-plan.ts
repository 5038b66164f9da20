/** Which parts of large data are measured: the same ones of every version, whoever asks. */
import { GiB, MiB } from "../../base/limits.ts";
import { pathHash } from "../../format/tree.ts";

/** What is measured of a version unless the caller says otherwise. */
const SAMPLE_BYTES_DEFAULT = 2 * GiB;
/** Chunks are kept in mind by digest: bytes of content to each byte of memory at most. */
const SAMPLE_MEMORY_FACTOR = 8;
/** All versions lie in temporary files at once: what two may take is shared by more. */
const FULL_VERSIONS = 2;
/** Large files are taken in parts of this. */
const PART_BYTES = 32 * MiB;
/** Between a path and a part's number: sorts before whatever may follow the path in another. */
const PART_MARK = "\u0001";
const PART_PATTERN = /\u0001\d{6}$/;

/** A part of a file, under a path of its own. */
export interface FilePart {
  readonly path: string;
  readonly offset: number;
  readonly bytes: number;
}

/** Bytes of each of `versions` versions to be measured. */
export function sampleLimit(wanted: number | undefined, memoryBytes: number, versions: number): number {
  const limit = Math.min(wanted ?? SAMPLE_BYTES_DEFAULT, memoryBytes * SAMPLE_MEMORY_FACTOR);
  return Math.floor(limit / Math.max(1, versions / FULL_VERSIONS));
}

/** Chooses parts of files by their paths alone, so that a file is looked at in each version or in none. */
export class SamplePlan {
  /** Of all parts, how many are taken: 1 is all. */
  readonly share: number;

  /** `totalBytes` is the largest version's. */
  constructor(totalBytes: number, limitBytes: number) {
    this.share = totalBytes <= limitBytes ? 1 : limitBytes / totalBytes;
  }

  /** The parts of a file that are measured, in order. */
  *parts(path: string, size: number): Generator<FilePart> {
    if (this.share === 1) {
      yield { path, offset: 0, bytes: size };
      return;
    }
    for (let number = 0, offset = 0; offset < size; number++, offset += PART_BYTES) {
      if (pathHash(`${path}\0${number}`) >= this.share * 2 ** 32) continue;
      const bytes = Math.min(PART_BYTES, size - offset);
      const name = size <= PART_BYTES ? path : `${path}${PART_MARK}${String(number).padStart(6, "0")}`;
      yield { path: name, offset, bytes };
    }
  }
}

/** The file that a part is of. */
export function fileOfPart(path: string): string {
  return path.replace(PART_PATTERN, "");
}
