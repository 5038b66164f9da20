/** A tree of any size whose bytes are the same at every run: a part is noise, the rest compresses; and its later edition. */
import { mkdir, open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import { KiB, MiB } from "../src/base/limits.ts";
import { SeededNoise } from "./seeded.ts";

/** A file of the tree: `path` is below the tree's folder. */
export interface SyntheticFile {
  readonly path: string;
  readonly size: number;
  readonly kind: Kind;
}

/** What was written over. */
export interface Changes {
  readonly changedBytes: number;
  /** The new bytes of each place by themselves, at zstd's level 3. */
  readonly changedZstdBytes: number;
}

/** Noise does not compress, hexadecimal digits compress 2:1, records about 3:1. */
type Kind = "noise" | "digits" | "records";

/** How many files of which size, over and over: about 97 MiB. */
const GROUP: readonly (readonly [count: number, bytes: number])[] = [
  [1, 64 * MiB],
  [1, 16 * MiB],
  [1, 4 * MiB],
  [8, MiB],
  [64, 64 * KiB],
  [256, 4 * KiB],
];
const KINDS: readonly Kind[] = ["digits", "noise", "digits", "records"];
const PIECE_BYTES = MiB;
const WORDS = 256;
const WORD_BYTES = 8;

/** Writes a tree of exactly so many bytes into a new folder; its files, in the order of their bytes. */
export async function makeTree(folder: string, bytes: number): Promise<SyntheticFile[]> {
  const files = planFiles(bytes);
  const source = new Contents("contents");
  for (const { path, size, kind } of files) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    const file = await open(join(folder, path), "wx");
    try {
      for (let at = 0; at < size; at += PIECE_BYTES) {
        await file.write(source.next(kind, Math.min(PIECE_BYTES, size - at)));
      }
    } finally {
      await file.close();
    }
  }
  return files;
}

/**
 * Writes new bytes of the same kind over `bytes` of the tree, in so many places of the same length, spread over all of it. A
 * place that reaches past a file's end goes on in the next file.
 */
export async function changeTree(
  folder: string,
  files: readonly SyntheticFile[],
  { bytes, places }: { readonly bytes: number; readonly places: number },
): Promise<Changes> {
  const totalBytes = files.reduce((sum, file) => sum + file.size, 0);
  const spanBytes = Math.floor(bytes / places);
  const noise = new SeededNoise("places");
  const source = new Contents("changes");
  let changedBytes = 0;
  let changedZstdBytes = 0;
  for (let place = 0; place < places; place++) {
    const first = Math.floor((place * totalBytes) / places);
    const room = Math.floor(((place + 1) * totalBytes) / places) - first;
    const start = first + noise.below(Math.max(1, room - spanBytes));
    for (const { file, from, to } of within(files, start, start + spanBytes)) {
      const fresh = source.next(file.kind, to - from);
      await overwrite(join(folder, file.path), fresh, from);
      changedBytes += fresh.byteLength;
      changedZstdBytes += zstdCompressSync(fresh).byteLength;
    }
  }
  return { changedBytes, changedZstdBytes };
}

function planFiles(bytes: number): SyntheticFile[] {
  const files: SyntheticFile[] = [];
  let leftBytes = bytes;
  for (let group = 0; leftBytes > 0; group++) {
    const sizes = GROUP.flatMap(([count, size]) => Array<number>(count).fill(size));
    for (const [index, size] of sizes.entries()) {
      if (leftBytes === 0) break;
      const kind = KINDS[(group + index) % KINDS.length] ?? "noise";
      const path = `group-${String(group).padStart(4, "0")}/file-${String(index).padStart(3, "0")}`;
      files.push({ path, size: Math.min(size, leftBytes), kind });
      leftBytes -= Math.min(size, leftBytes);
    }
  }
  return files;
}

/** The parts of files that hold bytes `start` (inclusive) to `end` (exclusive) of all files together. */
function* within(
  files: readonly SyntheticFile[],
  start: number,
  end: number,
): Generator<{ readonly file: SyntheticFile; readonly from: number; readonly to: number }> {
  let fileStart = 0;
  for (const file of files) {
    const from = Math.max(start - fileStart, 0);
    const to = Math.min(end - fileStart, file.size);
    if (from < to) yield { file, from, to };
    fileStart += file.size;
    if (fileStart >= end) return;
  }
}

async function overwrite(path: string, bytes: Uint8Array, position: number): Promise<void> {
  const file = await open(path, "r+");
  try {
    await file.write(bytes, 0, bytes.byteLength, position);
  } finally {
    await file.close();
  }
}

/** Makes bytes of each kind. */
class Contents {
  readonly #noise: SeededNoise;
  readonly #words: Buffer;

  constructor(seed: string) {
    this.#noise = new SeededNoise(seed);
    const digits = new SeededNoise("words").bytes(WORDS * (WORD_BYTES / 2)).toString("hex");
    this.#words = Buffer.from(digits, "latin1");
  }

  next(kind: Kind, bytes: number): Uint8Array {
    if (kind === "noise") return this.#noise.bytes(bytes);
    if (kind === "digits") {
      return Buffer.from(this.#noise.bytes(Math.ceil(bytes / 2)).toString("hex"), "latin1").subarray(
        0,
        bytes,
      );
    }
    return this.#records(bytes);
  }

  /** Words of a fixed list, one for each byte of noise. */
  #records(bytes: number): Uint8Array {
    const chosen = this.#noise.bytes(Math.ceil(bytes / WORD_BYTES));
    const words = new Uint32Array(this.#words.buffer, this.#words.byteOffset, (WORDS * WORD_BYTES) / 4);
    const output = new Uint32Array(chosen.byteLength * 2);
    for (let index = 0; index < chosen.byteLength; index++) {
      const word = (chosen[index] ?? 0) * 2;
      output[index * 2] = words[word] ?? 0;
      output[index * 2 + 1] = words[word + 1] ?? 0;
    }
    return new Uint8Array(output.buffer, 0, bytes);
  }
}
