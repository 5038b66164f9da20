/** `bin/aetherfs` as a child process, in a folder of its own. */
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import { startHubProcess } from "../hub/hub-process.ts";
import { LAUNCHER, environmentIn } from "../program.ts";

/** What a command did. */
export interface Outcome {
  readonly exit: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What commands work on: a store itself, or a hub that has one. */
export type Kind = "store" | "hub";

/** A folder with a store to be, and the command on it. */
export interface Place {
  readonly folder: string;
  readonly store: string;
  /** Beside environmentOf(folder): what makes commands work on the hub, when there is one. */
  readonly environment: Readonly<Record<string, string>>;
  /** Runs `aetherfs` in the folder, on the store or hub unless the environment says otherwise. */
  readonly run: (words: readonly string[], environment?: Record<string, string>) => Promise<Outcome>;
  /** Runs a command that must succeed, and gives its JSON. */
  readonly json: (...words: string[]) => Promise<unknown>;
  /** Writes files below the folder. */
  readonly write: (files: Readonly<Record<string, string>>) => Promise<void>;
}

/** The environment of a command: nothing of the machine's that is a setting. */
export function environmentOf(folder: string): Record<string, string> {
  return { ...environmentIn(folder), STORE: `file://${folder}/store` };
}

/** A new place, removed when the test ends, its hub before. */
export async function makePlace(t: TestContext, kind: Kind = "store"): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), "aetherfs-cli-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const where: Record<string, string> = kind === "hub" ? { STORE: "", HUB: await startHub(t, folder) } : {};
  const run: Place["run"] = (words, environment = {}) =>
    execute(words, folder, { ...environmentOf(folder), ...where, ...environment });
  const json = async (...words: string[]): Promise<unknown> => {
    const { exit, stdout, stderr } = await run([...words, "--output", "json"]);
    if (exit !== 0) throw new Error(`aetherfs ${words.join(" ")} ended with ${exit}: ${stderr}`);
    return JSON.parse(stdout) as unknown;
  };
  const write: Place["write"] = async (files) => {
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), text);
    }
  };
  return { folder, store: join(folder, "store"), environment: where, run, json, write };
}

/** A hub on the folder's store, ended with the test; gives its `host:port`. */
async function startHub(t: TestContext, folder: string): Promise<string> {
  const words = ["--storage_file_path", join(folder, "store")];
  const hub = await startHubProcess({ home: join(folder, "hub"), words });
  t.after(async () => {
    hub.kill("SIGKILL");
    await hub.ended;
  });
  return hub.host;
}

/** Starts the command; `drive` may close its streams or send it signals, and feeds its stdin when that is a pipe. */
export function execute(
  words: readonly string[],
  folder: string,
  environment: Record<string, string>,
  drive: (child: ReturnType<typeof spawn>) => void = () => undefined,
  stdin: "ignore" | "pipe" = "ignore",
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(LAUNCHER, words, {
      cwd: folder,
      env: environment,
      stdio: [stdin, "pipe", "pipe"],
    });
    const texts = { stdout: "", stderr: "" };
    child.stdout?.setEncoding("utf8").on("data", (text: string) => (texts.stdout += text));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (texts.stderr += text));
    child.on("error", reject);
    child.on("close", (exit) => {
      resolve({ exit, ...texts });
    });
    drive(child);
  });
}
