/** Names of one directory, in the order of their cookies. */
import { hashName } from "./handles.ts";

/** The first cookie after those of "." and "..". */
export const COOKIE_FIRST = 3n;

/** What a name is the name of. */
export type NameKind = "scope" | "dataset" | "tag";

/** A name, and its cookie: it follows from the name alone, whatever else comes and goes. */
export interface ListedName {
  readonly kind: NameKind;
  readonly name: string;
  readonly cookie: bigint;
}

/** Names by cookie. It has one string and eight bytes for each. */
export class NameList {
  readonly #kindOf: (name: string) => NameKind;
  readonly #names: readonly string[];
  readonly #cookies: BigUint64Array;

  /** `cookies`: of the names, one each, as cookieOf() gives them. */
  constructor(names: readonly string[], cookies: readonly bigint[], kindOf: (name: string) => NameKind) {
    const at = (index: number): bigint => cookies[index] ?? 0n;
    const order = Uint32Array.from(names.keys()).sort((a, b) => (at(a) < at(b) ? -1 : Number(at(a) > at(b))));
    this.#kindOf = kindOf;
    this.#names = Array.from(order, (index) => names[index] ?? "");
    this.#cookies = BigUint64Array.from(order, at);
  }

  /** The names whose cookies are greater. */
  *after(cookie: bigint): Generator<ListedName> {
    let [index, end] = [0, this.#cookies.length];
    while (index < end) {
      const middle = (index + end) >>> 1;
      if ((this.#cookies[middle] ?? 0n) <= cookie) index = middle + 1;
      else end = middle;
    }
    for (; index < this.#names.length; index++) {
      const name = this.#names[index] ?? "";
      yield { kind: this.#kindOf(name), name, cookie: this.#cookies[index] ?? 0n };
    }
  }
}

/**
 * The cookie of a name: 63 bits of a hash, since some clients take it for a signed number. Those of many names together would hold up
 * everybody: they are made as the names come.
 */
export function cookieOf(kind: NameKind, name: string): bigint {
  const cookie = hashName(kind, name) >> 1n;
  return cookie < COOKIE_FIRST ? cookie + COOKIE_FIRST : cookie;
}
