import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { after, afterEach, beforeEach, describe, it } from "node:test";
import { requirePeer, type Peer } from "../../../../test/peers.ts";
import { noise } from "../../testing/engine.ts";
import { openPushBed, type PushBed } from "../../testing/push-bed.ts";
import { WorkerPool } from "../../workers/pool.ts";

const pool = new WorkerPool(2);
after(() => pool.close());

let bed: PushBed;
beforeEach(async () => {
  bed = await openPushBed(pool);
});
afterEach(() => bed.close());

/** A time that zip holds too: an even second. */
const TIME_SECONDS = 1_700_000_002;
/** What each archive is made with: run in the folder, with the archive's path as $1. */
const RECIPES: readonly (readonly [name: string, command: string, peer: Peer | undefined])[] = [
  ["gnu.tar", 'tar -cf "$1" .', undefined],
  ["pax.tar", 'tar --format=pax -cf "$1" .', undefined],
  ["backwards.tar", 'find . | sort -r | tar --no-recursion -cf "$1" -T -', undefined],
  ["gnu.tar.gz", 'tar -czf "$1" .', undefined],
  ["gnu.tgz", 'tar -czf "$1" .', undefined],
  ["gnu.tar.zst", 'tar --zstd -cf "$1" .', "zstd"],
  ["bsd.tar", 'bsdtar -cf "$1" .', "bsdtar"],
  ["info.zip", 'zip -qry "$1" .', "zip"],
  ["stored.zip", 'zip -0qry "$1" .', "zip"],
  ["bsd.zip", 'bsdtar --format=zip -cf "$1" .', "bsdtar"],
];

function makeMixed(): void {
  bed.write("a/b/c.txt", "hello");
  bed.write("a-b", "between a and a/b");
  bed.write("big.bin", noise(1, 3_000_000));
  bed.write("empty", "");
  bed.write(`ünï/${"n".repeat(150)}/${"m".repeat(150)}`, "a long path");
  for (let index = 0; index < 300; index++) bed.write(`many/${index}`, `number ${index}`.repeat(20));
  fs.mkdirSync(path.join(bed.source, "empty folder/inner"), { recursive: true });
  fs.symlinkSync("../nowhere", path.join(bed.source, "a/link"));
  fs.linkSync(path.join(bed.source, "big.bin"), path.join(bed.source, "big again"));
  fs.chmodSync(path.join(bed.source, "a-b"), 0o751);
  for (const name of fs.readdirSync(bed.source, { recursive: true, encoding: "utf8" }).reverse()) {
    fs.lutimesSync(path.join(bed.source, name), TIME_SECONDS, TIME_SECONDS);
  }
}

/** Runs a shell command in the source folder, with the path of an archive to make as $1. */
function make(command: string, archive: string): void {
  execFileSync("sh", ["-ec", command, "sh", archive], { cwd: bed.source });
}

describe("a push of an archive made from a folder", () => {
  for (const [name, command, peer] of RECIPES) {
    it(`${name}, gives the version that the folder gives, as a file and from a stream`, async (test) => {
      if (peer !== undefined && requirePeer(test, peer) === undefined) return;
      makeMixed();
      const archive = path.join(path.dirname(bed.source), name);
      make(command, archive);
      const { digest } = await bed.push();
      const fromFile = await bed.push({ source: archive });
      assert.equal(fromFile.digest, digest);
      assert.equal(fromFile.newBytes, 0);
      const input = fs.createReadStream(archive);
      assert.equal((await bed.push({ source: "-", input })).digest, digest);
      assert.deepEqual(fs.readdirSync(path.join(bed.cacheDir, "spool")), []);
    });
  }
});
