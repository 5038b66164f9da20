import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Readable } from "node:stream";
import fc from "fast-check";
import { must } from "../../../base/assert.ts";
import { AetherError } from "../../../base/errors.ts";
import { MiB } from "../../../base/limits.ts";
import { EntrySequence } from "../../../format/entry.ts";
import { createPathFilter } from "../../path-filter.ts";
import {
  paxHeader,
  tarMember,
  tarOf,
  zipOf,
  type TarMember,
  type ZipMember,
} from "../../testing/archives.ts";
import { BED_TAG, openPushBed, type PushBed } from "../../testing/push-bed.ts";
import { WorkerPool } from "../../workers/pool.ts";
import { walkArchive } from "./archive-source.ts";
import { openArchive } from "./archive.ts";

/** A parser that waits for what does not come fails the test. */
const TEST_TIMEOUT_MS = 120_000;

let pool: WorkerPool;
let bed: PushBed;
before(async () => {
  pool = new WorkerPool(1);
  bed = await openPushBed(pool);
});
after(async () => {
  await bed.close();
  await pool.close();
});

const segment = fc.constantFrom("a", "b", "c", "ü", ".", "..", "", "a b", "\\", "\0", "-", "x".repeat(120));
const name = fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => segments.join("/"));
const odd = <T>(usual: T, ...others: T[]): fc.Arbitrary<T> =>
  fc.oneof(
    { weight: 6, arbitrary: fc.constant(usual) },
    { weight: 1, arbitrary: fc.constantFrom(usual, ...others) },
  );
const field = fc.uint8Array({ minLength: 12, maxLength: 12 });

const tarMembers: fc.Arbitrary<TarMember> = fc.record({
  name: fc.oneof({ weight: 9, arbitrary: name }, { weight: 1, arbitrary: fc.uint8Array({ maxLength: 100 }) }),
  type: fc.constantFrom("0", "0", "\0", "5", "2", "1", "3", "6", "7", "x", "g", "L", "K", "S", "V", "Z"),
  bytes: fc.string({ maxLength: 700 }),
  link: name,
  mode: odd(0o644, 0, 0o7777777),
  mtime: fc.oneof({ weight: 9, arbitrary: fc.nat() }, { weight: 1, arbitrary: field }),
  prefix: odd("", "p", "/", "..", "x".repeat(155)),
  magic: odd("ustar\x0000", "ustar  \0", ""),
});
const paxHeaders = fc
  .dictionary(
    fc.constantFrom("path", "linkpath", "size", "mtime", "comment", "GNU.sparse.major", "hdrcharset"),
    fc.oneof(name, fc.constantFrom("0", "5", "1.5", "-1", "1e9", "99999999999999999999")),
    { maxKeys: 3 },
  )
  .map(paxHeader);

const zipMembers: fc.Arbitrary<ZipMember> = fc.record(
  {
    name,
    bytes: fc.string({ maxLength: 300 }),
    mode: fc.constantFrom(0o100644, 0o040755, 0o120777, 0o060600, 0o644),
    flags: odd(0x800, 0, 1, 0x808, 0x2041),
    method: odd(8, 0, 12),
    extra: odd(Buffer.alloc(0), Buffer.from("5554050001", "hex"), Buffer.from("555405000100000080", "hex")),
    localOffset: odd(0, 1, 100),
  },
  { requiredKeys: ["name"] },
);

/** Opens it, leaving out what cannot be held: the list is sound, or there is an error of the table. */
async function check(archive: Buffer): Promise<void> {
  const options = {
    source: "-",
    input: Readable.from([archive]),
    tags: [BED_TAG],
    publisher: "test",
    spoolBytes: MiB,
    skipUnreadable: true,
  };
  try {
    const { files, close } = must(await openArchive(bed.engine, options), "it is an archive");
    try {
      const sequence = new EntrySequence();
      for (const entry of walkArchive(files, createPathFilter({}))) {
        sequence.next(entry.path, entry.kind === "directory");
      }
    } finally {
      await close();
    }
  } catch (error) {
    assert.ok(error instanceof AetherError, String(error));
    assert.ok(
      ["SOURCE_UNREADABLE", "SOURCE_UNSUPPORTED", "LIMIT_EXCEEDED"].includes(error.code),
      error.message,
    );
  }
}

describe("an archive of any members", { timeout: TEST_TIMEOUT_MS }, () => {
  it("in tar, is listed soundly or refused", async () => {
    const parts = fc.array(fc.oneof({ weight: 3, arbitrary: tarMembers.map(tarMember) }, paxHeaders), {
      maxLength: 6,
    });
    await fc.assert(
      fc.asyncProperty(parts, (members) => check(tarOf(...members))),
      { numRuns: 300 },
    );
  });

  it("in zip, is listed soundly or refused", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(zipMembers, { minLength: 1, maxLength: 5 }), (members) =>
        check(zipOf(members)),
      ),
      { numRuns: 300 },
    );
  });
});
