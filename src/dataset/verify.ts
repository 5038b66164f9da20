import { createHash, type Hash } from "node:crypto";
import { AetherError } from "../base/errors.ts";
import { MiB } from "../base/limits.ts";
import type { Digest } from "../format/digest.ts";
import type { Entry, FileEntry } from "../format/entry.ts";
import type { OperationOptions, VerifyResult } from "./contract.ts";
import type { ReadEngine } from "./engine.ts";
import { ChunkReader } from "./version/chunk-reader.ts";
import { entries } from "./version/entries.ts";
import { openVersion, type Version } from "./version/version.ts";

const PROGRESS_INTERVAL_MS = 50;
/** Hashed at a stretch, about 1 ms: the event loop serves others between. */
const TURN_BYTES = MiB;

/**
 * Reads a whole version through the store: its manifest, every page and plan, every chunk; each digest is checked, the
 * SHA-256 of each file too. Chunks are decoded and verified in threads, files hashed as units come in, in order.
 * Errors: VERSION_NOT_FOUND, OBJECT_MISSING, OBJECT_CORRUPT, OBJECT_INVALID, MANIFEST_UNSAFE, FORMAT_UNSUPPORTED,
 * STORE_UNAVAILABLE.
 */
export async function verifyVersion(
  engine: ReadEngine,
  digest: Digest,
  options: OperationOptions = {},
): Promise<VerifyResult> {
  const startMs = engine.clock.elapsedMs();
  const { signal, onProgress } = options;
  const version = await openVersion(engine, digest, { signal });
  const { root } = version;
  const files = new FileHasher(version);
  let bytes = 0;
  let reportedMs = -Infinity;
  for await (const piece of new ChunkReader(engine, version).readRange(0, root.bytes)) {
    await files.update(piece);
    bytes += piece.byteLength;
    const nowMs = engine.clock.elapsedMs();
    if (nowMs - reportedMs < PROGRESS_INTERVAL_MS) continue;
    reportedMs = nowMs;
    onProgress?.({
      phase: "verify",
      files: files.count("file"),
      bytes,
      totalBytes: root.bytes,
      reusedBytes: 0,
    });
  }
  await files.finish();
  const chunks = root.chunks?.items ?? 0;
  return { digest, files: root.files, bytes, chunks, seconds: (engine.clock.elapsedMs() - startMs) / 1000 };
}

/** Holds the stream to the digests of the files that it is made of. */
class FileHasher {
  readonly #version: Version;
  readonly #entries: AsyncGenerator<Entry>;
  readonly #counts = { file: 0, directory: 0, symlink: 0 };
  #file: FileEntry | undefined;
  #hash: Hash | undefined;
  #missingBytes = 0;
  #turnBytes = 0;

  constructor(version: Version) {
    this.#version = version;
    this.#entries = single(version);
  }

  /** Entries that the stream has passed. */
  count(kind: Entry["kind"]): number {
    return this.#counts[kind];
  }

  /** Takes the next bytes of the stream. */
  async update(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.byteLength;) {
      if (this.#missingBytes === 0) await this.#nextFile();
      if (this.#file === undefined) throw invalid("its stream is longer than its files");
      const part = bytes.subarray(at, at + Math.min(this.#missingBytes, TURN_BYTES));
      this.#hash?.update(part);
      at += part.byteLength;
      this.#missingBytes -= part.byteLength;
      this.#turnBytes += part.byteLength;
      if (this.#turnBytes >= TURN_BYTES) {
        this.#turnBytes = 0;
        await new Promise(setImmediate);
      }
      if (this.#missingBytes === 0) this.#checkFile(this.#file);
    }
  }

  /** Says that the stream has ended. */
  async finish(): Promise<void> {
    if (this.#missingBytes === 0) await this.#nextFile();
    if (this.#missingBytes > 0) throw invalid("its stream is shorter than its files");
    const { files, directories, symlinks } = this.#version.root;
    const { file, directory, symlink } = this.#counts;
    if (file !== files || directory !== directories || symlink !== symlinks) {
      throw invalid("its totals are not those of its entries");
    }
  }

  /** Goes on to the next file that has bytes; empty ones are checked on the way. */
  async #nextFile(): Promise<void> {
    this.#file = undefined;
    for (;;) {
      const next = await this.#entries.next();
      if (next.done === true) return;
      this.#counts[next.value.kind]++;
      if (next.value.kind !== "file") continue;
      this.#hash = createHash("sha256");
      if (next.value.size === 0) this.#checkFile(next.value);
      else {
        this.#file = next.value;
        this.#missingBytes = next.value.size;
        return;
      }
    }
  }

  #checkFile({ path, digest }: FileEntry): void {
    if (this.#hash?.digest("hex") === digest) return;
    throw new AetherError(
      "OBJECT_CORRUPT",
      `the bytes of ${JSON.stringify(path)} do not match the digest of its entry`,
      {
        data: { path },
      },
    );
  }
}

async function* single(version: Version): AsyncGenerator<Entry> {
  for await (const batch of entries(version)) for (const { entry } of batch) yield entry;
}

function invalid(why: string): AetherError {
  return new AetherError("OBJECT_INVALID", `the version contradicts itself: ${why}`);
}
