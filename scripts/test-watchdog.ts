/**
 * Loaded into the process of every test file: one that is still there after FILE_TIMEOUT_MS fails, and says what keeps it.
 * The runner's own limit is for tests, and waits for ever for a file whose tests are over but which never ends.
 */
import { isMainThread } from "node:worker_threads";

/** One test file, before it counts as hung. */
const FILE_TIMEOUT_MS = 6 * 60_000;

if (isMainThread) {
  setTimeout(() => {
    const kept = process.getActiveResourcesInfo().join(", ");
    process.stderr.write(
      `${process.argv[1] ?? ""}: still there after ${FILE_TIMEOUT_MS} ms, kept by: ${kept}\n`,
    );
    process.exit(1);
  }, FILE_TIMEOUT_MS).unref();
}
