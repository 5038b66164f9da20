/** What handles led to, and names in directories, with all that answers say of it. */
import type { Digest } from "../../format/digest.ts";
import type { EntryPlace, Place, VersionPlace } from "./nodes.ts";
import { XdrWriter } from "./xdr.ts";

/** The share of the memory that they may take, and what one takes. */
const SHARE = 1 / 64;
const COST_BYTES = 1500;

/** A place that never changes: of a version. Whether the version is still the dataset's own, and who may see it, is asked each time. */
export interface KnownPlace {
  readonly place: EntryPlace | VersionPlace;
  /** The secret's digest of the token that it was found with. */
  readonly secret: Uint8Array | undefined;
  readonly handle: Buffer;
  /** fattr3 */
  readonly attributes: Buffer;
}

/** The places that were asked for last: nothing that is kept can be wrong, and what is not kept is found again. */
export class KnownPlaces {
  readonly #countMax: number;
  /** By handle, those that came first at the beginning. */
  readonly #places = new Map<string, KnownPlace>();
  /** By directory and name. */
  readonly #names = new Map<string, KnownPlace>();

  constructor(memoryBytes: number) {
    this.#countMax = Math.ceil((memoryBytes * SHARE) / COST_BYTES);
  }

  /** What a handle leads to, which was verified when it was kept. */
  at(handle: Buffer): KnownPlace | undefined {
    return this.#places.get(keyOf(handle));
  }

  /** What lies in a directory under a name; both were found with this handle of the directory. */
  in(handle: Buffer, directory: Place, name: string): KnownPlace | undefined {
    return this.#names.get(nameKeyOf(handle, directory, name));
  }

  /** Keeps what a handle that is good leads to. `write` writes its attributes. */
  keep(
    place: KnownPlace["place"],
    { handle, secret }: Pick<KnownPlace, "handle" | "secret">,
    write: (attributes: XdrWriter) => void,
  ): KnownPlace {
    const known = this.#places.get(keyOf(handle));
    if (known !== undefined) return known;
    const attributes = new XdrWriter();
    write(attributes);
    // Not from the shared pool: a small part of it would keep the rest.
    const bytes = Buffer.allocUnsafeSlow(handle.byteLength + attributes.length);
    bytes.set(handle);
    bytes.set(attributes.bytes, handle.byteLength);
    const made = {
      place,
      secret,
      handle: bytes.subarray(0, handle.byteLength),
      attributes: bytes.subarray(handle.byteLength),
    };
    this.#keep(this.#places, keyOf(handle), made);
    return made;
  }

  /** Keeps that it lies in the directory. */
  keepName(handle: Buffer, directory: Place, name: string, known: KnownPlace): void {
    this.#keep(this.#names, nameKeyOf(handle, directory, name), known);
  }

  #keep(map: Map<string, KnownPlace>, key: string, known: KnownPlace): void {
    map.set(key, known);
    for (const oldest of map.keys()) {
      if (map.size <= this.#countMax) return;
      map.delete(oldest);
    }
  }
}

function keyOf(handle: Buffer): string {
  return handle.toString("latin1");
}

/** A tag's handle stays when the tag moves. */
function nameKeyOf(handle: Buffer, directory: Place, name: string): string {
  const digest: Digest | "" = directory.kind === "tag" ? directory.record.digest : "";
  return `${keyOf(handle)}${digest}/${name}`;
}
