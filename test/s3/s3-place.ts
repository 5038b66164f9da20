/** The command line on a store in a bucket, with a proxy between. */
import { ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { systemRandom } from "../../src/base/random.ts";
import { execute, type Outcome } from "../cli/command.ts";
import { environmentIn } from "../program.ts";
import { startFaultProxy, type FaultProxy } from "../servers/fault-proxy.ts";
import type { S3Server } from "../servers/s3-server.ts";
import { newBucket } from "../servers/buckets.ts";

/** A folder, a bucket, and the command on both. */
export interface S3Place {
  readonly folder: string;
  readonly bucket: string;
  readonly proxy: FaultProxy;
  /** What makes a command work on the bucket through the proxy. */
  readonly environment: Readonly<Record<string, string>>;
  /** Runs `aetherfs` in the folder. */
  readonly run: (
    words: readonly string[],
    environment?: Readonly<Record<string, string>>,
  ) => Promise<Outcome>;
  /** Runs a command that must succeed, and gives its JSON. */
  readonly json: (...words: string[]) => Promise<unknown>;
  /** Starts a command and kills it by SIGKILL as soon as a request has met a fault; gives how it ended. */
  readonly killed: (words: readonly string[]) => Promise<Outcome>;
  /** Keys of the store that have this text in them, without what stands before it. */
  readonly keys: (text: string) => Promise<string[]>;
}

/** A new place; gone when the test ends. */
export async function makeS3Place(t: TestContext, server: S3Server): Promise<S3Place> {
  const folder = await mkdtemp(join(tmpdir(), "aetherfs-s3-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const bucket = await newBucket(server);
  const proxy = await startFaultProxy(server.endpoint, systemRandom);
  t.after(() => proxy.stop());
  const environment = {
    STORE: `s3://${bucket}/data`,
    STORAGE_S3_ENDPOINT: proxy.endpoint,
    STORAGE_S3_REGION: "us-east-1",
    STORAGE_S3_ACCESS_KEY_ID: server.credentials.accessKeyId,
    STORAGE_S3_SECRET_ACCESS_KEY: server.credentials.secretAccessKey,
  };
  const all = { ...environmentIn(folder), ...environment };
  const run: S3Place["run"] = (words, more = {}) => execute(words, folder, { ...all, ...more });
  return {
    ...{ folder, bucket, proxy, environment, run },
    json: async (...words) => {
      const { exit, stdout, stderr } = await run([...words, "--output", "json"]);
      if (exit !== 0) throw new Error(`aetherfs ${words.join(" ")} ended with ${exit}: ${stderr}`);
      return JSON.parse(stdout) as unknown;
    },
    killed: (words) =>
      execute(words, folder, all, (child) => {
        const watch = setInterval(() => {
          if (proxy.requests.some(({ fault }) => fault !== undefined)) child.kill("SIGKILL");
        }, 5);
        child.on("close", () => {
          clearInterval(watch);
        });
      }),
    keys: async (text) => {
      const keys = await keysIn(server, bucket);
      return keys
        .filter((key) => key.includes(text))
        .map((key) => key.slice(key.indexOf(text) + text.length));
    },
  };
}

async function keysIn({ endpoint, credentials }: S3Server, bucket: string): Promise<string[]> {
  const client = new S3Client({ endpoint, credentials, region: "us-east-1", forcePathStyle: true });
  try {
    const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: bucket }));
    return Contents.map(({ Key = "" }) => Key);
  } finally {
    client.destroy();
  }
}
