/** Programs that keep a folder in a bucket, behind one interface: AetherFS and those it is measured against. */
import { join } from "node:path";
import type { S3Server } from "../test/servers/s3-server.ts";
import { COMPILE_CACHE } from "./folders.ts";
import { AETHERFS, type Command } from "./measure.ts";

/** A program with an empty bucket and a folder of its own. */
export interface S3Tool {
  readonly name: string;
  /** Makes what it needs in the bucket, unmeasured. */
  readonly setUp: readonly Command[];
  /** Brings the source into the bucket. */
  readonly push: (source: string) => Command;
  /** Makes the target as what was pushed last; the target is empty, or as an earlier pull left it. */
  readonly pull: (target: string) => Command;
}

/** Where a program works. */
export interface S3Bench {
  readonly endpoint: string;
  readonly credentials: S3Server["credentials"];
  readonly bucket: string;
  /** For caches and settings. */
  readonly folder: string;
}

/** What the tools do by themselves; the line that a result is published with. */
export const S3_TOOLS_COMPARED =
  "aws s3 sync --delete and rclone sync, which copy files as they are; restic compression auto, with its cache; " +
  "aetherfs zstd 3, with its cache; one radosgw in memory, loopback, HTTP; page cache warm";

/** The tools, by name. */
export const S3_TOOLS = { aetherfs, aws, rclone, restic } as const;

function aetherfs({ endpoint, credentials, bucket, folder }: S3Bench): S3Tool {
  const env = {
    HOME: folder,
    NODE_COMPILE_CACHE: COMPILE_CACHE,
    STORE: `s3://${bucket}/store`,
    STORAGE_S3_ENDPOINT: endpoint,
    STORAGE_S3_REGION: "us-east-1",
    STORAGE_S3_ACCESS_KEY_ID: credentials.accessKeyId,
    STORAGE_S3_SECRET_ACCESS_KEY: credentials.secretAccessKey,
  };
  return {
    name: "aetherfs",
    setUp: [{ argv: [AETHERFS, "--version"], env }],
    push: (source) => ({ argv: [AETHERFS, "push", "-t", "series:latest", source], env }),
    pull: (target) => ({
      argv: [AETHERFS, "pull", "--into", target, "--delete", "series:latest"],
      env,
    }),
  };
}

function awsVariables({ credentials, folder }: S3Bench): Record<string, string> {
  return {
    HOME: folder,
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    AWS_DEFAULT_REGION: "us-east-1",
  };
}

function aws(bench: S3Bench): S3Tool {
  const argv = ["aws", "--endpoint-url", bench.endpoint, "s3", "sync", "--delete", "--only-show-errors"];
  const place = `s3://${bench.bucket}/files`;
  const env = awsVariables(bench);
  return {
    name: "aws s3 sync",
    setUp: [{ argv: ["aws", "--version"], env }],
    push: (source) => ({ argv: [...argv, source, place], env }),
    pull: (target) => ({ argv: [...argv, place, target], env }),
  };
}

function rclone(bench: S3Bench): S3Tool {
  const env = {
    HOME: bench.folder,
    RCLONE_CONFIG_BENCH_TYPE: "s3",
    RCLONE_CONFIG_BENCH_PROVIDER: "Ceph",
    RCLONE_CONFIG_BENCH_ENDPOINT: bench.endpoint,
    RCLONE_CONFIG_BENCH_ACCESS_KEY_ID: bench.credentials.accessKeyId,
    RCLONE_CONFIG_BENCH_SECRET_ACCESS_KEY: bench.credentials.secretAccessKey,
    RCLONE_CONFIG_BENCH_NO_CHECK_BUCKET: "true",
  };
  const place = `bench:${bench.bucket}/files`;
  return {
    name: "rclone sync",
    setUp: [{ argv: ["rclone", "version"], env }],
    push: (source) => ({ argv: ["rclone", "--quiet", "sync", source, place], env }),
    pull: (target) => ({ argv: ["rclone", "--quiet", "sync", place, target], env }),
  };
}

function restic(bench: S3Bench): S3Tool {
  const env = { ...awsVariables(bench), RESTIC_PASSWORD: "bench" };
  const repository = `s3:${bench.endpoint}/${bench.bucket}/repository`;
  const argv = ["restic", "--quiet", "--cache-dir", join(bench.folder, "cache"), "--repo", repository];
  return {
    name: "restic",
    setUp: [{ argv: [...argv, "init"], env }],
    push: (source) => ({ argv: [...argv, "backup", "."], env, cwd: source }),
    pull: (target) => ({ argv: [...argv, "restore", "latest", "--target", target], env }),
  };
}
