/** A dataset whose names and contents break what is careless, and what an interface must show of it. */
import { createHash } from "node:crypto";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { noise } from "../../src/dataset/testing/engine.ts";

/** Something at a path of the dataset. */
export interface Item {
  readonly kind: "file" | "directory" | "symlink";
  /** Of a file: bytes, and the lower-case hex SHA-256 of them. */
  readonly size?: number;
  readonly sha256?: string;
  /** Of a symlink. */
  readonly target?: string;
}

/** Files of one folder: more than any interface lists at once. */
const MANY = 10_000;
/** Bytes of the file that lies in several blocks when they have a MiB. */
const BIG_BYTES = 5 * 1024 * 1024 + 3;
const DEPTH = 40;

const NAMES = [
  "a b",
  "100%",
  "%2F%2e%2e",
  "plus+and&and=and;and,",
  "hash#question?",
  "quote'double\"back`",
  "<tag>",
  "[bracket]{brace}",
  "tilde~star*pipe|",
  "colon:at@dollar$",
  ".hidden",
  "...",
  "dot.",
  " leading and trailing ",
  "back\\slash",
  "ünïcödé",
  // The same to a reader, but not the same bytes: NFC and NFD.
  "caf\u00e9",
  "cafe\u0301",
  "日本語.txt",
  "🗺️.png",
  "\u202eright-to-left",
  "acl",
  "index.html",
  "UPPER",
  "upper",
  "x".repeat(255),
];

/** Writes the dataset's files below `folder`, and tells what is there, by path. */
export function writeAwkward(folder: string): ReadonlyMap<string, Item> {
  const items = new Map<string, Item>();
  const mkdir = (path: string): void => {
    if (path === "." || items.has(path)) return;
    mkdir(dirname(path));
    mkdirSync(join(folder, path));
    items.set(path, { kind: "directory" });
  };
  const write = (path: string, content: Uint8Array | string): void => {
    mkdir(dirname(path));
    const bytes = Buffer.from(content);
    writeFileSync(join(folder, path), bytes);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    items.set(path, { kind: "file", size: bytes.byteLength, sha256 });
  };
  const link = (path: string, target: string): void => {
    mkdir(dirname(path));
    symlinkSync(target, join(folder, path));
    items.set(path, { kind: "symlink", target });
  };
  for (const name of NAMES) {
    write(`names/${name}`, `content of ${name}`);
    write(`folders/${name}/inside`, name);
  }
  write("empty", "");
  mkdir("empty-folder");
  mkdir("empty-folder-2/deeper");
  write("one-byte", "x");
  write("big.bin", noise(11, BIG_BYTES));
  write("repetitive.txt", "the same line again and again\n".repeat(40_000));
  write(`${"d/".repeat(DEPTH)}bottom`, "deep");
  // In byte order "a!" comes between the folder "a" and what lies in it.
  write("order/a/z", "1");
  write("order/a!", "2");
  write("order/a.b", "3");
  for (let index = 0; index < MANY; index++) write(`many/${index}`, index % 7 === 0 ? "" : `file ${index}`);
  link("link-to-file", "names/acl");
  link("link-to-folder", "order/a");
  link("order/up", "../one-byte");
  link("dangling", "nowhere");
  link("out", "/etc/hostname");
  link("loop", "loop");
  return items;
}
