/** The conformance suites over a real S3 server, and over it through a network that fails. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { blockStoreSuite } from "../../src/store/conformance/block-store-suite.ts";
import { datasetStoreSuite } from "../../src/store/conformance/dataset-store-suite.ts";
import type { Fault, Rule } from "../servers/fault-proxy.ts";
import { minio, radosgw } from "../servers/shared.ts";
import { faultyFixtures, s3Fixtures } from "./s3-fixture.ts";

const SEED = 20261128;
/** Of each fault: together about one request in fifteen. */
const PROBABILITY = 0.01;
const FAULTS: readonly Fault[] = [
  { kind: "status", status: 500, code: "InternalError" },
  { kind: "status", status: 503, code: "SlowDown" },
  { kind: "reset before" },
  { kind: "reset after" },
  { kind: "answer lost" },
  { kind: "truncated", share: 0.5 },
  { kind: "long", bytes: 7 },
];
const RULES: readonly Rule[] = [
  ...FAULTS.map((fault) => ({ probability: PROBABILITY, fault })),
  { probability: 0.1, fault: { kind: "delayed", delayMs: 5 } },
];

if (radosgw.isThere) {
  const struck = new Set<string>();
  const faulty = faultyFixtures(radosgw, SEED, RULES, struck);
  blockStoreSuite("S3 (radosgw)", s3Fixtures(radosgw));
  datasetStoreSuite("S3 (radosgw)", s3Fixtures(radosgw));
  blockStoreSuite(`S3 retried, over faults of seed ${SEED}`, faulty);
  datasetStoreSuite(`S3 retried, over faults of seed ${SEED}`, faulty);
  test("over the suites, every kind of fault struck", () => {
    assert.deepEqual([...struck].sort(), [...new Set(RULES.map(({ fault }) => fault.kind))].sort());
  });
} else {
  test("the conformance suites over S3 (radosgw)", (t) => void radosgw.require(t));
}

if (minio.isThere) {
  blockStoreSuite("S3 (MinIO)", s3Fixtures(minio));
  datasetStoreSuite("S3 (MinIO)", s3Fixtures(minio));
} else {
  test("the conformance suites over S3 (MinIO)", (t) => void minio.require(t));
}
