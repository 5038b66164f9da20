/** Addresses that begin with the same bits: `10.0.0.0/8`. RFC 4632 §3.1, RFC 4291 §2.3 */
export interface AddressRange {
  readonly address: string;
  readonly prefixBits: number;
  readonly family: "ipv4" | "ipv6";
  /** Of link-local addresses: the interface that they are of; undefined: any. RFC 4007 §11 */
  readonly zone?: string | undefined;
}
