import type { Readable } from "node:stream";
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type GetObjectCommandOutput,
  type ListObjectsV2CommandOutput,
  type S3Client,
} from "@aws-sdk/client-s3";
import { totalBytes } from "../../../base/bytes.ts";
import { checkRange, type ByteRange } from "../../../base/byte-range.ts";
import type { Clock } from "../../../base/clock.ts";
import { AetherError } from "../../../base/errors.ts";
import { KiB } from "../../../base/limits.ts";
import type { Digest } from "../../../format/digest.ts";
import type { ReadOptions } from "../../object-store.ts";
import { Gate } from "../../layers/gate.ts";
import { bodyOf, readInto, readUpTo } from "./bodies.ts";
import { withDeadline } from "./deadline.ts";
import { Hedge } from "./hedge.ts";
import type { S3Address } from "./s3-address.ts";
import { isAbsent, s3Error } from "./s3-errors.ts";

/** The slowest way on which bytes count as coming, per second. */
const SLOWEST_BYTES = 128 * KiB;
const HEDGES = { share: 0.05, savedMax: 10, samplesMin: 20, boundMsMin: 20 } as const;
/** Requests, and so connections. They wait here, and not for a socket: that would count as the time of connecting. */
const AT_ONCE = { callsMax: 64, bytesMax: 1, waitersMax: 10_000 } as const;
const LIST_BYTES_EXPECTED = 512 * KiB;

/** A condition (RFC 9110 §13.1), as the header's text. */
export type Condition = { readonly ifNoneMatch: "*" } | { readonly ifMatch: string } | undefined;

/** An object's size and its ETag without quotes. */
export interface Head {
  readonly bytes: number;
  readonly etag: string;
}

/** What the calls go by. */
export interface S3CallsOptions {
  readonly client: S3Client;
  readonly address: S3Address;
  /** For messages. */
  readonly store: string;
  readonly clock: Clock;
  /** What one request may take, besides its bytes. */
  readonly requestMs: number;
}

/**
 * The requests that the driver makes, one each (reads that are late: two), with deadlines. Keys are the store's: the address's
 * prefix is put before them. Errors of all: those of s3Error, and the signal's reason.
 */
export class S3Calls {
  readonly #options: S3CallsOptions;
  readonly #hedge: Hedge;
  readonly #gate = new Gate(AT_ONCE);

  constructor(options: S3CallsOptions) {
    this.#options = options;
    this.#hedge = new Hedge(options.clock, HEDGES);
  }

  /** An object as a whole; undefined when there is none. Errors: OBJECT_INVALID when it is longer than `bytesMax`. */
  get(
    key: string,
    { bytesMax, signal }: ReadOptions,
  ): Promise<{ readonly value: Uint8Array; readonly etag: string } | undefined> {
    return this.call("read", bytesMax, signal, async (inner) => {
      const found = await this.#open(key, undefined, inner);
      if (found === undefined) return undefined;
      const body = found.Body as Readable;
      const etag = etagOf(found.ETag);
      const { ContentLength: bytes } = found;
      if (bytes !== undefined && bytes <= bytesMax) {
        // Not from the shared pool: the caller may transfer it to a worker.
        const value = Buffer.allocUnsafeSlow(bytes);
        await readInto(body, value, inner);
        return { value, etag };
      }
      const value = bytes === undefined ? await readUpTo(body, bytesMax, inner) : undefined;
      if (value !== undefined) return { value, etag };
      body.destroy();
      const text = `${key} in ${this.#options.store} has ${bytes ?? `over ${bytesMax}`} bytes, too many`;
      throw new AetherError("OBJECT_INVALID", text, { data: { key } });
    });
  }

  /** Fills `target` with the object's bytes from `start`; false when there is no object. Errors: RANGE_INVALID. */
  getRange(key: string, start: number, target: Uint8Array, signal?: AbortSignal): Promise<boolean> {
    const range = { start, end: start + target.byteLength };
    return this.call("read", target.byteLength, signal, async (inner) => {
      const found = await this.#open(key, range, inner);
      if (found === undefined) return false;
      const body = found.Body as Readable;
      try {
        this.#checkAnswer(found, range);
        await readInto(body, target, inner);
      } finally {
        body.destroy();
      }
      return true;
    });
  }

  /** Size and ETag, or undefined. */
  head(key: string, signal?: AbortSignal): Promise<Head | undefined> {
    return this.call("read", 0, signal, async (inner) => {
      try {
        const command = new HeadObjectCommand(this.#place(key));
        const { ContentLength, ETag } = await this.#options.client.send(command, { abortSignal: inner });
        return { bytes: ContentLength ?? 0, etag: etagOf(ETag) };
      } catch (error) {
        if (isAbsent(error)) return undefined;
        throw error;
      }
    });
  }

  /**
   * Writes an object and gives its ETag, "" when the server says none. The server compares the bytes with `digest`. Errors as
   * the SDK gives them, so that the caller can tell conditions: to be passed to s3Error.
   */
  async put(
    key: string,
    parts: readonly Uint8Array[],
    { condition, digest, signal }: PutOptions = {},
  ): Promise<string> {
    const bytes = totalBytes(parts);
    return await this.#within(bytes, signal, async (inner) => {
      const command = new PutObjectCommand({
        ...this.#place(key),
        Body: bodyOf(parts),
        ContentLength: bytes,
        ...(condition !== undefined && "ifMatch" in condition ? { IfMatch: condition.ifMatch } : {}),
        ...(condition !== undefined && "ifNoneMatch" in condition ? { IfNoneMatch: "*" } : {}),
      });
      if (digest !== undefined) {
        command.middlewareStack.add(
          (next) => (args) => {
            const { headers } = args.request as { headers: Record<string, string> };
            headers["x-amz-content-sha256"] = digest;
            return next(args);
          },
          { step: "build", name: "bodyDigest" },
        );
      }
      return etagOf((await this.#options.client.send(command, { abortSignal: inner })).ETag);
    });
  }

  /** Removes an object, if there is one. */
  remove(key: string, signal?: AbortSignal): Promise<void> {
    return this.call("write", 0, signal, async (inner) => {
      try {
        await this.#options.client.send(new DeleteObjectCommand(this.#place(key)), { abortSignal: inner });
      } catch (error) {
        if (!isAbsent(error)) throw error;
      }
    });
  }

  /** One page of a list: at most a thousand. */
  listPage(page: ListPage, signal?: AbortSignal): Promise<ListObjectsV2CommandOutput> {
    const { client, address } = this.#options;
    const { prefix, delimiter, after, token } = page;
    return this.call("read", LIST_BYTES_EXPECTED, signal, (inner) => {
      const command = new ListObjectsV2Command({
        Bucket: address.bucket,
        Prefix: `${address.prefix}${prefix}`,
        ...(delimiter === undefined ? {} : { Delimiter: delimiter }),
        ...(token !== undefined ? { ContinuationToken: token } : {}),
        ...(after === undefined || token !== undefined ? {} : { StartAfter: `${address.prefix}${after}` }),
      });
      return client.send(command, { abortSignal: inner });
    });
  }

  /** A task with the client, within the time for `bytes`. Errors: those of s3Error. */
  async call<T>(
    doing: "read" | "write",
    bytes: number,
    signal: AbortSignal | undefined,
    task: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    try {
      return await this.#within(bytes, signal, task);
    } catch (error) {
      throw s3Error(error, this.#options.store, doing, signal);
    }
  }

  #within<T>(
    bytes: number,
    signal: AbortSignal | undefined,
    task: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { clock, requestMs, store } = this.#options;
    const limitMs = requestMs + (bytes / SLOWEST_BYTES) * 1000;
    return this.#gate.run(0, () => withDeadline({ clock, limitMs, store }, task, signal), signal);
  }

  #place(key: string): { readonly Bucket: string; readonly Key: string } {
    const { bucket, prefix } = this.#options.address;
    return { Bucket: bucket, Key: `${prefix}${key}` };
  }

  async #open(
    key: string,
    range: ByteRange | undefined,
    signal: AbortSignal,
  ): Promise<GetObjectCommandOutput | undefined> {
    const input =
      range === undefined
        ? this.#place(key)
        : { ...this.#place(key), Range: `bytes=${range.start}-${range.end - 1}` };
    const send = (abortSignal: AbortSignal): Promise<GetObjectCommandOutput> =>
      this.#options.client.send(new GetObjectCommand(input), { abortSignal });
    const discard = ({ Body }: GetObjectCommandOutput): void => void (Body as Readable).destroy();
    try {
      return await this.#hedge.run(send, discard, signal);
    } catch (error) {
      if (isAbsent(error)) return undefined;
      if ((error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode === 416) {
        throw new AetherError("RANGE_INVALID", `${key} in ${this.#options.store} ends before the range does`);
      }
      throw error;
    }
  }

  /** A server may answer with less than was asked for, with another range, or without noticing that a range was. */
  #checkAnswer({ ContentRange, ContentLength }: GetObjectCommandOutput, range: ByteRange): void {
    const [, first, last, size] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(ContentRange ?? "") ?? [];
    if (size !== undefined) checkRange(range, Number(size));
    const isRange = Number(first) === range.start && Number(last) === range.end - 1;
    const isWhole = ContentRange === undefined && range.start === 0 && ContentLength === range.end;
    if (isRange || isWhole) return;
    const answer = ContentRange ?? "no range";
    const text = `${this.#options.store}: the server was asked for bytes ${range.start}-${range.end - 1} and sent ${answer}`;
    throw new AetherError("STORE_UNAVAILABLE", text);
  }
}

/** Options of S3Calls.put(). */
export interface PutOptions {
  readonly condition?: Condition;
  readonly digest?: Digest | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Which page of a list. Prefix and `after` are the store's keys. */
export interface ListPage {
  readonly prefix: string;
  readonly delimiter?: "/";
  readonly after?: string | undefined;
  readonly token?: string | undefined;
}

/** The ETag's bare text: servers differ in whether it is quoted. RFC 9110 §8.8.3 */
export function etagOf(header: string | undefined): string {
  return /^(?:W\/)?"?([^"]*)"?$/.exec(header ?? "")?.[1] ?? "";
}
