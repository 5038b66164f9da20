/** Small objects on this machine's disk, a file each, that stand in for a store which is away. */
import fs from "node:fs";
import path from "node:path";
import type { Clock } from "../../base/clock.ts";
import { concatBytes } from "../../base/bytes.ts";
import { errnoOf } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import { DIGEST_BYTES, digestBytes, digestFromBytes, digestOf, type Digest } from "../../format/digest.ts";

/** What is kept: for each kind an object of a digest, which need not be the object's own. */
export type KeptKind = "manifest" | "page" | "plan" | "tag";

/** The share of the whole that one object may take. */
const OBJECT_SHARE = 1 / 8;
/** A file that a process which died left half written. */
const LEFT_MS = 3_600_000;
/** After a write failed, no other is tried for so long. */
const PAUSE_MS = 60_000;
const NAME = /^(?:manifest|page|plan|tag)-[0-9a-f]{64}$/;
const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;

/** Where, how much, and what it takes. */
export interface KeptObjectsOptions {
  /** Made when it is not there; nothing else may lie in it. */
  readonly folder: string;
  /** Bytes of all objects together. */
  readonly bytesMax: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** What is known of an object of the folder. */
interface Known {
  readonly bytes: number;
  /** This process used it: its file says when. */
  isUsed: boolean;
}

/**
 * A cache of small objects, each with the SHA-256 of its bytes before them: what is damaged is not there. What was used longest ago
 * goes first. Synchronous, a few kilobytes at a time. Nothing here fails a reader: a folder that cannot be used has nothing.
 */
export class KeptObjects {
  readonly #options: KeptObjectsOptions;
  /** By name, the one used last at the end. */
  readonly #known = new Map<string, Known>();
  #bytes = 0;
  #pausedUntilMs = -Infinity;

  /** Looks what the folder has. */
  constructor(options: KeptObjectsOptions) {
    this.#options = options;
    try {
      this.#look();
    } catch (error) {
      this.#pause(error);
    }
  }

  /** The object's bytes; undefined: it is not there. */
  find(kind: KeptKind, digest: Digest): Uint8Array | undefined {
    const name = `${kind}-${digest}`;
    const known = this.#known.get(name);
    if (known === undefined) return undefined;
    try {
      const bytes = this.#read(name, known);
      this.#known.delete(name);
      this.#known.set(name, known);
      if (bytes === undefined) this.#remove(name);
      return bytes;
    } catch (error) {
      if (errnoOf(error) === "ENOENT") this.#forget(name);
      else this.#pause(error);
      return undefined;
    }
  }

  /** Keeps an object, in place of the one before, if that goes. */
  keep(kind: KeptKind, digest: Digest, bytes: Uint8Array): void {
    const { folder, bytesMax, clock, random } = this.#options;
    const fileBytes = DIGEST_BYTES + bytes.byteLength;
    if (fileBytes > bytesMax * OBJECT_SHARE || clock.elapsedMs() < this.#pausedUntilMs) return;
    const name = `${kind}-${digest}`;
    const temporary = path.join(folder, `${random.id()}.tmp`);
    try {
      const whole = concatBytes([digestBytes(digestOf(bytes)), bytes]);
      fs.writeFileSync(temporary, whole, { flag: "wx", mode: 0o600 });
      fs.renameSync(temporary, this.#fileOf(name));
      this.#forget(name);
      this.#known.set(name, { bytes: fileBytes, isUsed: true });
      this.#bytes += fileBytes;
      this.#makeRoom();
    } catch (error) {
      this.#pause(error);
      this.#removeTemporary(temporary);
    }
  }

  #removeTemporary(file: string): void {
    try {
      fs.rmSync(file, { force: true });
    } catch {
      // The next process that opens the folder tries again.
    }
  }

  /** Undefined: it is damaged. */
  #read(name: string, known: Known): Uint8Array | undefined {
    // A pipe would be waited for.
    const fd = fs.openSync(this.#fileOf(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
      const stat = fs.fstatSync(fd);
      if (!stat.isFile() || stat.size > this.#options.bytesMax * OBJECT_SHARE) return undefined;
      const whole = fs.readFileSync(fd);
      const bytes = whole.subarray(DIGEST_BYTES);
      if (whole.byteLength < DIGEST_BYTES || digestFromBytes(whole) !== digestOf(bytes)) return undefined;
      if (!known.isUsed) this.#touch(fd, stat);
      known.isUsed = true;
      return bytes;
    } finally {
      fs.closeSync(fd);
    }
  }

  /** The next process sees when it was used. */
  #touch(fd: number, { mtime }: fs.Stats): void {
    try {
      fs.futimesSync(fd, new Date(this.#options.clock.nowMs()), mtime);
    } catch {
      // Of a folder that is only to be read, nothing makes way.
    }
  }

  #remove(name: string): void {
    this.#forget(name);
    fs.rmSync(this.#fileOf(name), { force: true });
  }

  #look(): void {
    const { folder, clock } = this.#options;
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
    const found: { readonly name: string; readonly bytes: number; readonly usedMs: number }[] = [];
    for (const name of fs.readdirSync(folder)) {
      const stat = fs.lstatSync(this.#fileOf(name), { throwIfNoEntry: false });
      if (stat?.isFile() !== true) continue;
      const usedMs = Math.max(stat.atimeMs, stat.mtimeMs);
      if (NAME.test(name)) found.push({ name, bytes: stat.size, usedMs });
      else if (clock.nowMs() - stat.mtimeMs > LEFT_MS) fs.rmSync(this.#fileOf(name), { force: true });
    }
    for (const { name, bytes } of found.toSorted((one, other) => one.usedMs - other.usedMs)) {
      this.#known.set(name, { bytes, isUsed: false });
      this.#bytes += bytes;
    }
    this.#makeRoom();
  }

  #makeRoom(): void {
    for (const name of this.#known.keys()) {
      if (this.#bytes <= this.#options.bytesMax) return;
      this.#remove(name);
    }
  }

  #forget(name: string): void {
    this.#bytes -= this.#known.get(name)?.bytes ?? 0;
    this.#known.delete(name);
  }

  #fileOf(name: string): string {
    return path.join(this.#options.folder, name);
  }

  #pause(error: unknown): void {
    const { log, folder, clock } = this.#options;
    if (errnoOf(error) === undefined) throw error;
    if (clock.elapsedMs() < this.#pausedUntilMs) return;
    this.#pausedUntilMs = clock.elapsedMs() + PAUSE_MS;
    log.warn({ folder, err: error }, "what --offline would need cannot be kept, or read");
  }
}
