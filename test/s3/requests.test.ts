/** How many requests commands make of a store in S3: each is a journey, and is paid for. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { FaultProxy } from "../servers/fault-proxy.ts";
import { radosgw } from "../servers/shared.ts";
import { placeOn, TAG, writeTree } from "./s3-tree.ts";

/** What was asked for, in order, but for bytes of blocks: how many reads these take depends on what changed, and where. */
function requestsOf({ requests }: FaultProxy): string[] {
  return requests
    .filter(({ method, path }) => method !== "GET" || !path.includes("/blocks/"))
    .map(({ method, path }) => `${method} ${path}`);
}

test("commands on S3 make no more requests than they need", async (t) => {
  const place = await placeOn(t, radosgw);
  if (place === undefined) return;
  const { proxy } = place;
  const takes = async (requestsMax: number, ...words: string[]): Promise<void> => {
    proxy.reset();
    await place.json(...words);
    const requests = requestsOf(proxy);
    const text = `${words.join(" ")} took ${requests.length} requests:\n${requests.join("\n")}`;
    assert.ok(requests.length <= requestsMax, text);
  };
  const source = writeTree(place, 1);
  const other = join(place.folder, "other");
  mkdirSync(other);
  writeFileSync(join(other, "file"), "of another dataset");

  // The store is made with it: of that are three.
  await takes(20, "push", "-t", TAG, source);
  await takes(18, "push", "-t", "@acme/other:latest", other);
  writeTree(place, 2);
  await takes(24, "push", "-t", TAG, source);
  await takes(21, "push", "-t", TAG, source);
  await takes(26, "tag", TAG, "@acme/tree:stable");
  await takes(9, "pull", "--into", "target", TAG);
  await takes(5, "pull", "--into", "target", TAG);
});
