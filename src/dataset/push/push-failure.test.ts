/** Pushes that fail, are interrupted, or meet others. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { after, afterEach, beforeEach, describe, it } from "node:test";
import { AetherError, codeOf } from "../../base/errors.ts";
import { MiB } from "../../base/limits.ts";
import type { BlockStore } from "../../store/block-store.ts";
import type { DatasetStore, Store } from "../../store/dataset-store.ts";
import type { Engine } from "../engine.ts";
import { noise } from "../testing/engine.ts";
import { readFolder } from "../testing/folder.ts";
import { BED_TAG, openPushBed, type PushBed } from "../testing/push-bed.ts";
import { WorkerPool } from "../workers/pool.ts";

const pool = new WorkerPool(2);
after(() => pool.close());

let bed: PushBed;
beforeEach(async () => {
  bed = await openPushBed(pool);
});
afterEach(async () => {
  // Whatever happened: no lease, no temporary file, no job is left.
  assert.deepEqual([...bed.files("leases").keys()], []);
  if (fs.existsSync(bed.cacheDir)) {
    const names = fs.readdirSync(bed.cacheDir, { recursive: true }) as string[];
    assert.deepEqual(
      names.filter((name) => name.endsWith(".tmp")),
      [],
    );
  }
  assert.equal(pool.queued, 0);
  await bed.close();
});

/** Content in `count` files whose slots and blocks are more than fit at once. */
function makeLarge(count = 16): void {
  for (let index = 0; index < count; index++) bed.write(`file-${index}`, noise(index, MiB));
}

async function failsWith(code: string, pushed: Promise<unknown>): Promise<void> {
  await assert.rejects(pushed, (error) => {
    assert.equal(codeOf(error), code, String(error));
    return true;
  });
  assert.equal(
    await bed.store.datasets.getHistory(BED_TAG.name, BED_TAG.tag, 1),
    undefined,
    "no tag was set",
  );
}

/** The bed's store with some calls replaced. */
function storeWith(changes: {
  readonly blocks?: Partial<BlockStore>;
  readonly datasets?: Partial<DatasetStore>;
}): Pick<Engine, "store"> {
  const wrap = <T extends object>(inner: T, over: Partial<T> = {}): T =>
    new Proxy(inner, {
      get: (target, key) => {
        const own = (over as Record<string | symbol, unknown>)[key];
        if (own !== undefined) return own;
        const value = (target as Record<string | symbol, unknown>)[key];
        return typeof value === "function" ? (value.bind(target) as unknown) : value;
      },
    });
  const { blocks, datasets } = bed.store;
  const store: Store = {
    blocks: wrap<BlockStore>(blocks, changes.blocks),
    datasets: wrap<DatasetStore>(datasets, changes.datasets),
    close: async () => undefined,
  };
  return { store };
}

const FULL = new AetherError("SPACE_EXHAUSTED", "the disk is full");
const fail = (): Promise<never> => Promise.reject(FULL);

describe("push that fails", () => {
  it("because a block cannot be stored rejects with that once, and leaves nothing behind", async () => {
    makeLarge();
    const engine = storeWith({ blocks: { put: fail } });
    await failsWith("SPACE_EXHAUSTED", bed.push({ blockBytes: MiB }, { ...engine, memoryBytes: 32 * MiB }));
  });

  for (const call of ["putPlan", "addManifest", "replaceLease", "createHistory", "flush"] as const) {
    it(`because ${call} does rejects with that`, async () => {
      makeLarge(2);
      await failsWith("SPACE_EXHAUSTED", bed.push({}, storeWith({ datasets: { [call]: fail } })));
    });
  }

  it("because getPlan does rejects with that, and leaves the tag where it was", async () => {
    makeLarge(2);
    const { digest } = await bed.push();
    const pushed = bed.push({}, storeWith({ datasets: { getPlan: fail } }));
    await assert.rejects(pushed, { code: "SPACE_EXHAUSTED" });
    const { name, tag } = BED_TAG;
    assert.equal((await bed.store.datasets.getHistory(name, tag, 1))?.digest, digest);
    assert.equal(await bed.store.datasets.getHistory(name, tag, 2), undefined);
  });

  it("also when its lease cannot be removed tells what it failed with", async () => {
    makeLarge(2);
    const unavailable = new AetherError("STORE_UNAVAILABLE", "gone");
    let id = "";
    const datasets: Partial<DatasetStore> = {
      addManifest: fail,
      removeLease: (lease) => {
        id = lease;
        return Promise.reject(unavailable);
      },
    };
    await failsWith("SPACE_EXHAUSTED", bed.push({}, storeWith({ datasets })));
    await bed.store.datasets.removeLease(id);
  });

  it("because a thread dies rejects", async () => {
    makeLarge(64);
    const own = new WorkerPool(2);
    const put: BlockStore["put"] = async (...block) => {
      await bed.store.blocks.put(...block);
      await own.close();
    };
    // Not all of it is in memory when the first block is on its way.
    const few = { memoryBytes: 32 * MiB, pool: own };
    const pushed = bed.push({ blockBytes: MiB }, { ...few, ...storeWith({ blocks: { put } }) });
    await assert.rejects(pushed);
    await own.close();
  });

  it("because its source holds the store or lies in it, is refused unless that is excluded", async () => {
    bed.write("file", "content");
    const above = path.dirname(bed.source);
    await failsWith("ARGUMENT_INVALID", bed.push({ source: above }));
    await failsWith("ARGUMENT_INVALID", bed.push({ source: path.join(bed.storeFolder, "aetherfs/v1") }));
    await failsWith("ARGUMENT_INVALID", bed.push({ source: above, exclude: ["/store"] }));
    const { digest } = await bed.push({ source: above, exclude: ["/store", "/cache"] });
    assert.deepEqual(
      (await bed.read(digest)).map((entry) => entry.path),
      ["source", "source/file"],
    );
  });

  it("because an option is out of range is refused", async () => {
    for (const options of [
      { blockBytes: 1024 },
      { blockBytes: 1024 * MiB },
      { compressionLevel: 23 },
      { compressionLevel: NaN },
      { chunking: { kind: "cdc", averageBytes: 5000 } },
      { tags: [] },
    ] as const) {
      await failsWith("ARGUMENT_INVALID", bed.push(options));
    }
  });

  it("because there is no source says so, as a dry run too", async () => {
    for (const dryRun of [false, true]) {
      await failsWith("SOURCE_NOT_FOUND", bed.push({ source: `${bed.source}-none`, dryRun }));
    }
  });
});

describe("push of what a dataset cannot hold", () => {
  async function refusedOrLeftOut(name: string, code: string): Promise<void> {
    bed.write("kept", "content");
    await failsWith(code, bed.push());
    const { digest, skipped } = await bed.push({ skipUnreadable: true });
    assert.deepEqual(
      skipped.map((skip) => skip.path),
      [name],
    );
    assert.deepEqual(
      (await bed.read(digest)).map((entry) => entry.path),
      ["kept"],
    );
  }

  it("is refused for a pipe, or leaves it out", async () => {
    execFileSync("mkfifo", [path.join(bed.source, "pipe")]);
    await refusedOrLeftOut("pipe", "SOURCE_UNSUPPORTED");
  });

  it("is refused for a socket, or leaves it out", async () => {
    const server = net.createServer();
    await new Promise<void>((resolve) => server.listen(path.join(bed.source, "socket"), resolve));
    try {
      await refusedOrLeftOut("socket", "SOURCE_UNSUPPORTED");
    } finally {
      server.close();
    }
  });

  it("is refused for a name that is not UTF-8, or leaves it out", async () => {
    fs.writeFileSync(Buffer.concat([Buffer.from(`${bed.source}/`), Buffer.from([0x61, 0xff])]), "x");
    await refusedOrLeftOut("a\u00ff", "SOURCE_UNSUPPORTED");
  });

  it("is refused for a symlink whose target is not UTF-8, or leaves it out", async () => {
    fs.symlinkSync(Buffer.from([0x61, 0xff]), path.join(bed.source, "link"));
    await refusedOrLeftOut("link", "SOURCE_UNSUPPORTED");
  });

  it("never leaves out the source itself", async () => {
    const pipe = path.join(bed.source, "pipe");
    execFileSync("mkfifo", [pipe]);
    await failsWith("SOURCE_UNSUPPORTED", bed.push({ source: pipe, skipUnreadable: true }));
  });
});

describe("push that is interrupted", () => {
  it("before it begins rejects as cancelled", async () => {
    bed.write("file", "content");
    await failsWith("CANCELLED", bed.push({ signal: AbortSignal.abort() }));
  });

  for (const share of [0, 0.4, 0.9]) {
    it(`after ${share * 100} % of its bytes rejects as cancelled, and the next reuses what was stored`, async () => {
      makeLarge();
      const controller = new AbortController();
      const onProgress = ({ bytes }: { readonly bytes: number }): void => {
        if (bytes >= share * 16 * MiB) controller.abort();
      };
      const options = { blockBytes: MiB, signal: controller.signal, onProgress };
      await failsWith("CANCELLED", bed.push(options, { memoryBytes: 32 * MiB }));
      const before = bed.files("blocks").size;
      const { digest, newChunks, chunks } = await bed.push();
      assert.ok(before === 0 || newChunks < chunks);
      assert.deepEqual(await bed.read(digest), readFolder(bed.source));
    });
  }
});

describe("pushes at once", () => {
  it("of one source to one tag, with the same caches, give the same version, whole", async () => {
    makeLarge(6);
    const results = await Promise.all([bed.push(), bed.push(), bed.push()]);
    assert.equal(new Set(results.map((result) => result.digest)).size, 1);
    for (const { digest } of results) assert.deepEqual(await bed.read(digest), readFolder(bed.source));
    assert.equal((await bed.push()).newChunks, 0);
  });
});

describe("push of a source that changes", () => {
  it("all the time never publishes a mixture: it succeeds with one state or says that it changed", async () => {
    const states = [noise(1, 2 * MiB), noise(2, 2 * MiB + 5), noise(3, 3)];
    bed.write("file", states[0] ?? "");
    let count = 0;
    const timer = setInterval(() => {
      bed.write("file", states[++count % states.length] ?? "");
    }, 3);
    try {
      for (let tries = 0; tries < 5; tries++) {
        const result = await bed.push({ rehash: true }).catch((error: unknown) => {
          assert.equal(codeOf(error), "SOURCE_CHANGED");
          return undefined;
        });
        if (result !== undefined) await bed.read(result.digest);
      }
    } finally {
      clearInterval(timer);
    }
  });

  it("where files, folders and links take each other's places ends, with a version or as changed", async () => {
    bed.write("other/inner", "inner");
    const place = path.join(bed.source, "place");
    const makers = [
      () => {
        fs.writeFileSync(place, noise(1, 300_000));
      },
      () => {
        bed.write("place/inner", "inner");
      },
      () => {
        fs.symlinkSync("other", place);
      },
      () => undefined,
      () => {
        execFileSync("mkfifo", [place]);
      },
    ];
    let count = 0;
    const timer = setInterval(() => {
      fs.rmSync(place, { recursive: true, force: true });
      makers[++count % makers.length]?.();
    }, 2);
    try {
      for (let tries = 0; tries < 8; tries++) {
        const result = await bed.push({ rehash: true, skipUnreadable: true }).catch((error: unknown) => {
          assert.equal(codeOf(error), "SOURCE_CHANGED", String(error));
          return undefined;
        });
        if (result !== undefined) await bed.read(result.digest);
      }
    } finally {
      clearInterval(timer);
    }
  });
});
