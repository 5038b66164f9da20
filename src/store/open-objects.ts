import type { Clock } from "../base/clock.ts";
import { AetherError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import { decodeStore, encodeStore, RECORD_BYTES_MAX, type StoreRecord } from "../format/record.ts";
import { isFar, type CallOptions } from "./block-store.ts";
import type { Store } from "./dataset-store.ts";
import { EVERYTHING, STORE_KEY } from "./keys.ts";
import { ObjectBlockStore } from "./object-block-store.ts";
import { ObjectDatasetStore } from "./object-dataset-store.ts";
import type { ObjectStore } from "./object-store.ts";
import { RecentManifests } from "./recent-manifests.ts";

/** How to open the store in objects. */
export interface OpenObjectsOptions extends CallOptions {
  /** Make a store where nothing is. */
  readonly create: boolean;
  readonly random: Random;
  readonly clock: Clock;
}

/**
 * The store that lies in `objects`, which it then owns: closing the store closes them, and so does failing to open.
 * Errors: STORE_NOT_FOUND when nothing is there and `create` is not set; STORE_FOREIGN when something else is there;
 * FORMAT_UNSUPPORTED when a newer AetherFS made it; OBJECT_INVALID when its record is damaged.
 */
export async function openObjects(objects: ObjectStore, options: OpenObjectsOptions): Promise<Store> {
  try {
    const record = await openRecord(objects, options);
    const recent = isFar(objects.features) ? new RecentManifests(options.clock) : undefined;
    return {
      blocks: new ObjectBlockStore(objects),
      datasets: new ObjectDatasetStore(objects, record, recent),
      close: () => objects.close(),
    };
  } catch (error) {
    await objects.close();
    throw error;
  }
}

async function openRecord(objects: ObjectStore, options: OpenObjectsOptions): Promise<StoreRecord> {
  const found = await readRecord(objects, options);
  if (found !== undefined) return found;
  if (await holdsAnything(objects, options)) {
    // Whoever was making the store while we looked wrote its record before anything else.
    const made = await readRecord(objects, options);
    if (made !== undefined) return made;
    throw new AetherError(
      "STORE_FOREIGN",
      `${objects.name} holds something that is not an AetherFS store: name an empty folder`,
    );
  }
  if (!options.create) {
    throw new AetherError(
      "STORE_NOT_FOUND",
      `there is no store at ${objects.name}: push to it first, or check the address`,
    );
  }
  const record = { id: options.random.id() };
  if (await objects.create(STORE_KEY, encodeStore(record), options)) return record;
  const winner = await readRecord(objects, options);
  if (winner !== undefined) return winner;
  throw new AetherError(
    "STORE_UNAVAILABLE",
    `${objects.name} lost its record while it was opened: try again`,
  );
}

async function readRecord(objects: ObjectStore, options: CallOptions): Promise<StoreRecord | undefined> {
  const bytes = await objects.get(STORE_KEY, { ...options, bytesMax: RECORD_BYTES_MAX });
  if (bytes === undefined) return undefined;
  try {
    return decodeStore(bytes);
  } catch (cause) {
    if (!(cause instanceof AetherError)) throw cause;
    throw new AetherError(cause.code, `the store at ${objects.name} cannot be opened: ${cause.message}`, {
      cause,
    });
  }
}

async function holdsAnything(objects: ObjectStore, options: CallOptions): Promise<boolean> {
  for await (const _ of objects.list(EVERYTHING, options)) return true;
  return false;
}
