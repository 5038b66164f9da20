/** Hostile bytes for every decoder: mutations of sound ones, and what a decoder may answer. */
import { zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { AetherError } from "../../base/errors.ts";
import { decodeIndex } from "../block.ts";
import { decodeFrameWithin } from "../frame.ts";
import { HEADER_BYTES, checkHeader, encodeHeader } from "../header.ts";
import { decodeBundle, decodeManifestObject, decodeRoot } from "../manifest.ts";
import { PAGE_BYTES_MAX, TREE_KINDS, decodePage, type TreeKind } from "../page.ts";
import { decodePlan } from "../plan.ts";
import * as record from "../record.ts";
import { decodeSecret } from "../secret-record.ts";
import { readVectors } from "./vectors.ts";
import { WireReader, WireWriter } from "../wire.ts";

/** A decoder, and bytes that are nearly what it expects. */
export interface Target {
  readonly name: string;
  readonly seeds: readonly Uint8Array[];
  readonly decode: (bytes: Uint8Array) => unknown;
}

const CODES: readonly string[] = [
  "OBJECT_INVALID",
  "OBJECT_CORRUPT",
  "FORMAT_UNSUPPORTED",
  "MANIFEST_UNSAFE",
];
const KINDS = Object.keys(TREE_KINDS) as TreeKind[];

/** The code with which the bytes are refused, or undefined. Throws what no decoder may throw. */
export function refusal(target: Target, bytes: Uint8Array): string | undefined {
  try {
    target.decode(bytes);
    return undefined;
  } catch (error) {
    if (error instanceof AetherError && CODES.includes(error.code)) return error.code;
    throw new Error(`${target.name} on ${Buffer.from(bytes).toString("hex").slice(0, 2000)}`, {
      cause: error,
    });
  }
}

/** A message wrapped as the one in front of it says: so that mutations reach what lies inside of compressed bytes. */
function wrapped(kind: "plan" | "manifest", body: Uint8Array): Uint8Array {
  const payload = zstdCompressSync(body);
  const writer = new WireWriter();
  if (kind === "plan") writer.uint(1, body.byteLength).bytes(2, payload);
  else writer.uint(1, 1).uint(2, body.byteLength).bytes(5, payload);
  return Buffer.concat([encodeHeader(kind), writer.finish()]);
}

function vectorBytes(folder: string): Uint8Array[] {
  return readVectors(folder).map((vector) => vector.bytes);
}

function recordTarget(name: string, decode: (bytes: Uint8Array) => unknown): Target {
  const ours = readVectors("record").filter(({ content }) => content["kind"] === name);
  return {
    name: `${name} record`,
    seeds: ours.map(({ content }) => Buffer.from(content["text"] as string)),
    decode,
  };
}

/** Every decoder of the format. */
export function targets(): Target[] {
  const manifests = vectorBytes("manifest").map((bytes) => bytes.subarray(0, 4000));
  const plans = readVectors("plan").flatMap(({ content }) =>
    "body" in content ? [content["body"] as string] : [],
  );
  const bundles = [
    new WireWriter().bytes(1, Buffer.from("0801", "hex")).element(2, Buffer.alloc(9)).finish(),
  ];
  return [
    { name: "message", seeds: vectorBytes("wire"), decode: readAnything },
    { name: "header", seeds: vectorBytes("header"), decode: (bytes) => checkHeader(bytes, "plan") },
    { name: "root", seeds: vectorBytes("root"), decode: decodeRoot },
    ...KINDS.flatMap((kind) => [0, 1].map((level) => pageTarget(kind, level))),
    { name: "manifest object", seeds: manifests, decode: (bytes) => decodeManifest(bytes) },
    { name: "bundle", seeds: bundles, decode: (bytes) => decodeManifest(wrapped("manifest", bytes)) },
    { name: "block", seeds: vectorBytes("block"), decode: decodeBlock },
    { name: "plan object", seeds: vectorBytes("plan"), decode: decodePlan },
    {
      name: "plan",
      seeds: plans.map((body) => Buffer.from(body, "hex")),
      decode: (bytes) => decodePlan(wrapped("plan", bytes)),
    },
    { name: "frame", seeds: [zstdCompressSync(Buffer.alloc(3000, "order "))], decode: decodeSmallFrame },
    recordTarget("store", record.decodeStore),
    recordTarget("dataset", record.decodeDataset),
    recordTarget("history", record.decodeHistory),
    recordTarget("hint", record.decodeHint),
    recordTarget("event", record.decodeEvent),
    recordTarget("lease", record.decodeLease),
    recordTarget("secret", decodeSecret),
  ];
}

function pageTarget(kind: TreeKind, level: number): Target {
  const seeds = readVectors("page").filter(
    ({ content }) => content["kind"] === kind && content["level"] === level,
  );
  const decode = (bytes: Uint8Array): unknown => decodePage(bytes, kind, level);
  return { name: `${kind} page of level ${level}`, seeds: seeds.map(({ bytes }) => bytes), decode };
}

function readAnything(bytes: Uint8Array): void {
  const reader = new WireReader(bytes, "a sample");
  reader.uint(1);
  reader.bytes(2);
  reader.elements(3, 100);
  reader.packed(4, 100);
  reader.end();
}

function decodeManifest(bytes: Uint8Array): unknown {
  const object = decodeManifestObject(bytes);
  const base = object.base === undefined ? undefined : { root: Buffer.from("a base"), pages: [] };
  return decodeBundle(object, base);
}

function decodeBlock(bytes: Uint8Array): unknown {
  return decodeIndex(bytes.subarray(0, HEADER_BYTES), bytes, bytes.byteLength);
}

function decodeSmallFrame(bytes: Uint8Array): unknown {
  return decodeFrameWithin(1, bytes, PAGE_BYTES_MAX);
}

const OPERATIONS = ["set", "insert", "remove", "cut", "repeat", "huge"] as const;

interface Mutation {
  readonly operation: (typeof OPERATIONS)[number];
  readonly at: number;
  readonly length: number;
  readonly byte: number;
}

/** The largest numbers that a varint can say, which counts and lengths are made of. */
const HUGE = [
  Buffer.from("ffffffffffffff0f", "hex"),
  Buffer.from("ffffffff0f", "hex"),
  Buffer.from("8080808008", "hex"),
];

function mutate(seed: Uint8Array, { operation, at, length, byte }: Mutation): Uint8Array {
  const offset = at % (seed.byteLength + 1);
  const head = seed.subarray(0, offset);
  const rest = seed.subarray(Math.min(offset + length, seed.byteLength));
  const huge = HUGE[byte % HUGE.length] ?? Buffer.alloc(0);
  if (operation === "set") return Buffer.concat([head, Buffer.of(byte), seed.subarray(offset + 1)]);
  if (operation === "insert") return Buffer.concat([head, Buffer.alloc(length, byte), seed.subarray(offset)]);
  if (operation === "remove") return Buffer.concat([head, rest]);
  if (operation === "cut") return head;
  if (operation === "huge") return Buffer.concat([head, huge, seed.subarray(offset + 1)]);
  return Buffer.concat([seed.subarray(0, offset + length), seed.subarray(offset)]);
}

/** Bytes for a target: a seed changed in a few places, or bytes without any sense. */
export function hostileBytes({ seeds }: Target): fc.Arbitrary<Uint8Array> {
  const mutations = fc.array(
    fc.record({
      operation: fc.constantFrom(...OPERATIONS),
      at: fc.nat({ max: 2 ** 20 }),
      length: fc.integer({ min: 1, max: 40 }),
      byte: fc.nat({ max: 255 }),
    }),
    { minLength: 1, maxLength: 6 },
  );
  const mutated = fc
    .tuple(fc.constantFrom(...seeds), mutations)
    .map(([seed, list]) => list.reduce<Uint8Array>((bytes, mutation) => mutate(bytes, mutation), seed));
  return fc.oneof(
    { weight: 9, arbitrary: mutated },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }) },
  );
}
