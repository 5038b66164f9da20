/** Stores in buckets of real servers, for the conformance suites. */
import { ListMultipartUploadsCommand, ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock, type Clock } from "../../src/base/clock.ts";
import { systemRandom, type Random } from "../../src/base/random.ts";
import { fractions } from "../../src/store/conformance/faulty-store.ts";
import type { StoreFactory } from "../../src/store/conformance/fixture.ts";
import { openStore } from "../../src/store/drivers/all.ts";
import type { S3Settings } from "../../src/store/drivers/s3/s3-settings.ts";
import { remoteLayers } from "../../src/store/layers/remote-layers.ts";
import { Retry } from "../../src/store/layers/retry.ts";
import { stack } from "../../src/store/layers/stack.ts";
import { startFaultProxy, type Rule } from "../servers/fault-proxy.ts";
import type { S3Server } from "../servers/s3-server.ts";
import { newBucket } from "../servers/buckets.ts";
import { type SharedServer } from "../servers/shared.ts";

/** What writers leave is removed in the background: looked for so often before it counts as left. */
const LOOKS_MAX = 100;
const LOOK_MS = 20;

/** Waits take no time: for layers, not for a driver, whose deadlines are waits too. */
const impatient: Clock = { ...systemClock, sleep: () => Promise.resolve() };

/** Randomness from a seed, but for ids. */
export function seededRandom(seed: number): Random {
  return { fraction: fractions(seed), id: systemRandom.id };
}

/** How a test's server is reached, at another endpoint when one is given. */
export function settingsFor(server: S3Server, endpoint = server.endpoint): S3Settings {
  return { endpoint, region: "us-east-1", credentials: server.credentials };
}

/**
 * New stores in new buckets of the server, with the layers that the command line puts around: of writes that meet, radosgw
 * answers some with HTTP 500.
 */
export function s3Fixtures(shared: SharedServer, settings: Partial<S3Settings> = {}): StoreFactory {
  return async () => {
    const server = await shared.get();
    const bucket = await newBucket(server);
    const options = { create: true, clock: systemClock, random: systemRandom };
    const s3 = { ...settingsFor(server), ...settings };
    const driver = await openStore(`s3://${bucket}/some/where`, { ...options, s3 });
    const store = stack(driver, remoteLayers(systemClock, systemRandom));
    const leftovers = (): Promise<string[]> => leftoversIn(server, bucket);
    return { store, prunable: driver.blocks, leftovers, close: () => store.close() };
  };
}

/** As s3Fixtures, with a proxy of the rules between. Adds the kinds of faults that struck to `struck`. */
export function faultyFixtures(
  shared: SharedServer,
  seed: number,
  rules: readonly Rule[],
  struck: Set<string>,
): StoreFactory {
  return async () => {
    const server = await shared.get();
    const bucket = await newBucket(server);
    const random = seededRandom(seed);
    const proxy = await startFaultProxy(server.endpoint, random, rules);
    try {
      const s3 = settingsFor(server, proxy.endpoint);
      const open = () => openStore(`s3://${bucket}`, { create: true, clock: systemClock, random, s3 });
      const retry = new Retry({ clock: impatient, random, attemptsMax: 8, delayMsFirst: 1, delayMsMax: 1 });
      const store = stack(await retry.run(open), remoteLayers(impatient, random));
      const close = async (): Promise<void> => {
        for (const { fault } of proxy.requests) if (fault !== undefined) struck.add(fault);
        await store.close();
        await proxy.stop();
      };
      // What a lost answer left cannot be known: lists are the server's own.
      return { store, prunable: undefined, leftovers: async () => [], close };
    } catch (error) {
      await proxy.stop();
      throw error;
    }
  };
}

/** Temporary objects, and uploads that nobody ended. */
async function leftoversIn({ endpoint, credentials }: S3Server, bucket: string): Promise<string[]> {
  const client = new S3Client({ endpoint, credentials, region: "us-east-1", forcePathStyle: true });
  try {
    for (let look = 1; ; look++) {
      const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: bucket }));
      const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
      const temporary = Contents.filter(({ Key = "" }) => Key.includes("/tmp/"));
      const left = [...temporary, ...Uploads].map(({ Key = "" }) => Key);
      if (left.length === 0 || look === LOOKS_MAX) return left;
      await sleep(LOOK_MS);
    }
  } finally {
    client.destroy();
  }
}
