import { randomBytes } from "node:crypto";
import type { Clock } from "../../base/clock.ts";
import { MiB } from "../../base/limits.ts";
import { digestOf } from "../../format/digest.ts";
import { historyOf, NAME, named, TAG } from "./dataset-store-suite.ts";
import type { StoreFactory } from "./fixture.ts";

/** What a store does, by wall time. */
export interface StoreFigures {
  /** Blocks put, four at a time, and flushed. */
  readonly putMBPerSecond: number;
  /** Whole blocks read, four at a time. */
  readonly readMBPerSecond: number;
  /** Ranges of 64 KiB, sixteen at a time. */
  readonly rangesPerSecond: number;
  /** History entries created one after the other: each is durable before the next. */
  readonly createsPerSecond: number;
  /** Plans of 6,000 bytes put, sixteen at a time, and flushed. */
  readonly plansPerSecond: number;
}

const BLOCK_BYTES = 32 * MiB;
const BLOCKS = 8;
const RANGE_BYTES = 65_536;
const RANGES = 4000;
const CREATES = 200;
const PLANS = 500;

/** Measures a new store of the factory, with 256 MiB of random bytes. */
export async function measureStore(factory: StoreFactory, clock: Clock): Promise<StoreFigures> {
  const { store, close } = await factory();
  const perSecond = async (count: number, task: () => Promise<void>): Promise<number> => {
    const startMs = clock.elapsedMs();
    await task();
    return Math.round((count * 1000) / (clock.elapsedMs() - startMs));
  };
  try {
    const { blocks, datasets } = store;
    const contents = Array.from({ length: BLOCKS }, () => randomBytes(BLOCK_BYTES));
    const digests = contents.map(digestOf);
    const megabytes = (BLOCKS * BLOCK_BYTES) / 1e6;
    const putMBPerSecond = await perSecond(megabytes, async () => {
      await inParallel(4, contents, (content, index) =>
        blocks.put(digests[index] ?? digestOf(content), [content]),
      );
      await blocks.flush();
    });
    const readMBPerSecond = await perSecond(megabytes, () =>
      inParallel(4, digests, async (digest) => {
        await blocks.read(digest);
      }),
    );
    const offsets = Array.from(
      { length: RANGES },
      (_, index) => (index * 7919 * 512) % (BLOCK_BYTES - RANGE_BYTES),
    );
    const rangesPerSecond = await perSecond(RANGES, () =>
      inParallel(16, offsets, async (start, index) => {
        const digest = digests[index % BLOCKS];
        if (digest !== undefined) await blocks.read(digest, { start, end: start + RANGE_BYTES });
      }),
    );
    const createsPerSecond = await perSecond(CREATES, async () => {
      for (let number = 1; number <= CREATES; number++)
        await datasets.createHistory(NAME, TAG, historyOf(number));
    });
    const plans = Array.from({ length: PLANS }, (_, index) => named(String(index)));
    const plansPerSecond = await perSecond(PLANS, async () => {
      await inParallel(16, plans, async (page) => {
        await datasets.putPlan(page, Buffer.alloc(6000), undefined);
      });
      await datasets.flush();
    });
    return { putMBPerSecond, readMBPerSecond, rangesPerSecond, createsPerSecond, plansPerSecond };
  } finally {
    await close();
  }
}

async function inParallel<T>(
  callsMax: number,
  items: readonly T[],
  task: (item: T, index: number) => Promise<void>,
): Promise<void> {
  const entries = items.entries();
  const work = async (): Promise<void> => {
    for (const [index, item] of entries) await task(item, index);
  };
  await Promise.all(Array.from({ length: callsMax }, work));
}
