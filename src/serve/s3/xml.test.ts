import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { element, leaf, xmlDocument } from "./xml.ts";

describe("XML", () => {
  it("of a text with what XML means something by, is that text to a reader", () => {
    assert.equal(leaf("A", `<a href="x">&é\n\t`), "<A>&lt;a href=&quot;x&quot;&gt;&amp;é&#xA;&#x9;</A>");
  });

  it("of a text that XML cannot say, has references, as S3 has them", () => {
    assert.equal(leaf("A", "\u0001\r\u007f\uffff"), "<A>&#x1;&#xD;&#x7F;&#xFFFF;</A>");
  });

  it("of an undefined value, is nothing; of any other, an element", () => {
    assert.equal(leaf("A", undefined), "");
    assert.equal(element("B", leaf("A", 0), leaf("C", false)), "<B><A>0</A><C>false</C></B>");
    assert.match(xmlDocument("D"), /^<\?xml version="1.0" encoding="UTF-8"\?>\n<D xmlns="[^"]+"><\/D>$/);
  });
});
