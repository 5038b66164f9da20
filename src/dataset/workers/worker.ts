/** The body of a pool's thread: one task at a time, synchronously. */
import { parentPort } from "node:worker_threads";
import { must } from "../../base/assert.ts";
import { plainError, type Reply } from "./message.ts";
import { TASKS, type TaskName } from "./tasks.ts";

const port = must(parentPort, "this module runs as a worker thread");

port.on("message", (job: { readonly task: TaskName; readonly input: never }) => {
  try {
    const { output, transfer } = TASKS[job.task](job.input);
    port.postMessage({ output } satisfies Reply, transfer);
  } catch (error) {
    port.postMessage({ error: plainError(error) } satisfies Reply);
  }
});
