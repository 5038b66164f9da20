/** Addresses that are let in, however a socket writes them. */
import { BlockList, isIP, isIPv4 } from "node:net";
import type { AddressRange } from "../../base/address-range.ts";

/** An IPv4 address that a socket of both kinds shows as one of IPv6. RFC 4291 §2.5.5.2 */
const MAPPED = /^::ffff:(?=[\d.]+$)/i;
/** Bits before the IPv4 address in such a one. */
const MAPPED_BITS = 96;

/** The address as its own family writes it; the zone of a link-local one stays (`fe80::1%eth0`, RFC 4007 §11). */
export function plainAddress(address: string): string {
  return address.replace(MAPPED, "");
}

/** As plainAddress(), without the zone: it is a name that this machine alone knows. */
export function bareAddress(address: string): string {
  return plainAddress(address).split("%")[0] ?? "";
}

/** Ranges of addresses. One that names a zone is of that interface alone. */
export class AddressList {
  readonly #everywhere = new BlockList();
  readonly #zones = new Map<string, BlockList>();

  constructor(ranges: readonly AddressRange[]) {
    for (const range of ranges) {
      const { address, prefixBits, zone } = range;
      const list = zone === undefined ? this.#everywhere : this.#listOf(zone);
      const plain = plainAddress(address);
      if (range.family === "ipv6" && isIPv4(plain) && prefixBits >= MAPPED_BITS)
        list.addSubnet(plain, prefixBits - MAPPED_BITS, "ipv4");
      else list.addSubnet(address, prefixBits, range.family);
    }
  }

  /** Whether a range has the address, as a socket or a datagram has it. */
  has(address: string): boolean {
    const plain = bareAddress(address);
    const zone = address.split("%")[1] ?? "";
    // A socket that is gone already has none.
    if (isIP(plain) === 0) return false;
    const isIn = (list: BlockList | undefined): boolean =>
      list !== undefined &&
      // A range of IPv6 that has all of them, such as ::/0, has the mapped ones.
      (isIPv4(plain)
        ? list.check(plain, "ipv4") || list.check(`::ffff:${plain}`, "ipv6")
        : list.check(plain, "ipv6"));
    return isIn(this.#everywhere) || isIn(this.#zones.get(zone));
  }

  #listOf(zone: string): BlockList {
    const list = this.#zones.get(zone) ?? new BlockList();
    this.#zones.set(zone, list);
    return list;
  }
}
