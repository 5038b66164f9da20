/**
 * File handles: what a client keeps of a place, for as long as it likes. They say all that a hub must know, and are the same on every hub
 * of a store. docs/decisions/0021-nfs.md
 *
 *     0   1   form and kind of the place
 *     1   4   the token by which the client came, or zeros
 *     5   8   hash of the dataset's name; of a scope, of the scope's; of the root none
 *    13   8   of a tag: hash of the tag's name
 *    13  32   of a version and what lies in it: the version's digest
 *    45   5   of what lies in it: how many of its entries stand before
 *    end 14   HMAC-SHA-256 of all before and of the token's secret, cut short (RFC 2104 §5)
 */
import { hash, timingSafeEqual } from "node:crypto";
import { assert } from "../../base/assert.ts";
import { digestBytes, digestFromBytes, DIGEST_BYTES, type Digest } from "../../format/digest.ts";

/** RFC 1813 §2.3.3 */
export const HANDLE_BYTES_MAX = 64;

/** Names that only a hash of is kept. */
export type NameHash = bigint & { readonly __brand: "NameHash" };

/** A place, as a handle names it. */
export type HandlePlace =
  | { readonly kind: "root" }
  | { readonly kind: "scope"; readonly scope: NameHash }
  | { readonly kind: "dataset"; readonly dataset: NameHash }
  | { readonly kind: "tag"; readonly dataset: NameHash; readonly tag: NameHash }
  /** A version's top. */
  | { readonly kind: "version"; readonly dataset: NameHash; readonly digest: Digest }
  /** What lies in a version: the entry before which `index` others stand. */
  | {
      readonly kind: "entry";
      readonly dataset: NameHash;
      readonly digest: Digest;
      readonly index: number;
    };

/** Who came with a handle: the short form of a token, 0 for who needs none. */
export type TokenId = number;

/** The token that an id may stand for: SHA-256 of its secret. Ids are short: several tokens may have the same. */
export type FindSecrets = (id: TokenId) => readonly Uint8Array[];

/** A handle that was read. */
export interface ReadHandle {
  readonly place: HandlePlace;
  /** The secret's digest of the token that it was made for; undefined: for nobody in particular. */
  readonly secret: Uint8Array | undefined;
}

const FORM = 0x10;
const KINDS = ["root", "scope", "dataset", "tag", "version", "entry"] as const;
const LENGTHS: Readonly<Record<HandlePlace["kind"], number>> = {
  root: 5,
  scope: 13,
  dataset: 13,
  tag: 21,
  version: 45,
  entry: 50,
};
const MAC_BYTES = 14;
/** RFC 2104 §2 */
const BLOCK_BYTES = 64;
const [INNER_PAD, OUTER_PAD] = [0x36, 0x5c];
const [TOKEN_AT, NAME_AT, TAG_AT, DIGEST_AT, INDEX_AT] = [1, 5, 13, 13, 13 + DIGEST_BYTES];
const INDEX_BYTES = 5;
const TOKEN_BYTES = 4;

/** Hashes that are at hand: the few names that are asked for again and again. */
const HASHES_MAX = 1000;
const hashes = new Map<string, NameHash>();

/** Which hash a name has in handles: 64 bits. */
export function hashName(kind: "scope" | "dataset" | "tag", name: string): NameHash {
  const text = `${kind} ${name}`;
  const known = hashes.get(text);
  if (known !== undefined) return known;
  const made = hash("sha256", text, "buffer").readBigUInt64BE(0) as NameHash;
  if (hashes.size >= HASHES_MAX) hashes.clear();
  hashes.set(text, made);
  return made;
}

/** The short form of a token, from the digest of its secret; never 0. */
export function tokenIdOf(secret: Uint8Array): TokenId {
  return Buffer.from(secret.buffer, secret.byteOffset, TOKEN_BYTES).readUInt32BE(0) || 1;
}

/** Makes and reads handles. */
export class Handles {
  /** Two blocks that begin with the padded key, and have room for what is hashed after it. */
  readonly #inner = Buffer.alloc(BLOCK_BYTES + HANDLE_BYTES_MAX + DIGEST_BYTES);
  readonly #outer = Buffer.alloc(BLOCK_BYTES + DIGEST_BYTES);

  /** `key`: what nobody else knows, the same on all hubs of a store; at most 64 bytes. */
  constructor(key: Uint8Array) {
    assert(key.byteLength <= BLOCK_BYTES, "a key of HMAC is no longer than a block");
    for (let at = 0; at < BLOCK_BYTES; at++) {
      const byte = key[at] ?? 0;
      this.#inner[at] = byte ^ INNER_PAD;
      this.#outer[at] = byte ^ OUTER_PAD;
    }
  }

  /** The handle of a place, for who came with the token of this secret (its digest), or with none. */
  encode(place: HandlePlace, secret: Uint8Array | undefined): Buffer {
    const length = LENGTHS[place.kind];
    const handle = Buffer.alloc(length + MAC_BYTES);
    handle[0] = FORM + KINDS.indexOf(place.kind);
    handle.writeUInt32BE(secret === undefined ? 0 : tokenIdOf(secret), TOKEN_AT);
    if (place.kind === "scope") handle.writeBigUInt64BE(place.scope, NAME_AT);
    else if (place.kind !== "root") handle.writeBigUInt64BE(place.dataset, NAME_AT);
    if (place.kind === "tag") handle.writeBigUInt64BE(place.tag, TAG_AT);
    if ("digest" in place) handle.set(digestBytes(place.digest), DIGEST_AT);
    if (place.kind === "entry") handle.writeUIntBE(place.index, INDEX_AT, INDEX_BYTES);
    handle.set(this.#mac(handle.subarray(0, length), secret), length);
    return handle;
  }

  /** What a handle says; undefined when it was not made with this key, or for a token that is not there. */
  decode(handle: Buffer, find: FindSecrets): ReadHandle | undefined {
    const kind = KINDS[(handle[0] ?? 0) - FORM];
    if (kind === undefined || handle.byteLength !== LENGTHS[kind] + MAC_BYTES) return undefined;
    const id = handle.readUInt32BE(TOKEN_AT);
    const secrets = id === 0 ? [undefined] : find(id);
    const body = handle.subarray(0, LENGTHS[kind]);
    const mac = handle.subarray(LENGTHS[kind]);
    for (const secret of secrets) {
      if (timingSafeEqual(mac, this.#mac(body, secret))) return { place: placeOf(kind, body), secret };
    }
    return undefined;
  }

  /** HMAC of hashes in one call each: node:crypto's own takes four times as long for so little. */
  #mac(body: Uint8Array, secret: Uint8Array | undefined): Buffer {
    this.#inner.set(body, BLOCK_BYTES);
    let end = BLOCK_BYTES + body.byteLength;
    if (secret !== undefined) {
      this.#inner.set(secret, end);
      end += secret.byteLength;
    }
    this.#outer.set(hash("sha256", this.#inner.subarray(0, end), "buffer"), BLOCK_BYTES);
    return hash("sha256", this.#outer, "buffer").subarray(0, MAC_BYTES);
  }
}

/** The short form of the token that a handle names, whoever made it; 0: none. */
export function tokenIdIn(handle: Buffer): TokenId {
  return handle.byteLength < NAME_AT ? 0 : handle.readUInt32BE(TOKEN_AT);
}

function placeOf(kind: HandlePlace["kind"], body: Buffer): HandlePlace {
  if (kind === "root") return { kind };
  const name = body.readBigUInt64BE(NAME_AT) as NameHash;
  if (kind === "scope") return { kind, scope: name };
  if (kind === "dataset") return { kind, dataset: name };
  if (kind === "tag") return { kind, dataset: name, tag: body.readBigUInt64BE(TAG_AT) as NameHash };
  const digest = digestFromBytes(body, DIGEST_AT);
  if (kind === "version") return { kind, dataset: name, digest };
  return { kind, dataset: name, digest, index: body.readUIntBE(INDEX_AT, INDEX_BYTES) };
}
