import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import fc from "fast-check";
import { digestOf } from "../../format/digest.ts";
import { temporaryFolder } from "../testing/folder.ts";
import { PageFile } from "./page-file.ts";

let folder: ReturnType<typeof temporaryFolder>;
let file: string;
beforeEach(() => {
  folder = temporaryFolder();
  file = path.join(folder.path, "pages");
});
afterEach(() => {
  folder.remove();
});

const PAGES = ["first", "second", ""].map((text) => Buffer.from(text));
const ROOT = Buffer.from("a root");

function write(): void {
  const pages = new PageFile(file, "wx+");
  for (const page of PAGES) pages.keep(digestOf(page), page);
  pages.keepBundle(digestOf(ROOT), { root: ROOT, pages: PAGES });
  pages.close();
}

describe("page file", () => {
  it("written and opened again, gives its pages and bundles", () => {
    write();
    const pages = new PageFile(file, "r");
    for (const page of PAGES) assert.deepEqual(pages.find(digestOf(page)), page);
    const bundle = pages.findBundle(digestOf(ROOT));
    assert.deepEqual([bundle?.root, ...(bundle?.pages ?? [])].map(String), [ROOT, ...PAGES].map(String));
    assert.equal(pages.find(digestOf(ROOT)), undefined);
    assert.equal(pages.findBundle(digestOf(Buffer.from("first"))), undefined);
    pages.close();
  });

  it("damaged in any way, gives right bytes or none", () => {
    write();
    const whole = fs.readFileSync(file);
    fc.assert(
      fc.property(fc.nat(whole.length), fc.nat(whole.length - 1), fc.nat(255), (length, at, value) => {
        const damaged = Buffer.from(whole.subarray(0, length));
        if (at < damaged.length) damaged[at] = value;
        fs.writeFileSync(file, damaged);
        const pages = new PageFile(file, "r");
        for (const page of PAGES) {
          const found = pages.find(digestOf(page));
          assert.ok(found === undefined || page.equals(found));
        }
        const bundle = pages.findBundle(digestOf(ROOT));
        assert.deepEqual((bundle?.pages ?? PAGES).map(String), PAGES.map(String));
        assert.ok(bundle === undefined || ROOT.equals(bundle.root));
        pages.close();
      }),
    );
  });

  it("with room for no more, keeps nothing and does not fail", () => {
    write();
    const pages = new PageFile(file, "r");
    const page = Buffer.from("a descriptor that is not open for writing stands for a full disk");
    pages.keep(digestOf(page), page);
    assert.equal(pages.find(digestOf(page)), undefined);
    pages.close();
  });
});
