/** The one file that names drivers. */
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Clock } from "../../base/clock.ts";
import { AetherError } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import type { CallOptions } from "../block-store.ts";
import type { Store } from "../dataset-store.ts";
import { openObjects } from "../open-objects.ts";
import { openDisk } from "./disk/disk-object-store.ts";
import type { S3Settings } from "./s3/s3-settings.ts";
import { MemoryObjectStore } from "./memory/memory-object-store.ts";

export type { S3Settings } from "./s3/s3-settings.ts";

/** How to open a store. */
export interface OpenStoreOptions extends CallOptions {
  /** Make a store where nothing is: for whoever is going to write. */
  readonly create: boolean;
  readonly clock: Clock;
  readonly random: Random;
  /** Of a store in S3. */
  readonly s3?: S3Settings;
}

const SCHEME = /^([a-z][a-z0-9+.-]*):/i;

/**
 * The store at an address, without any layer: `file:///path`, a path (a relative one from the working folder),
 * `s3://bucket[/prefix]`, or `memory:`, which is a new empty one each time.
 * Errors: FEATURE_UNSUPPORTED for other schemes, ARGUMENT_INVALID for an address that is none, and those of openObjects.
 */
export async function openStore(address: string, options: OpenStoreOptions): Promise<Store> {
  const scheme = SCHEME.exec(address)?.[1]?.toLowerCase();
  if (scheme === "memory" && address.length === "memory:".length) {
    return openObjects(new MemoryObjectStore(options.clock), { ...options, create: true });
  }
  if (scheme === "s3") {
    // Loaded only for who needs it: the SDK is large.
    const { openS3 } = await import("./s3/s3-object-store.ts");
    const objects = await openS3(address, { ...options, settings: options.s3 ?? {} });
    const store = await openObjects(objects, options);
    try {
      if (options.create) await objects.ready(options.signal);
      return store;
    } catch (error) {
      await store.close();
      throw error;
    }
  }
  if (scheme === undefined || scheme === "file") {
    const path = pathOf(address, scheme);
    return openObjects(await openDisk(path, { ...options, name: address }), options);
  }
  throw new AetherError(
    "FEATURE_UNSUPPORTED",
    `"${address}" is of a kind of store that is not supported: use file:///path, a path, s3://bucket, or memory:`,
  );
}

function pathOf(address: string, scheme: "file" | undefined): string {
  const path = scheme === "file" ? filePath(address) : address;
  if (path === "" || path.includes("\0")) {
    throw new AetherError("ARGUMENT_INVALID", "a store needs an address: file:///path, a path, or memory:");
  }
  return resolve(path);
}

/** The path of a file URL. `file:name` would be `/name`, which nobody means who writes it: it is refused. */
function filePath(address: string): string {
  let cause: unknown;
  try {
    if (address.slice("file:".length).startsWith("//")) return fileURLToPath(address);
  } catch (error) {
    cause = error;
  }
  throw new AetherError("ARGUMENT_INVALID", `"${address}" is not file:///absolute/path`, { cause });
}
