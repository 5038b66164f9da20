/** Programs that keep trees of files in a store, behind one interface: AetherFS and those it is measured against. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { COMPILE_CACHE } from "./folders.ts";
import { AETHERFS, type Command, type Run } from "./measure.ts";

/** A program with a new store of its own. */
export interface SnapshotTool {
  readonly name: string;
  /** Where its stored bytes lie. */
  readonly store: string;
  /** Makes the store, unmeasured. */
  readonly setUp: readonly Command[];
  /** Stores the tree as its `number`-th version, from 1. */
  readonly push: (source: string, number: number) => Command;
  /** Writes the first version into `target`, an empty folder. */
  readonly pull: (target: string) => Command;
}

/** What the tools do by themselves; the line that a result is published with. */
export const TOOLS_COMPARED =
  "aetherfs zstd 3, fsync of blocks and folders before the tag; restic compression auto, --no-cache, fsync of packs; " +
  "borg zstd,3, no encryption, fsync of segments; casync zstd, no fsync; page cache warm";

/** All tools, each with its store in a new folder of `folder`. */
export async function snapshotTools(folder: string): Promise<SnapshotTool[]> {
  const makers = { aetherfs, restic, borg, casync };
  return Promise.all(
    Object.entries(makers).map(async ([name, make]) => {
      const own = join(folder, name);
      await mkdir(join(own, "home"), { recursive: true });
      return make(own);
    }),
  );
}

/** The command line on a store, with nothing of this machine's caches or settings. */
export function aetherfsCommand(folder: string, ...args: string[]): Command {
  const store = new URL(`file://${join(folder, "store")}`).href;
  const argv = [
    AETHERFS,
    "--store",
    store,
    "--cache_dir",
    join(folder, "cache"),
    "--output",
    "json",
    ...args,
  ];
  return { argv, env: { HOME: join(folder, "home"), NODE_COMPILE_CACHE: COMPILE_CACHE } };
}

/** The command line as a hub's client, with a cache of its own. */
export function clientCommand(folder: string, ...args: string[]): Command {
  const argv = [AETHERFS, "--cache_dir", join(folder, "cache"), "--output", "json", ...args];
  return { argv, env: { HOME: join(folder, "home"), NODE_COMPILE_CACHE: COMPILE_CACHE } };
}

/** What a command of ours said in JSON: what a push or pull came to. */
export function reportOf({ stdout }: Run): Partial<Record<string, number>> {
  return JSON.parse(stdout) as Partial<Record<string, number>>;
}

function aetherfs(folder: string): SnapshotTool {
  return {
    name: "aetherfs",
    store: join(folder, "store"),
    setUp: [{ argv: [AETHERFS, "--version"], env: { NODE_COMPILE_CACHE: COMPILE_CACHE } }],
    push: (source) => aetherfsCommand(folder, "push", "-t", "tree:one", source),
    pull: (target) => aetherfsCommand(folder, "pull", "--into", target, "tree:one"),
  };
}

function restic(folder: string): SnapshotTool {
  const store = join(folder, "store");
  const env = { HOME: join(folder, "home"), RESTIC_PASSWORD: "bench" };
  const argv = ["restic", "--quiet", "--no-cache", "--repo", store];
  return {
    name: "restic",
    store,
    setUp: [{ argv: [...argv, "init"], env }],
    push: (source) => ({ argv: [...argv, "backup", "."], env, cwd: source }),
    pull: (target) => ({ argv: [...argv, "restore", "latest", "--target", target], env }),
  };
}

function borg(folder: string): SnapshotTool {
  const store = join(folder, "store");
  const env = { HOME: join(folder, "home"), BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: "yes" };
  return {
    name: "borg",
    store,
    setUp: [{ argv: ["borg", "init", "--encryption", "none", store], env }],
    push: (source, number) => ({
      argv: ["borg", "create", "--compression", "zstd,3", `${store}::version-${number}`, "."],
      env,
      cwd: source,
    }),
    pull: (target) => ({ argv: ["borg", "extract", `${store}::version-1`], env, cwd: target }),
  };
}

function casync(folder: string): SnapshotTool {
  const store = join(folder, "store");
  const chunks = join(store, "chunks.castr");
  const index = (number: number): string => join(store, `version-${number}.caidx`);
  const env = { HOME: join(folder, "home") };
  return {
    name: "casync",
    store,
    setUp: [{ argv: ["mkdir", "-p", chunks], env }],
    push: (source, number) => ({
      argv: ["casync", "make", `--store=${chunks}`, "--compression=zstd", index(number), source],
      env,
    }),
    pull: (target) => ({ argv: ["casync", "extract", `--store=${chunks}`, index(1), target], env }),
  };
}
