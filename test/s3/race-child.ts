/** A process that opens a store, says "ready", and works on it when it is told to: many of them then race. */
import { MiB } from "../../src/base/limits.ts";
import { openEngine } from "../../src/daemon/local.ts";
import { addEntries, historyOf, NAME, named, TAG } from "../../src/store/conformance/dataset-store-suite.ts";
import type { Store } from "../../src/store/dataset-store.ts";

/** What to do, as `writer`, `count` times. */
export interface RaceTask {
  readonly kind: "create" | "replace";
  readonly writer: string;
  readonly count: number;
}

/** What a child says. */
export type RaceReply =
  | { readonly state: "ready" }
  /** Numbers of the history entries that it created. */
  | { readonly state: "done"; readonly won: readonly number[] }
  | { readonly state: "failed"; readonly why: string };

const [store = ""] = process.argv.slice(2);

function say(reply: RaceReply): void {
  process.send?.(reply);
}

async function run({ datasets }: Store, { kind, writer, count }: RaceTask): Promise<number[]> {
  const won: number[] = [];
  if (kind === "replace") await addEntries(datasets, named("list"), writer, count);
  else {
    for (let number = 1; number <= count; number++) {
      if (await datasets.createHistory(NAME, TAG, historyOf(number, writer))) won.push(number);
    }
  }
  return won;
}

try {
  const options = { store, create: true, memoryBytes: 64 * MiB, threads: 1, cacheDir: undefined };
  const { engine, close } = await openEngine(options);
  const told = new Promise<RaceTask>((resolve) => process.once("message", resolve));
  say({ state: "ready" });
  say({ state: "done", won: await run(engine.store, await told) });
  await close();
} catch (error) {
  say({ state: "failed", why: String(error) });
}
process.disconnect?.();
