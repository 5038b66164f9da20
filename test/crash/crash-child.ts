/** A process that waits for one task, does it, and is killed meanwhile: what it runs is warm when the task comes. */
import { codeOf } from "../../src/base/errors.ts";
import { openEngine } from "../../src/daemon/local.ts";
import { runTask, type CrashTask } from "./crash-task.ts";

/** What the child says: first that it is ready, then how the task ended. */
export type CrashReply =
  { readonly state: "ready" | "done" } | { readonly state: "failed"; readonly why: string };

function say(reply: CrashReply): void {
  process.send?.(reply);
}

process.once("message", (task: CrashTask) => {
  void openEngine(task.engine)
    .then(async ({ engine, close }) => {
      await runTask(engine, task);
      await close();
      say({ state: "done" });
    })
    .catch((error: unknown) => {
      say({ state: "failed", why: `${codeOf(error)}: ${String(error)}` });
    })
    .finally(() => {
      process.disconnect?.();
    });
});
say({ state: "ready" });
