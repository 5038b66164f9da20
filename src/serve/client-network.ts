/** Groups of sixteen bits that an address of IPv6 has. RFC 4291 §2.2 */
const GROUPS = 8;
/** Those of them that are the network's: the client has the rest to itself. RFC 6177 */
const NETWORK_GROUPS = 4;

/** The part of an address that stands for one client: all of IPv4's (also where IPv6 maps it, RFC 4291 §2.5.5.2), the network's of IPv6's. */
export function networkOf(address: string): string {
  const [, mapped] = /^::ffff:([\d.]+)$/i.exec(address) ?? [];
  if (mapped !== undefined || !address.includes(":")) return mapped ?? address;
  const [head = [], tail = []] = address.split("::").map((part) => (part === "" ? [] : part.split(":")));
  const zeros = Array<string>(Math.max(0, GROUPS - head.length - tail.length)).fill("0");
  return [...head, ...zeros, ...tail].slice(0, NETWORK_GROUPS).join(":");
}
