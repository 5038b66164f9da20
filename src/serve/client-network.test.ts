import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { networkOf } from "./client-network.ts";

describe("the network of a client", () => {
  for (const [address, network] of [
    ["192.0.2.7", "192.0.2.7"],
    ["::ffff:192.0.2.7", "192.0.2.7"],
    ["::1", "0:0:0:0"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
    ["2001:db8:1:2::6", "2001:db8:1:2"],
    ["2001:db8::6", "2001:db8:0:0"],
    ["2001::5:1:2:3:4", "2001:0:0:5"],
    ["2001:0:0:5::4", "2001:0:0:5"],
    ["fe80::1%eth0", "fe80:0:0:0"],
    ["", ""],
  ] as const) {
    it(`of ${JSON.stringify(address)} is ${JSON.stringify(network)}`, () => {
      assert.equal(networkOf(address), network);
    });
  }
});
