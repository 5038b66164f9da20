/** What reading versions takes, over the wire. docs/protocol.md §3 */
import type { Dispatcher } from "undici";
import { copyBytes } from "../../base/bytes.ts";
import type { ByteRange } from "../../base/byte-range.ts";
import { AetherError, codeOf } from "../../base/errors.ts";
import { BLOCK_OBJECT_BYTES_MAX } from "../../format/block.ts";
import { digestBytes, formatDigest, type Digest } from "../../format/digest.ts";
import { HEADER_BYTES } from "../../format/header.ts";
import type { DatasetName } from "../../format/reference.ts";
import type { CallOptions, RangeReader, ReadRangeOptions } from "../../store/block-store.ts";
import type { ManifestReader, Revised, Revision, VersionStore } from "../../store/dataset-store.ts";
import type { BulkRequest, HubConnection } from "./hub-connection.ts";
import { answersFor, Batch } from "./batch.ts";
import { unavailable } from "./retry.ts";

/** A plan that nobody will replace has a state nobody asks for. */
const NO_REVISION = "" as Revision;
/** What an answer says of a range, and of the whole. RFC 9110 §14.4 */
const CONTENT_RANGE = /^bytes \d+-\d+\/(\d{1,15})$/;
/** Manifests or plans of one call. */
const LOOKUPS_MAX = 64;

/**
 * A hub's versions and blocks as a reader of `name` may have them. Nothing is verified here, as of every store.
 * Errors of every call: HUB_UNAVAILABLE, besides the seam's.
 */
export function hubStore(hub: HubConnection, name: DatasetName): VersionStore {
  return { blocks: new HubBlocks(hub, name), datasets: new HubManifests(hub, name) };
}

/** What either of two readers may have, the first one asked first. */
export function eitherStore(first: VersionStore, second: VersionStore): VersionStore {
  return {
    blocks: {
      read: (block, range, options) =>
        first.blocks.read(block, range, options).catch((error: unknown) => {
          if (codeOf(error) !== "OBJECT_MISSING") throw error;
          return second.blocks.read(block, range, options);
        }),
      stat: async (block, options) =>
        (await first.blocks.stat(block, options)) ?? (await second.blocks.stat(block, options)),
    },
    datasets: {
      getManifest: async (version, options) =>
        (await first.datasets.getManifest(version, options)) ??
        (await second.datasets.getManifest(version, options)),
      getPlan: async (key, options) =>
        (await first.datasets.getPlan(key, options)) ?? (await second.datasets.getPlan(key, options)),
    },
  };
}

class HubManifests implements ManifestReader {
  readonly #manifests: Batch<Digest, Uint8Array>;
  readonly #plans: Batch<Digest, Uint8Array>;

  constructor(hub: HubConnection, name: DatasetName) {
    this.#manifests = lookUps(hub, async (digests) => {
      const request = { name, digests: digests.map(digestBytes) };
      return (await hub.versions.getManifests(request)).manifests;
    });
    this.#plans = lookUps(hub, async (keys) => {
      const request = { name, keys: keys.map(digestBytes) };
      return (await hub.versions.getPlans(request)).plans;
    });
  }

  async getManifest(version: Digest, { signal }: CallOptions = {}): Promise<Uint8Array | undefined> {
    const bytes = await this.#manifests.get(version, signal);
    return bytes.byteLength === 0 ? undefined : bytes;
  }

  async getPlan(key: Digest, { signal }: CallOptions = {}): Promise<Revised<Uint8Array> | undefined> {
    const value = await this.#plans.get(key, signal);
    return value.byteLength === 0 ? undefined : { value, revision: NO_REVISION };
  }
}

/** `ask` gives the bytes for each key, in order, none where there are none. */
function lookUps(
  hub: HubConnection,
  ask: (keys: readonly Digest[]) => Promise<readonly Uint8Array[]>,
): Batch<Digest, Uint8Array> {
  return new Batch({
    sizeMax: LOOKUPS_MAX,
    ask: async (keys) => answersFor(hub.hub, keys, await hub.call(undefined, () => ask(keys))),
  });
}

/** What is asked of a block. */
interface BlockRequest extends Pick<BulkRequest, "isSmall"> {
  readonly block: Digest;
  /** undefined: all of it. */
  readonly range: ByteRange | undefined;
}

class HubBlocks implements RangeReader {
  readonly #hub: HubConnection;
  readonly #query: string;

  constructor(hub: HubConnection, name: DatasetName) {
    this.#hub = hub;
    this.#query = `?dataset=${encodeURIComponent(name)}`;
  }

  async read(block: Digest, range?: ByteRange, { signal, into }: ReadRangeOptions = {}): Promise<Uint8Array> {
    if (range !== undefined && range.end === range.start) return new Uint8Array();
    const wanted = range === undefined ? undefined : range.end - range.start;
    return await this.#get({ block, range }, signal, (response) =>
      readBody(this.#hub.hub, response, wanted, into),
    );
  }

  async stat(block: Digest, { signal }: CallOptions = {}): Promise<number | undefined> {
    const { hub } = this.#hub;
    try {
      const range = { start: 0, end: HEADER_BYTES };
      return await this.#get({ block, range, isSmall: true }, signal, async ({ headers, body }) => {
        await body.dump();
        const [, bytes = ""] = CONTENT_RANGE.exec(String(headers["content-range"])) ?? [];
        if (bytes === "") throw unavailable(hub, "it does not say how long a block is");
        return Number(bytes);
      });
    } catch (error) {
      if (codeOf(error) === "OBJECT_MISSING") return undefined;
      throw error;
    }
  }

  async #get<T>(
    { block, range, isSmall }: BlockRequest,
    signal: AbortSignal | undefined,
    take: (response: Dispatcher.ResponseData) => Promise<T>,
  ): Promise<T> {
    const path = `/bulk/v1/blocks/${block}${this.#query}`;
    const headers: Record<string, string> =
      range === undefined ? {} : { range: `bytes=${range.start}-${range.end - 1}` };
    try {
      return await this.#hub.bulk({ method: "GET", path, headers, isSmall }, signal, take);
    } catch (cause) {
      if (codeOf(cause) !== "PATH_NOT_FOUND") throw cause;
      const text = formatDigest(block);
      throw new AetherError("OBJECT_MISSING", `the hub ${this.#hub.hub} has no block ${text}`, {
        data: { block: text },
        cause,
      });
    }
  }
}

/** The body, which has as many bytes as are `wanted`, or (undefined) as its header says; in the memory at hand, when there is some. */
async function readBody(
  hub: string,
  { headers, body }: Dispatcher.ResponseData,
  wanted: number | undefined,
  into: Uint8Array | undefined,
): Promise<Uint8Array> {
  const length = Number(headers["content-length"]);
  if (
    !Number.isSafeInteger(length) ||
    length > BLOCK_OBJECT_BYTES_MAX ||
    (wanted !== undefined && length !== wanted)
  ) {
    body.destroy();
    throw unavailable(
      hub,
      `it sent ${String(headers["content-length"])} bytes instead of ${wanted ?? "a block"}`,
    );
  }
  const bytes = into?.subarray(0, length) ?? Buffer.allocUnsafeSlow(length);
  let at = 0;
  for await (const part of body as AsyncIterable<Uint8Array>) {
    if (at + part.byteLength > length) break;
    copyBytes(part, bytes, at);
    at += part.byteLength;
  }
  if (at !== length) throw unavailable(hub, `it broke off after ${at} of ${length} bytes`);
  return bytes;
}
