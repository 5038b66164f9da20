import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeRequest, REQUEST_BYTES_MAX, simpleRequest } from "./protocol.ts";

const HEADER_BYTES = 40;

/** A request as the kernel lays it out: `struct fuse_in_header`, then the body. */
function requestBytes(code: number, node: bigint, body: Uint8Array, extensions = 0): Uint8Array {
  const bytes = Buffer.alloc(HEADER_BYTES + body.byteLength);
  bytes.writeUInt32LE(bytes.byteLength, 0);
  bytes.writeUInt32LE(code, 4);
  bytes.writeBigUInt64LE(77n, 8);
  bytes.writeBigUInt64LE(node, 16);
  bytes.writeUInt32LE(4321, 32);
  bytes.writeUInt16LE(extensions, 36);
  bytes.set(body, HEADER_BYTES);
  return bytes;
}

function words(...values: readonly bigint[]): Uint8Array {
  const bytes = Buffer.alloc(8 * values.length);
  for (const [index, value] of values.entries()) bytes.writeBigUInt64LE(value, 8 * index);
  return bytes;
}

const HEADER = { unique: 77n, node: 5, pid: 4321 };

test("decodeRequest of each kind of body gives what the kernel's structs say", () => {
  const read = Buffer.concat([words(9n, 2n ** 33n), Buffer.from([0, 0, 2, 0, 0, 0, 0, 0])]);
  const cases: readonly (readonly [number, Uint8Array, object])[] = [
    [1, Buffer.from("näme\0"), { kind: "lookup", name: new Uint8Array(Buffer.from("näme")) }],
    [2, words(3n), { kind: "forget", nodes: [{ node: 5, lookups: 3 }] }],
    [3, words(0n, 0n), { kind: "getattr" }],
    [4, words(0n), { kind: "writing" }],
    [15, read, { kind: "read", offset: 2 ** 33, size: 131_072 }],
    [
      22,
      Buffer.concat([words(64n), Buffer.from("user.x\0")]),
      { kind: "getxattr", name: new Uint8Array(Buffer.from("user.x")), size: 64 },
    ],
    [23, words(100n), { kind: "listxattr", size: 100 }],
    [36, words(76n), { kind: "interrupt", interrupted: 76n }],
    [
      42,
      words(2n, 7n, 1n, 8n, 4n),
      {
        kind: "forget",
        nodes: [
          { node: 7, lookups: 1 },
          { node: 8, lookups: 4 },
        ],
      },
    ],
    [44, read, { kind: "readdirplus", offset: 2 ** 33, size: 131_072 }],
    [9999, new Uint8Array(), { kind: "unknown" }],
  ];
  for (const [code, body, expected] of cases) {
    const decoded = decodeRequest(requestBytes(code, 5n, body));
    assert.deepEqual(
      decoded && "name" in decoded ? { ...decoded, name: new Uint8Array(decoded.name) } : decoded,
      { ...HEADER, ...expected },
    );
  }
});

test("decodeRequest of an INIT, also without the flags that came later", () => {
  const body = Buffer.alloc(16);
  for (const [index, value] of [7, 31, 131_072, 0x0400_0001].entries()) body.writeUInt32LE(value, 4 * index);
  const expected = {
    kind: "init",
    major: 7,
    minor: 31,
    readAheadBytes: 131_072,
    flags: 0x0400_0001,
    flags2: 0,
  };
  assert.deepEqual(decodeRequest(requestBytes(26, 0n, body)), { ...HEADER, node: 0, ...expected });
});

test("decodeRequest of a body that is too short, has no end, or counts more than there is", () => {
  for (const code of [1, 2, 15, 22, 23, 26, 28, 36, 42, 44]) {
    assert.equal(decodeRequest(requestBytes(code, 5n, new Uint8Array())), undefined, `${code}`);
  }
  assert.equal(decodeRequest(requestBytes(1, 5n, Buffer.from("no end"))), undefined);
  assert.equal(
    decodeRequest(requestBytes(3, 5n, new Uint8Array(), 1)),
    undefined,
    "extensions past the start",
  );
  const counted = decodeRequest(requestBytes(42, 5n, words(2n ** 32n - 1n, 7n, 1n)));
  assert.deepEqual(counted, { ...HEADER, kind: "forget", nodes: [{ node: 7, lookups: 1 }] });
});

test("simpleRequest finds what opens, closes, or asks for an attribute of others, and nothing else", () => {
  const xattr = (name: string): Uint8Array => Buffer.concat([words(64n), Buffer.from(`${name}\0`)]);
  const simple: readonly (readonly [number, Uint8Array, string | undefined])[] = [
    [14, words(0n), "open"],
    [18, words(0n, 0n, 0n), "release"],
    [22, xattr("security.selinux"), "foreignXattr"],
    [22, xattr("user.aetherf"), "foreignXattr"],
    [22, xattr("user.aetherfs."), undefined],
    [22, xattr("user.aetherfs.digest"), undefined],
    [22, words(64n), undefined],
    [22, new Uint8Array(), undefined],
    [15, words(0n), undefined],
    [256 + 14, words(0n), undefined],
  ];
  for (const [code, body, kind] of simple) {
    const found = simpleRequest(requestBytes(code, 5n, body));
    const { unique, node } = HEADER;
    assert.deepEqual(found, kind && { kind, unique, node }, `${code} ${Buffer.from(body).toString()}`);
  }
  assert.equal(simpleRequest(new Uint8Array([0, 0, 0, 0, 14])), undefined);
});

test("decodeRequest of any bytes gives a request or nothing, and never throws", () => {
  const anything = fc.uint8Array({ maxLength: 300 });
  const likely = fc
    .tuple(fc.integer({ min: 0, max: 60 }), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), anything, fc.nat(40))
    .map(([code, node, body, extensions]) => requestBytes(code, node, body, extensions));
  fc.assert(
    fc.property(fc.oneof(anything, likely), (bytes) => {
      const request = decodeRequest(bytes);
      simpleRequest(bytes);
      if (request?.kind === "forget") assert.ok(request.nodes.length <= REQUEST_BYTES_MAX);
    }),
    { numRuns: 2000 },
  );
});
