import assert from "node:assert/strict";
import { test } from "node:test";
import type { AddressRange } from "../../base/address-range.ts";
import { AddressList } from "./address-list.ts";

function rangeOf(address: string, prefixBits: number, zone?: string): AddressRange {
  return { address, prefixBits, family: address.includes(":") ? "ipv6" : "ipv4", zone };
}

function has(range: AddressRange, ...addresses: readonly string[]): boolean[] {
  const list = new AddressList([range]);
  return addresses.map((address) => list.has(address));
}

test("a range of IPv4 has the addresses that a socket of both kinds shows as IPv6", () => {
  const addresses = ["10.1.2.3", "::ffff:10.1.2.3", "::FFFF:10.1.2.3", "11.1.2.3", "::ffff:11.1.2.3"];
  assert.deepEqual(has(rangeOf("10.0.0.0", 8), ...addresses), [true, true, true, false, false]);
  assert.deepEqual(has(rangeOf("::ffff:10.0.0.0", 104), ...addresses), [true, true, true, false, false]);
  assert.deepEqual(has(rangeOf("::", 0), ...addresses), [true, true, true, true, true]);
});

test("a range of link-local addresses has those of every interface, unless it names one", () => {
  const addresses = ["fe80::1", "fe80::1%eth0", "fe80::1%eth1", "fe80::2%eth0", "2001:db8::1"];
  assert.deepEqual(has(rangeOf("fe80::", 10), ...addresses), [true, true, true, true, false]);
  assert.deepEqual(has(rangeOf("fe80::1", 128), ...addresses), [true, true, true, false, false]);
  assert.deepEqual(has(rangeOf("fe80::", 64, "eth0"), ...addresses), [false, true, false, true, false]);
});

test("what is no address is in no range", () => {
  assert.deepEqual(has(rangeOf("::", 0), "", "%eth0", "/run/socket", "1.2.3"), [false, false, false, false]);
});
