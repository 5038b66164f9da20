/** A tree that tests push to S3 and pull from there. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { noise } from "../../src/dataset/testing/engine.ts";
import { comparable, readFolder } from "../../src/dataset/testing/folder.ts";
import type { SharedServer } from "../servers/shared.ts";
import { makeS3Place, type S3Place } from "./s3-place.ts";

/** What the tree is pushed to. */
export const TAG = "@acme/tree:latest";
/** What keys of its history and its events have in them. */
export const HISTORY = "/datasets/@acme/tree/history/latest/";
/** See HISTORY. */
export const EVENTS = "/datasets/@acme/tree/events/";

/** A place on the server, or undefined, and the test skipped, where the server is missing. */
export async function placeOn(t: TestContext, shared: SharedServer): Promise<S3Place | undefined> {
  return shared.require(t) ? makeS3Place(t, await shared.get()) : undefined;
}

/** Writes the `state`-th state of a tree: a file of its own, one that differs in part, and many that stay. */
export function writeTree({ folder }: S3Place, state: number): string {
  const source = join(folder, "source");
  mkdirSync(join(source, "many"), { recursive: true });
  for (let index = 0; index < 40; index++) {
    writeFileSync(join(source, `many/${index}`), noise(index, index * 997));
  }
  writeFileSync(join(source, "large"), Buffer.concat([noise(1, 3_000_000), noise(1000 + state, 100_000)]));
  writeFileSync(join(source, `state ${state}`), `${state}\n`);
  return source;
}

/** Pulls the tag, and compares what is there then with the source. */
export async function assertPulls(place: S3Place, source: string, target = "target"): Promise<void> {
  await place.json("pull", "--into", target, "--delete", TAG);
  assertSameTree(join(place.folder, target), source);
}

/** Compares two folders with all that is in them. */
export function assertSameTree(actual: string, expected: string): void {
  assert.deepEqual(comparable(readFolder(actual)), comparable(readFolder(expected)));
}

/** The numbers of the tag's history, from the first. */
export async function numbersOf(place: S3Place): Promise<number[]> {
  const history = (await place.json("history", TAG)) as { readonly number: number }[];
  return history.map(({ number }) => number).sort((a, b) => a - b);
}
