import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { AetherError } from "../../base/errors.ts";
import { holdsIf, parseIf } from "./if-header.ts";

const TOKEN = "<urn:uuid:181d4fae-7d8c-11d0-a765-00a0c91e6bf2>";

/** What holds where the request's own resource has the tag "own", and /other has "other". */
function holds(header: string): Promise<boolean> {
  return holdsIf(parseIf(header), (resource = "own") =>
    Promise.resolve({ own: '"own"', "/other": '"other"' }[resource]),
  );
}

describe("the header If", () => {
  it("holds when all conditions of a list do, of any of them", async () => {
    for (const [header, expected] of [
      ['(["own"])', true],
      ['(["other"])', false],
      ['(Not ["own"])', false],
      ['(NOT["other"]["own"])', true],
      ['(["other"]) (["own"])', true],
      ['(["own"] ["other"])', false],
      ['(W/"x")'.replace("(", "([").replace(")", "])"), false],
      ['([W/"own"])', false],
      [`(${TOKEN})`, false],
      [`(${TOKEN} ["own"])`, false],
      [`(Not ${TOKEN})`, true],
      [`(${TOKEN}) (Not <DAV:no-lock>)`, true],
      ['</other> (["other"])', true],
      ['</other> (["own"])', false],
      ['</other>(["own"])(["other"])', true],
      ['</other> (["own"]) <http://a/b> (Not ["x"])', true],
      ['<http://a/b> (["own"])', false],
    ] as const) {
      assert.equal(await holds(header), expected, header);
    }
  });

  it("that is not as RFC 4918 has it, is refused", () => {
    for (const header of [
      "",
      " ",
      "()",
      "( )",
      "(Not)",
      '(["a")',
      '(["a"]',
      '["a"]',
      "(<no-uri>)",
      "(</path>)",
      TOKEN,
      `</a> </b> (${TOKEN})`,
      `(${TOKEN}) </a> (${TOKEN})`,
      `(${TOKEN}), (${TOKEN})`,
      `<a> (${TOKEN})`,
      '(Not Not ["a"])',
      "(a)",
      "([a])",
      `(Not${" ".repeat(8000)}`,
    ]) {
      assert.throws(() => parseIf(header), { code: "ARGUMENT_INVALID" }, header);
    }
  });

  it("that is longer, or asks for more than is looked at, is refused", () => {
    const tagged = (count: number): string =>
      Array.from({ length: count }, (_, index) => `</${index}> (["a"])`).join("");
    assert.equal(parseIf(tagged(8)).length, 8);
    for (const header of [tagged(9), `(${'["a"]'.repeat(129)})`, `(["${"a".repeat(9000)}"])`]) {
      assert.throws(() => parseIf(header), { code: "LIMIT_EXCEEDED" });
    }
  });

  it("of any text, is lists with conditions, or refused", () => {
    const parts = fc.constantFrom("(", ")", "<", ">", "[", "]", '"a"', "W/", "Not", " ", "x:y", "/p", "\t");
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(parts).map((all) => all.join("")),
        ),
        (header) => {
          try {
            assert.ok(parseIf(header).every(({ conditions }) => conditions.length > 0));
          } catch (error) {
            assert.ok(error instanceof AetherError && error.code === "ARGUMENT_INVALID", String(error));
          }
        },
      ),
    );
  });
});
