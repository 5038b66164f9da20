/** Vectors of records. docs/format.md §8 */
import { digestOf } from "../../src/format/digest.ts";
import * as record from "../../src/format/record.ts";
import {
  encodeCondemned,
  encodeEpoch,
  encodeFloor,
  objectName,
  type CondemnedRecord,
  type EpochRecord,
  type FloorRecord,
} from "../../src/format/prune-record.ts";
import { parseDatasetName, parseTag } from "../../src/format/reference.ts";
import { encodeSecret, type SecretRecord } from "../../src/format/secret-record.ts";
import { plain, type VectorCase } from "./case.ts";

const TIME = "2026-11-22T10:00:00.000Z";
const ID = "0123456789abcdef".repeat(2);
const digest = digestOf(Buffer.from("aetherfs record"));

const DATASET: record.DatasetRecord = {
  name: parseDatasetName("@earth/cities"),
  incarnation: ID,
  domain: "@earth",
  created: TIME,
  chunking: { kind: "cdc", averageBytes: 65536 },
  immutableTags: ["v*"],
  retention: null,
  deleted: null,
};
const HISTORY: record.HistoryRecord = {
  number: 7,
  state: "announced",
  digest,
  previous: digestOf(Buffer.from("before")),
  time: TIME,
  publisher: "me",
  message: "naïve",
  labels: { source: "natural-earth" },
  writeId: ID,
  files: 1,
  bytes: 2,
};
const EVENT: record.EventRecord = {
  ...{ sequence: 3, kind: "tag", tag: parseTag("latest"), number: 7, state: "announced", digest, time: TIME },
};
const LEASE: record.LeaseRecord = {
  ...{ id: ID, holder: "me", created: TIME, ttlSeconds: 900, beat: 1, blocks: [digest], versions: [] },
  epoch: 4,
};

const EPOCH: EpochRecord = {
  ...{ number: 3, state: "sweeping", mark: ID, parts: 1, markedMs: 1_764_000_000_000, sweeper: ID },
  datasets: [{ name: parseDatasetName("@earth/cities"), incarnation: ID, time: TIME }],
  rescued: [objectName("plans", digest)],
  floors: false,
};
const FLOOR: FloorRecord = {
  ...{ incarnation: ID, floor: 12, kept: [3, 7] },
  retention: { keepLast: 3, keepWithinSeconds: null, keepTags: ["v*"] },
};
const CONDEMNED: CondemnedRecord = {
  ...{ mark: ID, part: 1 },
  names: [objectName("blocks", digest), objectName("domain-plans", digest)],
};

/** As leases were written before there were epochs. */
function leaseOfOld(): Uint8Array {
  return Buffer.from(Buffer.from(record.encodeLease(LEASE)).toString().replace(',"epoch":4', ""));
}

type Valid = (kind: string, bytes: Uint8Array, value: object, name?: string) => VectorCase;

function hintCases(valid: Valid): VectorCase[] {
  const hint = { number: 7, digest, state: "pinned", event: 3 } as const;
  const opening = { root: Buffer.from("08011001", "hex"), plan: Buffer.from("0807", "hex") };
  const opened = { ...hint, opening };
  const text = Buffer.from(record.encodeHint(opened)).toString("utf8").replace('"CAEQAQ=="', '"CAEQAQ"');
  const expect = { error: "OBJECT_INVALID" } as const;
  return [
    valid("hint", record.encodeHint(hint), hint),
    valid("hint", record.encodeHint(opened), opened, "hint-with-opening"),
    {
      path: "record/hint-opening-not-base64.json",
      content: { description: "a hint whose root is no base64", kind: "hint", text, expect },
    },
  ];
}

function secretCases(valid: Valid): VectorCase[] {
  const secret: SecretRecord = { purpose: "nfs-handles", secret: "0123456789abcdef".repeat(4) };
  const text = Buffer.from(encodeSecret(secret)).toString("utf8");
  const broken = (name: string, description: string, from: string, to: string): VectorCase => ({
    path: `record/secret-${name}.json`,
    content: {
      ...{ description, kind: "secret", text: text.replace(from, to) },
      expect: { error: "OBJECT_INVALID" },
    },
  });
  return [
    valid("secret", encodeSecret(secret), secret),
    broken("short", "a secret of 31 bytes", "0123456789abcdef", "0123456789abcd"),
    broken("upper", "digits in upper case", "abcdef", "ABCDEF"),
    broken("purpose-unknown", "a secret for nothing that is known", "nfs-handles", "other"),
  ];
}

function pruneCases(valid: Valid): VectorCase[] {
  const holdsNothingUp = { ...LEASE, epoch: null };
  return [
    valid("lease", leaseOfOld(), { ...LEASE, epoch: 0 }, "lease-without-epoch"),
    valid("lease", record.encodeLease(holdsNothingUp), holdsNothingUp, "lease-holds-nothing-up"),
    valid("epoch", encodeEpoch(EPOCH), EPOCH),
    valid("epoch", encodeEpoch({ ...EPOCH, floors: true }), { ...EPOCH, floors: true }, "epoch-with-floors"),
    valid("condemned", encodeCondemned(CONDEMNED), CONDEMNED),
    valid("floor", encodeFloor(FLOOR), FLOOR),
    valid("floor", encodeFloor({ ...FLOOR, retention: null }), { ...FLOOR, retention: null }, "floor-unsure"),
    ...brokenEpochs(),
  ];
}

function brokenEpochs(): VectorCase[] {
  const broken = (
    name: string,
    description: string,
    kind: string,
    bytes: Uint8Array,
    from: string,
    to: string,
  ): VectorCase => {
    const text = Buffer.from(bytes).toString().replace(from, to);
    return {
      path: `record/${name}.json`,
      content: { description, kind, text, expect: { error: "OBJECT_INVALID" } },
    };
  };
  return [
    broken("epoch-state-unknown", "an unknown state", "epoch", encodeEpoch(EPOCH), "sweeping", "paused"),
    broken("epoch-parts", "201 parts", "epoch", encodeEpoch(EPOCH), '"parts":1', '"parts":201'),
    broken("floor-order", "kept out of order", "floor", encodeFloor(FLOOR), "[3,7]", "[7,3]"),
    broken("floor-above", "kept at the floor", "floor", encodeFloor(FLOOR), "[3,7]", "[3,12]"),
    broken("floor-zero", "an entry 0", "floor", encodeFloor(FLOOR), "[3,7]", "[0,7]"),
    broken(
      "condemned-kind",
      "a name of no kind",
      "condemned",
      encodeCondemned(CONDEMNED),
      '"blocks/',
      '"leases/',
    ),
    broken(
      "condemned-digest",
      "a name without a digest",
      "condemned",
      encodeCondemned(CONDEMNED),
      digest,
      "store.json",
    ),
  ];
}

/** Records as they are written, and ones that are refused. */
export function recordCases(): VectorCase[] {
  const valid = (kind: string, bytes: Uint8Array, value: object, name = kind): VectorCase => ({
    path: `record/${name}.json`,
    content: {
      description: `a ${kind} record`,
      kind,
      text: Buffer.from(bytes).toString("utf8"),
      expect: { value: plain(value) },
    },
  });
  const sound = Buffer.from(record.encodeHistory(HISTORY)).toString("utf8");
  const broken = (
    name: string,
    description: string,
    from: string,
    to: string,
    error = "OBJECT_INVALID",
  ): VectorCase => {
    const text = sound.replace(from, to);
    if (text === sound) throw new Error(`record/${name}: nothing to replace`);
    return {
      path: `record/history-${name}.json`,
      content: { description, kind: "history", text, expect: { error } },
    };
  };
  const bare = {
    ...DATASET,
    name: parseDatasetName("cities"),
    domain: "",
    chunking: null,
    immutableTags: [],
  };
  const retained = {
    ...DATASET,
    retention: { keepLast: 10, keepWithinSeconds: 2_592_000, keepTags: ["v*"] },
  };
  const deleted = { ...DATASET, deleted: { time: TIME, publisher: "me", state: "deleted" } } as const;
  return [
    valid("store", record.encodeStore({ id: ID }), { id: ID }),
    valid("dataset", record.encodeDataset(DATASET), DATASET),
    valid("dataset", record.encodeDataset(bare), bare, "dataset-without-scope"),
    valid("dataset", record.encodeDataset(retained), retained, "dataset-with-retention"),
    valid("dataset", record.encodeDataset(deleted), deleted, "dataset-deleted"),
    {
      path: "record/dataset-deleted-unmarked.json",
      content: {
        description: "a deletion that no feature bit tells of",
        kind: "dataset",
        text: Buffer.from(record.encodeDataset(deleted))
          .toString("utf8")
          .replace('"requires":1', '"requires":0'),
        expect: { error: "OBJECT_INVALID" },
      },
    },
    valid("history", record.encodeHistory(HISTORY), HISTORY),
    valid(
      "history",
      record.encodeHistory({ ...HISTORY, previous: null, labels: {} }),
      { ...HISTORY, previous: null, labels: {} },
      "history-first",
    ),
    ...hintCases(valid),
    valid("event", record.encodeEvent(EVENT), EVENT),
    valid("lease", record.encodeLease(LEASE), LEASE),
    ...pruneCases(valid),
    ...secretCases(valid),
    broken("other-kind", "a hint where a history entry is expected", "aetherfs.history/1", "aetherfs.hint/1"),
    broken("other-format", "another program's record", "aetherfs.history/1", "other/1"),
    broken("version", "format version 2", "aetherfs.history/1", "aetherfs.history/2", "FORMAT_UNSUPPORTED"),
    broken("requires", "required feature bit 0", '"requires":0', '"requires":1', "FORMAT_UNSUPPORTED"),
    broken("key", "a key id", '"key":null', '"key":"k"', "FORMAT_UNSUPPORTED"),
    broken(
      "digest-upper",
      "a digest in upper case",
      `"digest":"sha256:${digest}"`,
      `"digest":"sha256:${digest.toUpperCase()}"`,
    ),
    broken(
      "digest-bare",
      "a digest without its algorithm",
      `"digest":"sha256:${digest}"`,
      `"digest":"${digest}"`,
    ),
    broken("state-unknown", "an unknown state", '"state":"announced"', '"state":"done"'),
    broken("number-negative", "entry −7", '"number":7', '"number":-7'),
    broken("number-fraction", "entry 7.5", '"number":7', '"number":7.5'),
    broken("number-text", "a number as a string", '"number":7', '"number":"7"'),
    broken("member-missing", "no digest", '"digest"', '"other"'),
    broken("labels-list", "labels as a list", '{"source":"natural-earth"}', "[]"),
    broken("label-number", "a label that is a number", '"natural-earth"', "1"),
    broken("not-json", "JSON that is cut off", "}\n", "\n"),
  ];
}
