import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { AetherError } from "../base/errors.ts";
import { digestOf } from "./digest.ts";
import * as record from "./record.ts";
import { parseDatasetName, parseTag } from "./reference.ts";
import { decodeSecret, encodeSecret, type SecretRecord } from "./secret-record.ts";

const DIGEST = digestOf(Buffer.from("x"));
const TIME = "2026-11-22T10:00:00.000Z";
const ID = "0123456789abcdef".repeat(2);

const DATASET: record.DatasetRecord = {
  name: parseDatasetName("@earth/cities"),
  incarnation: ID,
  domain: "@earth",
  created: TIME,
  chunking: { kind: "cdc", averageBytes: 65536 },
  immutableTags: ["v*"],
  retention: { keepLast: 3, keepWithinSeconds: null, keepTags: ["v*"] },
  deleted: null,
};
/** Members that may be absent. */
const OPTIONAL = new Set(["retention", "deleted", "epoch"]);
const HISTORY: record.HistoryRecord = {
  number: 7,
  state: "announced",
  digest: DIGEST,
  previous: null,
  time: TIME,
  publisher: "me",
  message: "naïve",
  labels: { a: "b" },
  writeId: ID,
  files: 1,
  bytes: 2,
};
const EVENT: record.EventRecord = {
  sequence: 3,
  kind: "tag",
  tag: parseTag("latest"),
  number: 7,
  state: "announced",
  digest: DIGEST,
  time: TIME,
};
const HINT: record.TagHint = { number: 7, digest: DIGEST, state: "pinned", event: 3 };
const OPENED: record.TagHint = {
  ...HINT,
  opening: { root: new Uint8Array([1, 2, 3, 4]), plan: new Uint8Array([5]) },
};
const LEASE: record.LeaseRecord = {
  epoch: 4,
  id: ID,
  holder: "me",
  created: TIME,
  ttlSeconds: 60,
  beat: 1,
  blocks: [DIGEST],
  versions: [DIGEST],
};

const SECRET: SecretRecord = { purpose: "nfs-handles", secret: "0123456789abcdef".repeat(4) };

interface Kind {
  readonly name: string;
  readonly value: object;
  readonly bytes: Uint8Array;
  readonly decode: (bytes: Uint8Array) => object;
}

const KINDS: readonly Kind[] = [
  { name: "store", value: { id: ID }, bytes: record.encodeStore({ id: ID }), decode: record.decodeStore },
  { name: "dataset", value: DATASET, bytes: record.encodeDataset(DATASET), decode: record.decodeDataset },
  { name: "history", value: HISTORY, bytes: record.encodeHistory(HISTORY), decode: record.decodeHistory },
  { name: "hint", value: HINT, bytes: record.encodeHint(HINT), decode: record.decodeHint },
  { name: "event", value: EVENT, bytes: record.encodeEvent(EVENT), decode: record.decodeEvent },
  { name: "secret", value: SECRET, bytes: encodeSecret(SECRET), decode: decodeSecret },
  { name: "lease", value: LEASE, bytes: record.encodeLease(LEASE), decode: record.decodeLease },
];

/** The code with which the bytes are refused, or undefined when they are not. Fails on any other kind of error. */
function refusal(kind: Kind, bytes: Uint8Array): string | undefined {
  try {
    kind.decode(bytes);
    return undefined;
  } catch (error) {
    assert.ok(error instanceof AetherError, String(error));
    return error.code;
  }
}

function changed(kind: Kind, change: (json: Record<string, unknown>) => void): Uint8Array {
  const json = JSON.parse(Buffer.from(kind.bytes).toString()) as Record<string, unknown>;
  change(json);
  return Buffer.from(JSON.stringify(json));
}

for (const kind of KINDS) {
  test(`a ${kind.name} record, encoded and decoded, is the same`, () => {
    assert.deepEqual(kind.decode(kind.bytes), kind.value);
    assert.match(
      Buffer.from(kind.bytes).toString(),
      new RegExp(`^{"format":"aetherfs.${kind.name}/1","requires":0,"key":null,.*}\n$`),
    );
  });

  test(`arbitrary bytes, decoded as a ${kind.name} record, are refused with an AetherError`, () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => assert.ok(refusal(kind, bytes))));
    fc.assert(fc.property(fc.json(), (json) => assert.ok(refusal(kind, Buffer.from(json)))));
  });

  test(`a ${kind.name} record with any byte changed is refused with an AetherError, or decoded`, () => {
    const index = fc.nat({ max: kind.bytes.byteLength - 1 });
    fc.assert(
      fc.property(index, fc.nat({ max: 255 }), (at, byte) => {
        const bytes = Uint8Array.from(kind.bytes);
        bytes[at] = byte;
        refusal(kind, bytes);
        // All but the newline is needed.
        const cut = kind.bytes.subarray(0, Math.min(at, kind.bytes.byteLength - 2));
        assert.equal(refusal(kind, cut), "OBJECT_INVALID");
      }),
    );
  });

  test(`a ${kind.name} record with any member of another type, or without it, is refused`, () => {
    const members = Object.keys(kind.value).filter((member) => !OPTIONAL.has(member));
    const odd = fc.oneof(fc.constantFrom(undefined, true, -1, 1.5, "?".repeat(5000), {}), fc.anything());
    fc.assert(
      fc.property(fc.constantFrom(...members), odd, (member, value) => {
        const bytes = changed(kind, (json) => (json[member] = value));
        const code = refusal(kind, bytes);
        if (value === undefined || typeof value === "boolean") assert.equal(code, "OBJECT_INVALID", member);
        else assert.ok(code === undefined || code === "OBJECT_INVALID" || code === "FORMAT_UNSUPPORTED");
      }),
    );
  });

  test(`a ${kind.name} record of a newer format, another kind, or an unknown feature is refused`, () => {
    const codeWith = (member: string, value: unknown): string | undefined =>
      refusal(
        kind,
        changed(kind, (json) => (json[member] = value)),
      );
    assert.equal(codeWith("format", `aetherfs.${kind.name}/2`), "FORMAT_UNSUPPORTED");
    assert.equal(codeWith("requires", 2), "FORMAT_UNSUPPORTED");
    assert.equal(codeWith("key", "k1"), "FORMAT_UNSUPPORTED");
    assert.equal(codeWith("format", "aetherfs.other/1"), "OBJECT_INVALID");
    assert.equal(codeWith("format", 1), "OBJECT_INVALID");
  });

  test(`a ${kind.name} record with a member that is not known is decoded without it`, () => {
    const bytes = changed(kind, (json) => (json["added-later"] = 1));
    assert.deepEqual(kind.decode(bytes), kind.value);
  });
}

test("a record that is longer than the limit is refused before it is parsed", () => {
  const [kind] = KINDS;
  assert.ok(kind);
  assert.equal(refusal(kind, new Uint8Array(record.RECORD_BYTES_MAX + 1)), "OBJECT_INVALID");
});

test("labels named as members of every object are labels like others", () => {
  const labels = JSON.parse('{"__proto__":"p","constructor":"c","toString":"t"}') as Record<string, string>;
  const found = record.decodeHistory(record.encodeHistory({ ...HISTORY, labels })).labels;
  assert.deepEqual(Object.entries(found), Object.entries(labels));
});

test("a lease with as many blocks as it may have is decoded, with one more refused", () => {
  const blocks = Array.from({ length: record.LEASE_BLOCKS_MAX }, () => DIGEST);
  const largest = record.encodeLease({ ...LEASE, blocks });
  assert.ok(largest.byteLength <= record.RECORD_BYTES_MAX);
  assert.equal(record.decodeLease(largest).blocks.length, record.LEASE_BLOCKS_MAX);
  assert.throws(() => record.decodeLease(record.encodeLease({ ...LEASE, blocks: [...blocks, DIGEST] })), {
    code: "OBJECT_INVALID",
  });
});

test("a dataset record without what was not always there has null in its place, and is written without it", () => {
  const [, kind] = KINDS;
  assert.ok(kind);
  const bytes = changed(kind, (json) => delete json["retention"]);
  const found = record.decodeDataset(bytes);
  assert.deepEqual(found, { ...DATASET, retention: null, deleted: null });
  assert.deepEqual(Object.keys(JSON.parse(Buffer.from(record.encodeDataset(found)).toString()) as object), [
    ...["format", "requires", "key"],
    ...["name", "incarnation", "domain", "created", "chunking", "immutableTags"],
  ]);
});

test("a hint keeps what opening its version begins with, and is refused where a part is too long or missing", () => {
  const kind = { name: "hint", value: OPENED, bytes: record.encodeHint(OPENED), decode: record.decodeHint };
  assert.deepEqual(record.decodeHint(kind.bytes), OPENED);
  const largest = new Uint8Array(record.OPENING_BYTES_MAX);
  const at = { ...HINT, opening: { root: largest, plan: largest } };
  assert.deepEqual(record.decodeHint(record.encodeHint(at)), at);
  const above = { ...HINT, opening: { root: largest, plan: new Uint8Array(largest.byteLength + 1) } };
  assert.equal(refusal(kind, record.encodeHint(above)), "OBJECT_INVALID");
  for (const plan of [undefined, null, 1, "AQ", "AQ=", "A Q==", "-_8="]) {
    assert.equal(
      refusal(
        kind,
        changed(kind, (json) => (json["plan"] = plan)),
      ),
      "OBJECT_INVALID",
      String(plan),
    );
  }
});

test("a deleted dataset's record requires a feature, so that who does not know of deletion keeps away", () => {
  const deleted = { time: TIME, publisher: "me", state: "deleted" } as const;
  const bytes = record.encodeDataset({ ...DATASET, deleted });
  assert.match(Buffer.from(bytes).toString(), /"requires":1,/);
  assert.deepEqual(record.decodeDataset(bytes), { ...DATASET, deleted });
  const text = Buffer.from(bytes).toString().replace('"requires":1', '"requires":0');
  assert.throws(() => record.decodeDataset(Buffer.from(text)), { code: "OBJECT_INVALID" });
});

for (const [member, value] of [
  ["keepLast", 0],
  ["keepLast", record.KEEP_LAST_MAX + 1],
  ["keepLast", "1"],
  ["keepWithinSeconds", -1],
  ["keepTags", null],
  ["keepTags", Array.from({ length: record.PATTERNS_MAX + 1 }, () => "v")],
] as const) {
  test(`a dataset record whose retention has ${member} ${String(value).slice(0, 9)} is refused`, () => {
    const [, kind] = KINDS;
    assert.ok(kind);
    const retention = { ...DATASET.retention, [member]: value };
    assert.equal(
      refusal(
        kind,
        changed(kind, (json) => (json["retention"] = retention)),
      ),
      "OBJECT_INVALID",
    );
  });
}
