/** Archives of what is too large, too much or too strange for their first formats. The bytes are zeros, of which the disk keeps none. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { open } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, it, type TestContext } from "node:test";
import { promisify } from "node:util";
import { requirePeer } from "../../../../test/peers.ts";
import { MiB } from "../../../base/limits.ts";
import { temporaryFolder } from "../../../dataset/testing/folder.ts";
import { digestOf } from "../../../format/digest.ts";
import type { Entry } from "../../../format/entry.ts";
import type { Member, Members } from "./archive-source.ts";
import { tarOf } from "./tar.ts";
import { zipOf } from "./zip.ts";

const run = promisify(execFile);
const GIB = 2 ** 30;
const ZEROS = Buffer.alloc(4 * MiB);
const DIGEST = digestOf(new Uint8Array());

let folder: ReturnType<typeof temporaryFolder>;
before(() => {
  folder = temporaryFolder();
});
after(() => {
  folder.remove();
});

/** Files of zeros, of these sizes. */
function zeros(files: readonly (readonly [name: string, size: number, seconds?: number])[]): Members {
  const members = files.map(([name, size, seconds = 1_600_000_000]): Member => {
    const entry: Entry = {
      kind: "file",
      path: name,
      mode: 0o644,
      mtime: { seconds, nanos: 0 },
      size,
      digest: DIGEST,
    };
    async function* content(): AsyncGenerator<Uint8Array> {
      for (let left = size; left > 0; left -= ZEROS.byteLength) yield ZEROS.subarray(0, left);
    }
    return { entry, name, content };
  });
  async function* all(): AsyncGenerator<Member> {
    yield* members;
  }
  return { members: all, entries: all };
}

async function write(name: string, pieces: AsyncIterable<Uint8Array>): Promise<string> {
  const file = path.join(folder.path, name);
  const handle = await open(file, "w");
  try {
    let at = 0;
    let small: Buffer[] = [];
    const flush = async (): Promise<void> => {
      const bytes = Buffer.concat(small);
      small = [];
      await handle.write(bytes, 0, bytes.byteLength, at);
      at += bytes.byteLength;
    };
    for await (const piece of pieces) {
      if (piece.buffer !== ZEROS.buffer) {
        small.push(Buffer.from(piece));
        if (small.length >= 1000) await flush();
      } else {
        await flush();
        at += piece.byteLength;
      }
    }
    await flush();
    await handle.truncate(at);
  } finally {
    await handle.close();
  }
  return file;
}

describe("an archive", () => {
  it("as tar, of a file of more than 8 GiB and times that no header has, is listed rightly", async (t: TestContext) => {
    if (!requirePeer(t, "tar") || !requirePeer(t, "bsdtar")) return;
    const source = zeros([
      ["a", 9 * GIB + 1],
      ["b", 5, 2 ** 37],
      ["c", 5, -(2 ** 33)],
    ]);
    const file = await write("large.tar", tarOf(source));
    const env = { ...process.env, TZ: "UTC", LC_ALL: "C" };
    const { stdout } = await run("tar", ["--full-time", "-tvf", file], { env });
    const lines = stdout
      .trimEnd()
      .split("\n")
      .map((line) => line.split(/\s+/).slice(2).join(" "));
    assert.deepEqual(lines, [
      `${9 * GIB + 1} 2020-09-13 12:26:40 a`,
      "5 6325-04-08 15:04:32 b",
      "5 1697-10-17 11:03:28 c",
    ]);
    assert.equal((await run("bsdtar", ["-tf", file])).stdout, "a\nb\nc\n");
  });

  it("as zip, of a file of more than 4 GiB and one behind it, is read rightly", async (t: TestContext) => {
    if (!requirePeer(t, "unzip") || !requirePeer(t, "python3")) return;
    const source = zeros([
      ["before", 3],
      ["large", 4 * GIB + 7],
      ["behind", 5],
    ]);
    const file = await write("large.zip", zipOf(source));
    const { stdout } = await run("unzip", ["-Zl", file]);
    assert.match(stdout, new RegExp(`${4 * GIB + 7} .* large\\n`));
    await run("unzip", ["-tqq", file, "before", "behind"]);
    const script = `import sys, zipfile
z = zipfile.ZipFile(sys.argv[1])
print([i.file_size for i in z.infolist()], z.read("behind"))
with z.open("large") as f: print(f.read(9))`;
    const read = await run("python3", ["-c", script, file]);
    assert.equal(read.stdout, `[3, ${4 * GIB + 7}, 5] b'${"\\x00".repeat(5)}'\nb'${"\\x00".repeat(9)}'\n`);
  });

  it("as zip, of more members than 16 bits can count, is read rightly", async (t: TestContext) => {
    if (!requirePeer(t, "unzip") || !requirePeer(t, "python3")) return;
    const count = 65_600;
    const files = Array.from({ length: count }, (_, index) => [`f${index}`, index % 2] as const);
    const file = await write("many.zip", zipOf(zeros(files)));
    assert.match((await run("unzip", ["-Zh", file])).stdout, new RegExp(`number of entries: ${count}\n`));
    const script = `import sys, zipfile
z = zipfile.ZipFile(sys.argv[1])
print(len(z.namelist()), z.read("f0"), z.read("f${count - 1}"))`;
    assert.equal((await run("python3", ["-c", script, file])).stdout, `${count} b'' b'\\x00'\n`);
  });

  it("of nothing, is empty, and no damage", async (t: TestContext) => {
    if (!requirePeer(t, "tar") || !requirePeer(t, "python3")) return;
    const tar = await write("empty.tar", tarOf(zeros([])));
    assert.equal((await run("tar", ["-tf", tar])).stdout, "");
    const zip = await write("empty.zip", zipOf(zeros([])));
    assert.match((await run("python3", ["-m", "zipfile", "-t", zip])).stdout, /Done testing/);
  });
});
