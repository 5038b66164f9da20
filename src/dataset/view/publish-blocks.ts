/** Publishing a dataset that came as blocks: they become files, and the files a version. docs/decisions/0007 */
import fs from "node:fs/promises";
import os from "node:os";
import { join } from "node:path";
import { must } from "../../base/assert.ts";
import { compareUtf8 } from "../../base/bytes.ts";
import { AetherError } from "../../base/errors.ts";
import type { Digest } from "../../format/digest.ts";
import { VIEW_BLOCKS_MAX } from "../../format/view-record.ts";
import type { PushResult, TagReference } from "../contract.ts";
import type { Engine } from "../engine.ts";
import { withLocalIngest } from "../ingest/local-ingest.ts";
import { push } from "../push/push.ts";
import type { CallOptions } from "../../store/block-store.ts";
import { Gate } from "../../store/layers/gate.ts";
import { formatSignature } from "./signature.ts";
import { checkFiles, writeFiles, type StreamFile } from "./stream-files.ts";
import type { BlockCaller, FoundBlock, Views } from "./views.ts";

/** What is published. */
export interface BlockDataset {
  /** In the stream's order. */
  readonly files: readonly StreamFile[];
  readonly blockBytes: number;
  readonly blocks: readonly Digest[];
}

/** Folders of publishes that died are removed after this time. */
const ABANDONED_MS = 24 * 60 * 60 * 1000;

/** Publishes that wait. */
const WAITERS_MAX = 100;

/** Publishes datasets that came as blocks, one at a time. */
export class BlockPublisher {
  readonly #engine: Engine;
  readonly #views: Views;
  /** A push takes the engine's memory for itself. */
  readonly #turns = new Gate({ callsMax: 1, bytesMax: 1, waitersMax: WAITERS_MAX });

  constructor(engine: Engine, views: Views) {
    this.#engine = engine;
    this.#views = views;
  }

  /**
   * Makes a version of the files and points the tags at it; the dataset is shown with this layout from then on.
   * Errors: BLOCK_NOT_FOUND when the caller may not read a block, or it is not there; ARGUMENT_INVALID when files and blocks
   * do not come to the same; STORE_UNAVAILABLE when too many wait; those of checkFiles and push.
   */
  async publish(
    dataset: BlockDataset,
    tags: readonly TagReference[],
    caller: BlockCaller,
    options: CallOptions = {},
  ): Promise<PushResult> {
    checkFiles(dataset.files);
    checkBlocks(dataset);
    return await this.#turns.run(1, () => this.#publish(dataset, tags, caller, options), options.signal);
  }

  async #publish(
    dataset: BlockDataset,
    tags: readonly TagReference[],
    caller: BlockCaller,
    options: CallOptions,
  ): Promise<PushResult> {
    const blocks = await this.#findAll(dataset, caller, options);
    const folder = await this.#openFolder();
    try {
      await writeFiles(folder, dataset.files, readAll(blocks));
      // Without a cache folder of its own: what it would remember is about a folder that is gone afterwards.
      const engine = { ...withLocalIngest(this.#engine), cacheDir: undefined };
      const result = await push(engine, { source: folder, tags, publisher: caller.name, ...options });
      const paths = dataset.files.map(({ path }) => path);
      const isSorted = paths.every(
        (path, index) => index === 0 || compareUtf8(paths[index - 1] ?? "", path) < 0,
      );
      const layout = {
        blockBytes: dataset.blockBytes,
        files: isSorted ? null : paths,
        blocks: dataset.blocks,
      };
      for (const name of new Set(tags.map((tag) => tag.name))) {
        await this.#views.add(name, result.digest, layout, { ...options, publisher: caller.name });
      }
      return result;
    } finally {
      await fs.rm(folder, { recursive: true, force: true });
    }
  }

  async #findAll(dataset: BlockDataset, caller: BlockCaller, options: CallOptions): Promise<FoundBlock[]> {
    const { blocks, blockBytes } = dataset;
    const totalBytes = streamBytes(dataset);
    const found = new Map<Digest, FoundBlock>();
    for (const [index, signature] of blocks.entries()) {
      const block = found.get(signature) ?? (await this.#views.find(signature, caller, options));
      const text = formatSignature(signature);
      if (block === undefined) {
        throw new AetherError("BLOCK_NOT_FOUND", `block ${index} (${text}) is not there: upload it first`, {
          data: { signature: text },
        });
      }
      const bytes = Math.min(blockBytes, totalBytes - index * blockBytes);
      if (block.bytes !== bytes) {
        throw new AetherError(
          "ARGUMENT_INVALID",
          `block ${index} (${text}) has ${block.bytes} bytes, not ${bytes}`,
        );
      }
      found.set(signature, block);
    }
    return blocks.map((signature) => must(found.get(signature), "each was found"));
  }

  /** An empty folder of this publish alone. */
  async #openFolder(): Promise<string> {
    const { cacheDir, random, clock } = this.#engine;
    const parent = join(cacheDir ?? os.tmpdir(), "aetherfs-publish");
    await fs.mkdir(parent, { recursive: true, mode: 0o700 });
    for (const name of await fs.readdir(parent)) {
      const old = join(parent, name);
      const stats = await fs.stat(old).catch(() => undefined);
      if (stats !== undefined && clock.nowMs() - stats.mtimeMs > ABANDONED_MS) {
        await fs.rm(old, { recursive: true, force: true });
      }
    }
    const folder = join(parent, random.id());
    await fs.mkdir(folder, { mode: 0o700 });
    return folder;
  }
}

async function* readAll(blocks: readonly FoundBlock[]): AsyncGenerator<Uint8Array> {
  for (const { bytes, read } of blocks) yield* read(0, bytes);
}

function streamBytes({ files }: BlockDataset): number {
  return files.reduce((sum, { size }) => sum + size, 0);
}

function checkBlocks(dataset: BlockDataset): void {
  const { blocks, blockBytes } = dataset;
  const totalBytes = streamBytes(dataset);
  if (blocks.length > VIEW_BLOCKS_MAX || !Number.isSafeInteger(totalBytes)) {
    throw new AetherError("LIMIT_EXCEEDED", `a dataset has at most ${VIEW_BLOCKS_MAX} blocks`);
  }
  const wanted = totalBytes === 0 ? 0 : Math.ceil(totalBytes / blockBytes);
  if (blockBytes >= 1 && blocks.length === wanted) return;
  throw new AetherError(
    "ARGUMENT_INVALID",
    `files of ${totalBytes} bytes are not ${blocks.length} blocks of ${blockBytes} bytes`,
  );
}
