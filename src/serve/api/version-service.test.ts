import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Client } from "@connectrpc/connect";
import { must } from "../../base/assert.ts";
import { rollback, tagVersion } from "../../dataset/tag-changes.ts";
import { openVersion } from "../../dataset/version/version.ts";
import { noise } from "../../dataset/testing/engine.ts";
import { digestBytes, digestOf, type Digest } from "../../format/digest.ts";
import { decodeManifestObject } from "../../format/manifest.ts";
import { parseDatasetName, parseTag, type DatasetName } from "../../format/reference.ts";
import { VersionAPI } from "../../gen/aetherfs/hub/v1/version_pb.ts";
import type { ManifestReader } from "../../store/dataset-store.ts";
import { clientOf, failsWith, openApiBed, type ApiBed } from "./testing/api-bed.ts";
import { versionService } from "./version-service.ts";

const LATEST = parseTag("latest");
const SAID = { publisher: "ann", message: "", labels: {} };

describe("VersionAPI", () => {
  let bed: ApiBed;
  let client: Client<typeof VersionAPI>;
  before(async () => {
    bed = await openApiBed();
    client = clientOf(VersionAPI, versionService(bed.services));
  });
  after(() => bed.close());

  /** Pushes the source, of which one file is `label`, with more files than lie within a manifest object when `paged`. */
  async function push(name: string, label: string, paged = false): Promise<Digest> {
    bed.push.write("label", label);
    bed.push.write("data", noise(1, 100_000));
    if (paged) for (let index = 0; index < 2500; index++) bed.push.write(`many/${index}`, `${index}`);
    return (await bed.push.push({ tags: [{ name: parseDatasetName(name), tag: LATEST }] })).digest;
  }

  async function manifest(name: string, version: Digest): Promise<Uint8Array> {
    const { manifests } = await client.getManifests({ name, digests: [digestBytes(version)] });
    return must(manifests[0], "an answer for each digest");
  }

  async function plan(name: string, key: Digest): Promise<Uint8Array> {
    return must(
      (await client.getPlans({ name, keys: [digestBytes(key)] })).plans[0],
      "an answer for each key",
    );
  }

  /** What a reader far away sees of the store; every digest that it asks for is noted. */
  function reading(name: DatasetName, asked: Set<Digest> = new Set()): ManifestReader {
    return {
      getManifest: async (version) => {
        const bytes = await manifest(name, version);
        return bytes.byteLength === 0 ? undefined : bytes;
      },
      getPlan: async (key) => {
        asked.add(key);
        const value = await plan(name, key);
        return value.byteLength === 0 ? undefined : { value, revision: "" as never };
      },
    };
  }

  it("a version, read through it alone with its base and plans, is the one that was pushed", async () => {
    await push("line", "one");
    const version = await push("line", "two");
    assert.notEqual(decodeManifestObject(await manifest("line", version)).base, undefined);
    const store = { blocks: bed.push.store.blocks, datasets: reading(parseDatasetName("line")) };
    assert.equal((await openVersion({ store }, version)).digest, version);
    const all = await client.getManifests({
      name: "line",
      digests: [digestBytes(version), new Uint8Array(32)],
    });
    assert.deepEqual(
      all.manifests.map(({ byteLength }) => byteLength > 0),
      [true, false],
    );
  });

  it("a version of another dataset, and its plan, are not there, whatever dataset is named", async () => {
    const version = await push("secret", "whispered");
    await push("open", "said");
    assert.equal((await manifest("open", version)).byteLength, 0);
    assert.equal((await plan("open", version)).byteLength, 0);
    assert.ok((await manifest("secret", version)).byteLength > 0);
    assert.ok((await plan("secret", version)).byteLength > 0);
    await failsWith(client.getManifests({ name: "none", digests: [] }), "DATASET_NOT_FOUND");
  });

  it("a version that a tag was set to from another dataset, is read without that dataset's own", async () => {
    const { engine } = bed.push;
    const first = await push("origin", "one");
    const second = await push("origin", "two");
    const target = { name: parseDatasetName("copy"), tag: LATEST };
    const source = { host: undefined, name: parseDatasetName("origin"), tag: undefined, digest: second };
    await tagVersion(engine, source, target, SAID);
    assert.equal(decodeManifestObject(await manifest("origin", second)).base, first);
    assert.equal(decodeManifestObject(await manifest("copy", second)).base, undefined);
    assert.equal((await manifest("copy", first)).byteLength, 0);
    const store = { blocks: bed.push.store.blocks, datasets: reading(target.name) };
    assert.equal((await openVersion({ store }, second)).digest, second);
  });

  it("a version whose tag moved on, was rolled back or removed, stays the dataset's", async () => {
    const first = await push("moving", "one");
    await push("moving", "two");
    assert.ok((await manifest("moving", first)).byteLength > 0);
    await rollback(bed.push.engine, { name: parseDatasetName("moving"), tag: LATEST }, SAID);
    assert.ok((await manifest("moving", first)).byteLength > 0);
  });

  it("a page's plan is there for readers of its domain, and for no other", async () => {
    const version = await push("paged", "one", true);
    await push("@elsewhere/other", "two");
    const asked = new Set<Digest>();
    const opened = await openVersion(
      { store: { blocks: bed.push.store.blocks, datasets: reading(parseDatasetName("paged"), asked) } },
      version,
    );
    const { entries } = opened.root;
    const page = must(entries, "the version has entries").digest;
    assert.ok((await plan("paged", page)).byteLength > 0);
    assert.equal((await plan("@elsewhere/other", page)).byteLength, 0);
    assert.equal((await plan("paged", digestOf(Buffer.from("nothing")))).byteLength, 0);
  });

  it("too many digests, or one of a wrong length, are refused", async () => {
    const digests = Array.from({ length: 257 }, () => new Uint8Array(32));
    await failsWith(client.getManifests({ name: "line", digests }), "LIMIT_EXCEEDED");
    await failsWith(client.getPlans({ name: "line", keys: [new Uint8Array(31)] }), "ARGUMENT_INVALID");
  });
});
