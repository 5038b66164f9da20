/** Vectors of pages. docs/format.md §6.1, §6.3 */
import { digestOf } from "../../src/format/digest.ts";
import type { FileTime } from "../../src/format/entry.ts";
import { encodeChunkPage, encodeEntryPage, encodeInnerPage, encodeTimePage } from "../../src/format/page.ts";
import type { ChildItem, Page, TimelessEntry, TreeKind } from "../../src/format/page.ts";
import { hex, plain, rawMessage, refused, seededBytes, seededDigest } from "./case.ts";
import type { RawFields, VectorCase } from "./case.ts";

function encode(page: Page): Uint8Array {
  if ("children" in page) return encodeInnerPage(page.kind, page.level, page.children);
  if (page.kind === "entries") return encodeEntryPage(page.entries);
  return page.kind === "times" ? encodeTimePage(page.times) : encodeChunkPage(page.chunks);
}

function valid(name: string, description: string, page: Page): VectorCase {
  const bytes = encode(page);
  const { kind, level } = page;
  const content = {
    description,
    kind,
    level,
    bytes: hex(bytes),
    digest: digestOf(bytes),
    expect: { value: plain(page) },
  };
  return { path: `page/${name}.json`, content };
}

const digest = (index: number) => seededDigest("aetherfs page", index);
const digests = (count: number): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, index) => seededBytes("aetherfs page", index)));

const file = (path: string, size: number, mode = 0o644): TimelessEntry => ({
  path,
  kind: "file",
  mode,
  size,
  digest: digest(size),
});
const folder = (path: string): TimelessEntry => ({ path, kind: "directory", mode: 0o755 });
const link = (path: string, target: string): TimelessEntry => ({
  path,
  kind: "symlink",
  mode: 0o777,
  target,
});

const ENTRIES: readonly TimelessEntry[] = [
  folder("a"),
  file("a.txt", 5),
  folder("a/b"),
  file("a/b/c", 0, 0o7777),
  link("a/link", "../outside"),
  file("naïve\uffff", 2 ** 40, 0),
  file("naïve\u{10000}", 1),
];
const CHILDREN: readonly ChildItem[] = [
  { digest: digest(1), items: 20, bytes: 0, firstPath: "a" },
  { digest: digest(2), items: 300, bytes: 2 ** 40, firstPath: "b\uffff" },
  { digest: digest(3), items: 1, bytes: 9, firstPath: "b\u{10000}" },
];

function validCases(): VectorCase[] {
  const times: FileTime[] = [
    { seconds: 1_700_000_000, nanos: 123_456_789 },
    { seconds: 1_600_000_000, nanos: 0 },
    { seconds: -1, nanos: 999_999_999 },
    { seconds: 2 ** 40, nanos: 0 },
    { seconds: -(2 ** 40), nanos: 1 },
  ];
  const children = CHILDREN.map((child) => ({ ...child, firstPath: "" }));
  return [
    valid("entries", "files, folders, a symlink, characters beyond the BMP last", {
      kind: "entries",
      level: 0,
      entries: ENTRIES,
    }),
    valid("entries-one", "one file in the top folder", {
      kind: "entries",
      level: 0,
      entries: [file("a", 1)],
    }),
    valid("times", "nanoseconds, times before 1970 and at the limits", { kind: "times", level: 0, times }),
    valid("times-whole-seconds", "no nanoseconds at all", {
      kind: "times",
      level: 0,
      times: [
        { seconds: 5, nanos: 0 },
        { seconds: 5, nanos: 0 },
      ],
    }),
    valid("chunks", "a small chunk and one of the largest", {
      kind: "chunks",
      level: 0,
      chunks: [
        { digest: digest(1), length: 1 },
        { digest: digest(2), length: 2 ** 24 },
      ],
    }),
    valid("entries-inner", "an inner page of entries", { kind: "entries", level: 1, children: CHILDREN }),
    valid("times-inner", "an inner page of times", {
      kind: "times",
      level: 10,
      children: children.map((child) => ({ ...child, bytes: 0 })),
    }),
    valid("chunks-inner", "an inner page of chunks", { kind: "chunks", level: 2, children }),
  ];
}

type Broken = (name: string, description: string, changes: RawFields, error?: string) => VectorCase;

/** Makes cases from a sound page's fields, some of them changed; a changed field of undefined is left out. */
function breaker(kind: TreeKind, level: number, sound: RawFields): Broken {
  return (name, description, changes, error = "OBJECT_INVALID") => {
    const fields = { ...sound, ...changes };
    return refused(`page/${name}.json`, description, rawMessage(fields), error, { kind, level });
  };
}

/** Entry pages of files of one byte with these paths, whatever they are. */
function paths(...raw: readonly (string | Buffer)[]): RawFields {
  const bytes = raw.map((path) => Buffer.from(path));
  const suffixes = Buffer.concat(
    bytes.map((path, index) => path.subarray(sharedWith(bytes[index - 1], path))),
  );
  return {
    3: bytes.map((path, index) => sharedWith(bytes[index - 1], path)),
    4: bytes.map((path, index) => path.byteLength - sharedWith(bytes[index - 1], path)),
    5: suffixes.byteLength === 0 ? undefined : suffixes,
    6: raw.map(() => 0),
    7: raw.map(() => 0o644),
    8: raw.map(() => 1),
    9: digests(raw.length),
  };
}

function sharedWith(before: Buffer | undefined, path: Buffer): number {
  let shared = 0;
  while (before !== undefined && shared < path.byteLength && before[shared] === path[shared]) shared++;
  return shared;
}

function unsafeCases(): VectorCase[] {
  const broken = breaker("entries", 0, { 1: 1 });
  const unsafe = (name: string, description: string, ...raw: string[]): VectorCase =>
    broken(`path-${name}`, description, paths(...raw), "MANIFEST_UNSAFE");
  return [
    unsafe("absolute", "an absolute path", "/etc/passwd"),
    unsafe("dot-dot", "a path out of the folder", "../x"),
    unsafe("dot-dot-inside", "a .. segment in the middle", "a/../../x"),
    unsafe("dot-dot-last", "a .. segment at the end", "a/.."),
    unsafe("dot", "a . segment", "a/./x"),
    unsafe("double-slash", "an empty segment", "a//x"),
    unsafe("slash-last", "an empty segment at the end", "a/"),
    unsafe("nul", "a NUL", "a\0b"),
    unsafe("duplicate", "a path that stands twice", "a", "a"),
    unsafe("descending", "a path before the one that went before", "b", "a"),
    unsafe("prefix-after", "a path after one that it begins", "ab", "a"),
    unsafe("utf16-order", "the order of UTF-16 units, not of bytes", "\u{10000}", "\uffff"),
    broken("path-empty", "an empty path", paths(""), "MANIFEST_UNSAFE"),
    broken("path-not-utf8", "a path that is not UTF-8", paths(Buffer.from("61ff", "hex"))),
    broken("path-surrogate", "a surrogate in UTF-8", paths(Buffer.from("eda080", "hex"))),
    broken("path-overlong-slash", "a slash in two bytes", paths(Buffer.from("2e2ec0af78", "hex"))),
    broken("path-long", "a path of 4,097 bytes", paths("a".repeat(4097))),
    broken("path-shares-less", "a path that shares more with the one before than it says", {
      ...paths("ab", "ac"),
      3: [0, 0],
      4: [2, 2],
      5: Buffer.from("abac"),
    }),
    broken("path-shares-more", "a path that shares more than the one before has", {
      ...paths("a", "b"),
      3: [0, 2],
    }),
  ];
}

function columnCases(): VectorCase[] {
  const broken = breaker("entries", 0, { 1: 1, ...paths("a", "b") });
  return [
    broken("entries-empty", "no entry at all", {
      3: undefined,
      4: undefined,
      5: undefined,
      6: undefined,
      7: undefined,
      8: undefined,
      9: undefined,
    }),
    broken("entries-other-kind", "a page of times where one of entries is named", { 1: 2 }),
    broken("entries-other-level", "a page of level 1 where a leaf is named", { 2: 1 }),
    broken("entries-shared-short", "a column that is too short", { 3: [0] }),
    broken("entries-suffixes-short", "suffixes that are cut off", { 5: Buffer.from("a") }),
    broken("entries-suffixes-long", "suffixes with a byte too many", { 5: Buffer.from("abc") }),
    broken("entries-kind-unknown", "an entry of kind 3", { 6: [0, 3] }),
    broken("entries-mode-over", "a mode over 0o7777", { 7: [0o644, 0o10000] }),
    broken("entries-size-missing", "a file without a size", { 8: [1] }),
    broken("entries-size-extra", "a size too many", { 8: [1, 1, 1] }),
    broken("entries-digest-short", "digests that are cut off", { 9: digests(2).subarray(1) }),
    broken("entries-digest-extra", "a digest too many", { 9: digests(3) }),
    broken("entries-target-missing", "a symlink without a target", { 6: [0, 2], 8: [1], 9: digests(1) }),
    broken("entries-target-empty", "a symlink with an empty target", {
      6: [0, 2],
      8: [1],
      9: digests(1),
      10: [0],
    }),
    broken("entries-target-nul", "a NUL in a target", {
      6: [0, 2],
      8: [1],
      9: digests(1),
      10: [1],
      11: Buffer.alloc(1),
    }),
    broken("entries-target-extra", "a target too many", { 10: [1], 11: Buffer.from("t") }),
    broken("entries-field-unknown", "field 12", { 12: 1 }),
    broken("entries-too-many", "8,193 entries", { 3: Array.from({ length: 8193 }, () => 0) }),
    broken("page-huge", "a page of more than 64 KiB", { 5: Buffer.alloc(65_536, 97) }),
  ];
}

function otherCases(): VectorCase[] {
  const time = breaker("times", 0, { 1: 2, 3: [10, 2], 4: [5, 0] });
  const chunk = breaker("chunks", 0, { 1: 3, 3: digests(2), 4: [1, 2] });
  const inner = breaker("entries", 1, { 1: 1, 2: 1, 3: digests(2), 4: [1, 2], 5: [0, 9] });
  const first = (
    name: string,
    description: string,
    error: string,
    ...raw: readonly (string | Buffer)[]
  ): VectorCase => {
    const parts = raw.map((path): RawFields => ({ 6: Buffer.from(path) }));
    const sound: RawFields = { 1: 1, 2: 1, 3: digests(2), 4: [1, 2], 5: [0, 9] };
    return refused(`page/inner-${name}.json`, description, rawMessage(sound, ...parts), error, {
      kind: "entries",
      level: 1,
    });
  };
  return [
    time("times-empty", "no time at all", { 3: undefined, 4: undefined }),
    time("times-nanos-short", "nanoseconds for one of two", { 4: [5] }),
    time("times-nanos-zero", "nanoseconds that are all zero and yet there", { 4: [0, 0] }),
    time("times-nanos-over", "a second of nanoseconds", { 4: [5, 1_000_000_000] }),
    time("times-over", "a time after 2^40", { 3: [2 ** 41, 2] }),
    chunk("chunks-empty", "no chunk at all", { 3: undefined, 4: undefined }),
    chunk("chunks-length-zero", "a chunk of no bytes", { 4: [1, 0] }),
    chunk("chunks-length-over", "a chunk of more than 16 MiB", { 4: [1, 2 ** 24 + 1] }),
    chunk("chunks-digest-short", "digests that are cut off", { 3: digests(2).subarray(1) }),
    inner("inner-without-paths", "children without their first paths", {}),
    first("child-count", "first paths for three children of two", "OBJECT_INVALID", "a", "b", "c"),
    first("path-descending", "children out of order", "MANIFEST_UNSAFE", "b", "a"),
    first("path-twice", "children with the same first path", "MANIFEST_UNSAFE", "a", "a"),
    first("path-dot-dot", "a child that begins outside of the folder", "MANIFEST_UNSAFE", "../a", "b"),
    first("path-not-utf8", "a first path that is not UTF-8", "OBJECT_INVALID", Buffer.from("ff", "hex"), "b"),
    breaker("chunks", 1, { 1: 3, 2: 1, 3: digests(2), 4: [1, 0], 5: [1, 1] })(
      "inner-child-empty",
      "a child without items",
      {},
    ),
    breaker("times", 1, { 1: 2, 2: 1, 3: digests(2), 4: [1, 1], 5: [1, 1] })(
      "inner-times-bytes",
      "bytes in a tree of times",
      {},
    ),
    breaker("chunks", 1, { 1: 3, 2: 1, 3: digests(2), 4: [1, 1], 5: [1] })(
      "inner-bytes-short",
      "bytes for one child of two",
      {},
    ),
  ];
}

/** Pages of each kind, leaves and inner ones, and every fault that a reader must find in one. */
export function pageCases(): VectorCase[] {
  return [...validCases(), ...unsafeCases(), ...columnCases(), ...otherCases()];
}
