import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseHubAddresses } from "./hub-address.ts";

describe("a hub's address", () => {
  const good: readonly (readonly [string, boolean, string, string])[] = [
    ["localhost", false, "http://localhost:8080", "localhost:8080"],
    ["hub.example:9000", false, "http://hub.example:9000", "hub.example:9000"],
    ["hub.example", true, "https://hub.example:8080", "hub.example:8080"],
    ["hub.example:443", true, "https://hub.example", "hub.example:443"],
    ["[::1]", false, "http://[::1]:8080", "[::1]:8080"],
    ["[::1]:80", false, "http://[::1]", "[::1]:80"],
    ["https://hub.example", false, "https://hub.example", "hub.example:443"],
    ["http://hub.example:81/", true, "http://hub.example:81", "hub.example:81"],
  ];
  for (const [text, secure, origin, authority] of good) {
    it(`${text}${secure ? " over TLS" : ""}, is ${origin}`, () => {
      assert.deepEqual(parseHubAddresses(text, secure), [{ origin, authority }]);
    });
  }

  it("with commas, is several hubs in their order", () => {
    const found = parseHubAddresses("a:1, b ,https://c", false);
    assert.deepEqual(
      found.map(({ origin }) => origin),
      ["http://a:1", "http://b:8080", "https://c"],
    );
  });

  for (const text of [
    "",
    "a b",
    "hub/x",
    "http://u:p@hub",
    "http://hub/path",
    "http://hub/?q",
    "hub:99999",
    "ftp://hub",
    "hub,",
    "hub,,other",
    Array.from({ length: 17 }, (_, index) => `hub-${index}`).join(),
  ]) {
    it(`"${text}", is refused`, () => {
      assert.throws(() => parseHubAddresses(text, false), { code: "ARGUMENT_INVALID" });
    });
  }
});
