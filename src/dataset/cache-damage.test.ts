import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, afterEach, beforeEach, describe, it } from "node:test";
import type { Digest } from "../format/digest.ts";
import { parseDatasetName, parseTag } from "../format/reference.ts";
import type { Engine } from "./engine.ts";
import { pull } from "./pull/pull.ts";
import { withLocalIngest } from "./ingest/local-ingest.ts";
import { push } from "./push/push.ts";
import { noise, testEngine } from "./testing/engine.ts";
import { readFolder, temporaryFolder } from "./testing/folder.ts";
import { openMemoryStore } from "./testing/version-builder.ts";

const store = await openMemoryStore();
const shared = testEngine(store);
after(() => shared.pool.close());

/** Places of one file at which a byte is changed, spread over it. */
const PLACES = 4;
const NAME = parseDatasetName("test");

let folder: ReturnType<typeof temporaryFolder>;
let engine: Engine;
let cacheDir: string;
let source: string;
let target: string;
beforeEach(() => {
  folder = temporaryFolder();
  [cacheDir, source, target] = [inFolder("cache"), inFolder("source"), inFolder("target")];
  engine = { ...shared, cacheDir };
  fs.mkdirSync(path.join(source, "a"), { recursive: true });
});
afterEach(() => {
  folder.remove();
});

function inFolder(name: string): string {
  return path.join(folder.path, name);
}

/** Old enough that a stat cache keeps what it knows of them. */
async function writeSource(seed: number): Promise<void> {
  fs.writeFileSync(path.join(source, "a/big"), noise(seed, 300_000));
  for (let index = 0; index < 40; index++) {
    fs.writeFileSync(path.join(source, `small-${index}`), `${index % 3 === 0 ? seed : 0} of ${index}`);
  }
  await shared.clock.sleep(60);
}

async function pushSource(from = engine): Promise<Digest> {
  const tags = [{ name: NAME, tag: parseTag("latest") }];
  return (await push(withLocalIngest(from), { source, tags, publisher: "test" })).digest;
}

async function pullTo(version: Digest, from = engine, to = target): Promise<void> {
  await pull(from, { name: NAME, version, target: to });
}

/** Ways to damage a file: a byte changed here and there, cut off, empty, a folder in its place. */
function damagesOf(file: string): (() => void)[] {
  const whole = fs.readFileSync(file);
  const flips = Array.from({ length: PLACES }, (_, place) => () => {
    const at = Math.floor(((whole.byteLength - 1) * place) / (PLACES - 1));
    const damaged = Buffer.from(whole);
    damaged[at] = (damaged[at] ?? 0) ^ 0x41;
    fs.writeFileSync(file, damaged);
  });
  const cuts = [0.9, 0.5, 0].map((part) => () => {
    fs.writeFileSync(file, whole.subarray(0, whole.byteLength * part));
  });
  const inItsPlace = (): void => {
    fs.rmSync(file);
    fs.mkdirSync(file);
  };
  return [...flips, ...cuts, inItsPlace];
}

function filesOfCache(): string[] {
  const found = fs.globSync("**/*", { cwd: cacheDir, withFileTypes: true }).filter((item) => item.isFile());
  return found.map((item) => path.join(item.parentPath, item.name)).sort();
}

/** The cache as it is now, put back by the function that this gives. */
function keepCache(): () => void {
  const kept = inFolder("kept");
  fs.rmSync(kept, { recursive: true, force: true });
  fs.cpSync(cacheDir, kept, { recursive: true });
  return () => {
    fs.rmSync(cacheDir, { recursive: true, force: true });
    fs.cpSync(kept, cacheDir, { recursive: true });
  };
}

describe("a damaged cache", () => {
  it("never makes a pull fail, or the folder another", async () => {
    const plain = { ...engine, cacheDir: undefined };
    await writeSource(1);
    const first = await pushSource(plain);
    const before = readFolder(source);
    await pullTo(first);
    await shared.clock.sleep(60);
    await pullTo(first);
    const restore = keepCache();
    await writeSource(2);
    const second = await pushSource(plain);
    const files = filesOfCache();
    assert.deepEqual(
      files.map((file) => path.basename(file)),
      ["pages", "stat"],
    );
    for (const file of files) {
      for (const damage of damagesOf(file)) {
        restore();
        damage();
        await pullTo(first);
        assert.deepEqual(readFolder(target), before);
        restore();
        damage();
        await pullTo(second);
        assert.deepEqual(readFolder(target), readFolder(source));
        await pullTo(first, plain);
      }
    }
  });

  it("never makes a push fail, or publish anything else", async () => {
    await writeSource(1);
    let count = 1;
    let names: string[] = [];
    for (let number = 0; number < count; number++) {
      const own = { ...engine, store: await openMemoryStore() };
      fs.rmSync(cacheDir, { recursive: true, force: true });
      await writeSource(1);
      await pushSource(own);
      await writeSource(2);
      const files = filesOfCache();
      names = files;
      const damages = files.flatMap((file) => damagesOf(file));
      count = damages.length;
      damages[number]?.();
      const digest = await pushSource(own);
      await pullTo(digest, { ...own, cacheDir: undefined }, inFolder(`target-${number}`));
      assert.deepEqual(readFolder(inFolder(`target-${number}`)), readFolder(source), `damage ${number}`);
    }
    assert.ok(names.length >= 2, `files of the cache: ${names.join(", ")}`);
  });

  it("that cannot be written is none", async () => {
    await writeSource(1);
    fs.writeFileSync(cacheDir, "a file");
    await pullTo(await pushSource());
    assert.deepEqual(readFolder(target), readFolder(source));
  });
});
