/** An analysis, asked of a hub and of a store: both read the same and say the same. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { AnalyzeResult } from "../dataset/analyze/contract.ts";
import { noise } from "../dataset/testing/engine.ts";
import { parseDatasetName, parseReference, parseTag } from "../format/reference.ts";
import type { Client } from "./client.ts";
import { withHubBed, type HubBed } from "./testing/hub-bed.ts";

const NAME = parseDatasetName("@acme/x");
const TAG = parseTag("latest");

/** A source in its `number`th state. */
function write(bed: HubBed, number: number): string {
  const bytes = noise(1, 400_000);
  bytes.fill(number, 200_000, 200_100);
  return bed.write("source", {
    "noise.bin": bytes,
    "words.txt": `${"words and words and words\n".repeat(5000)}${number}\n`,
    "same.txt": "one\n",
  });
}

/** What depends neither on the machine nor on the time. */
function figures({ chunkings, churn, changes }: AnalyzeResult): unknown {
  const sizes = chunkings.map(({ chunks, first, update }) =>
    [first, update].map(
      (stored) => stored && [chunks, stored.newBytes, stored.forms.map(({ payloadBytes }) => payloadBytes)],
    ),
  );
  return { sizes, churn, changes };
}

async function analyses(bed: HubBed, client: Client): Promise<readonly unknown[]> {
  for (const number of [1, 2, 3]) {
    await client.push({ source: write(bed, number), tags: [{ name: NAME, tag: TAG }], publisher: "tester" });
  }
  const says = { publisher: "tester", message: "", labels: {} };
  await client.rollback({ name: NAME, tag: TAG }, { number: 1 }, says);
  await client.removeTag({ name: NAME, tag: TAG }, says);
  await client.rollback({ name: NAME, tag: TAG }, { number: 3 }, says);
  const { version } = await client.resolve(parseReference("@acme/x"));
  const source = write(bed, 4);
  const alone = await client.analyze({ source });
  assert.deepEqual([alone.versions.length, alone.churn], [1, []]);
  const update = await client.analyze({ source, against: { name: NAME, version } });
  assert.deepEqual(
    update.versions.map(({ digest }) => digest),
    [version, null],
  );
  assert.deepEqual(update.churn.map(({ path }) => path).sort(), ["noise.bin", "words.txt"]);
  const last = await client.analyze({ name: NAME, tag: TAG, last: 50 });
  assert.deepEqual(
    [last.versions.length, last.versions.at(-1)?.digest, last.chunkings[0]?.updates.length],
    [3, version, 2],
    "each version counts once, and removals do not",
  );
  assert.equal((await client.analyze({ name: NAME, tag: TAG, last: 2 })).versions.length, 2);
  for (const number of [0, 1, 51, 2.5]) {
    await assert.rejects(client.analyze({ name: NAME, tag: TAG, last: number }), {
      code: "ARGUMENT_INVALID",
    });
  }
  const [none, nowhere] = [parseTag("none"), parseDatasetName("nowhere")];
  await assert.rejects(client.analyze({ name: NAME, tag: none, last: 2 }), { code: "TAG_NOT_FOUND" });
  await assert.rejects(client.analyze({ name: nowhere, tag: none, last: 2 }), { code: "DATASET_NOT_FOUND" });
  await assert.rejects(client.analyze({ source: bed.path("nowhere") }), { code: "SOURCE_NOT_FOUND" });
  return [alone, update, last].map(figures);
}

describe("Client.analyze", () => {
  it("of a hub and of a store, says the same", () =>
    withHubBed(async (bed) => {
      const ofHub = await analyses(bed, bed.client());
      assert.deepEqual(await analyses(bed, await bed.local()), ofHub);
    }));
});
