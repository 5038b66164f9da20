/**
 * A process of its own that works on a store in a folder, for tests of many processes: `store-child.ts TASK FOLDER …`.
 * Prints one line for each thing that is done; a failure ends it with the error's code on a line.
 */
import { must } from "../../base/assert.ts";
import { systemClock } from "../../base/clock.ts";
import { codeOf } from "../../base/errors.ts";
import { systemRandom } from "../../base/random.ts";
import type { Store } from "../dataset-store.ts";
import { openStore } from "../drivers/all.ts";
import { blockOf } from "./block-store-suite.ts";
import { addEntries, historyOf, NAME, named, TAG } from "./dataset-store-suite.ts";

/** More than a writer puts before it is killed. */
const BLOCKS = 10;

type Task = (store: Store, parameters: readonly string[]) => Promise<void>;

const TASKS: Readonly<Record<string, Task>> = {
  /** WRITE-ID COUNT: tries to create each entry of a tag's history, and prints the numbers that it won. */
  race: async ({ datasets }, [writeId = "", count = ""]) => {
    for (let number = 1; number <= Number(count); number++) {
      if (await datasets.createHistory(NAME, TAG, historyOf(number, writeId))) print(String(number));
    }
  },
  /** WRITER COUNT: adds to a list by compare-and-set. */
  add: async ({ datasets }, [writer = "", count = ""]) =>
    addEntries(datasets, named("list"), writer, Number(count)),
  /** SEED: puts blocks and commits each, and prints the history's number, until it is killed. */
  write: async ({ blocks, datasets }, [seed = ""]) => {
    // Large, so that many kills hit a write; made first, so that few hit anything else.
    const made = Array.from({ length: BLOCKS }, (_, index) => blockOf(Number(seed) + index, 4_000_000));
    for (let number = 1; ; number++) {
      const { digest, content } = must(made[number % BLOCKS], "a block");
      await blocks.put(digest, [content.subarray(0, 1000), content.subarray(1000)]);
      await blocks.flush();
      await datasets.createHistory(NAME, TAG, { ...historyOf(number), digest });
      await datasets.putHint(NAME, TAG, { number, digest, state: "announced", event: 0 });
      print(String(number));
    }
  },
  /** BYTES: puts one block. */
  put: async ({ blocks }, [bytes = ""]) => {
    const { digest, content } = blockOf(1, Number(bytes));
    await blocks.put(digest, [content]);
    await blocks.flush();
    print("put");
  },
};

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

const [name = "", folder = "", ...parameters] = process.argv.slice(2);
// Root may do anything: tests of permissions need somebody else.
if (process.env["STORE_CHILD_UID"] !== undefined) process.setuid?.(Number(process.env["STORE_CHILD_UID"]));
try {
  const store = await openStore(folder, { create: true, clock: systemClock, random: systemRandom });
  await TASKS[name]?.(store, parameters);
  await store.close();
} catch (error) {
  print(codeOf(error));
}
