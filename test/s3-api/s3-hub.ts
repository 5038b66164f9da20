/** A hub process that answers S3, with a dataset of awkward names in it. */
import { execFile } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { MiB } from "../../src/base/limits.ts";
import { noise } from "../../src/dataset/testing/engine.ts";
import { readFolder, temporaryFolder } from "../../src/dataset/testing/folder.ts";
import { startHubProcess } from "../hub/hub-process.ts";
import { LAUNCHER, environmentIn } from "../program.ts";

const run = promisify(execFile);

/** The one key of the hub. */
export const KEY = { id: "AKIATESTS3API", secret: "se/cret+of=the+tests" };
/** Longer than what clients read in one piece. */
export const BIG_BYTES = 20 * MiB + 12_345;

const NAMES = [
  "a b+c&d",
  "%2F%41",
  "<i>&amp;'",
  "#?=;:@!$,()*~",
  "ünï/日本",
  ".hidden",
  "x/y/z/deep",
  "x-y",
  "x.z",
];

/** The hub, where it answers, and what it has. */
export interface S3Hub {
  /** Every place that answers S3: a port of its own, and /s3. */
  readonly urls: readonly string[];
  /** The tree of `set:v1`, `@team/set:v1` and `set:v2`. */
  readonly source: string;
  /** For what clients write: a new folder each time. */
  readonly folder: () => string;
  /** What clients run with: a HOME of their own, the key, nothing else. */
  readonly environment: NodeJS.ProcessEnv;
  readonly close: () => Promise<void>;
}

/** Starts it. Close it, whatever happens. */
export async function startS3Hub(words: readonly string[] = []): Promise<S3Hub> {
  const temporary = temporaryFolder();
  const home = path.join(temporary.path, "home");
  const source = path.join(temporary.path, "source");
  writeTree(source);
  const keys = path.join(temporary.path, "keys.json");
  fs.writeFileSync(keys, JSON.stringify({ [KEY.id]: { secret: KEY.secret, name: "tester" } }), {
    mode: 0o600,
  });
  const hub = await startHubProcess({ home, words: ["--s3_port", "0", "--s3_keys_file", keys, ...words] });
  const env = { ...environmentIn(home), HUB: hub.host };
  for (const tag of ["set:v1", "@team/set:v1", "set:v2"])
    await run(LAUNCHER, ["push", "-t", tag, source], { env });
  const ready = hub.log.find(({ msg }) => msg === "ready");
  let folders = 0;
  return {
    urls: [String(ready?.["s3Url"]), `${hub.url}/s3`],
    source,
    folder: () => {
      const folder = path.join(temporary.path, `folder-${++folders}`);
      fs.mkdirSync(folder);
      return folder;
    },
    environment: {
      PATH: process.env["PATH"],
      HOME: home,
      LC_ALL: "C.UTF-8",
      AWS_ACCESS_KEY_ID: KEY.id,
      AWS_SECRET_ACCESS_KEY: KEY.secret,
      AWS_DEFAULT_REGION: "us-east-1",
      AWS_EC2_METADATA_DISABLED: "true",
    },
    close: async () => {
      hub.kill("SIGKILL");
      await hub.ended;
      temporary.remove();
    },
  };
}

function writeTree(source: string): void {
  for (const name of NAMES) {
    const file = path.join(source, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, `content of ${name}`);
  }
  fs.writeFileSync(path.join(source, "big.bin"), noise(3, BIG_BYTES));
  fs.writeFileSync(path.join(source, "empty-file"), "");
  fs.mkdirSync(path.join(source, "empty-folder"));
  fs.symlinkSync("x-y", path.join(source, "link"));
  fs.symlinkSync("nowhere", path.join(source, "dangling"));
  for (const [index, file] of ["x-y", "big.bin"].entries()) {
    fs.utimesSync(path.join(source, file), 1_500_000_000, 1_500_000_000 + index);
  }
}

/** Path and digest of every file below a folder; a link counts as the file that it leads to. */
export function filesOf(folder: string): Record<string, string> {
  const files: Record<string, string> = {};
  const links: [string, string][] = [];
  for (const entry of readFolder(folder)) {
    if (entry.kind === "file") files[entry.path] = entry.digest;
    if (entry.kind === "symlink") links.push([entry.path, entry.target]);
  }
  for (const [name, target] of links) {
    const digest = files[target];
    if (digest !== undefined) files[name] = digest;
  }
  return files;
}
