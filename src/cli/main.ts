/** The `aetherfs` command. The process's arguments, environment, console and signals enter here. */
import { AetherError } from "../base/errors.ts";
import { Output, OutputClosed } from "./output.ts";
import { earlyValue, parseArguments } from "./program.ts";
import { errorLines, exitCodeOf } from "./report-error.ts";
import { packageVersion } from "./version.ts";

const SIGNAL_EXITS = { SIGINT: 130, SIGTERM: 143 } as const;

/** What ended the process before its command did. */
interface Interruption {
  readonly signal: AbortSignal;
  /** The exit code that the signal asks for; undefined when there was none. */
  readonly exitCode: () => number | undefined;
}

/** The first signal aborts the command, which then cleans up; a second one ends the process at once. */
function listenForInterruptions(): Interruption {
  const controller = new AbortController();
  let exitCode: number | undefined;
  for (const [name, code] of Object.entries(SIGNAL_EXITS)) {
    process.on(name, () => {
      if (exitCode !== undefined) process.exit(code);
      exitCode = code;
      controller.abort(new AetherError("CANCELLED", "interrupted"));
    });
  }
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") controller.abort(new OutputClosed());
  });
  process.stderr.on("error", () => undefined);
  return { signal: controller.signal, exitCode: () => exitCode };
}

async function runCommand(words: readonly string[], signal: AbortSignal): Promise<void> {
  const invocation = parseArguments(words, packageVersion(), (text) => process.stdout.write(text));
  if (invocation === undefined) return;
  const { command, flags, parameters } = invocation;
  const { loadConfig } = await import("../config/load.ts");
  const config = await loadConfig(command.name, flags, process.env);
  const { run } = await command.load();
  const output = new Output(process.stdout, config.output);
  const { env: environment, stdin } = process;
  await run({ config, environment, output, input: () => stdin, signal }, ...parameters);
}

function reportError(words: readonly string[], error: unknown): void {
  const isJson = earlyValue(words, "output", process.env) === "json";
  const isDebug = earlyValue(words, "log_level", process.env) === "debug";
  for (const line of errorLines(error, { isJson, isDebug })) process.stderr.write(`${line}\n`);
}

async function main(words: readonly string[]): Promise<number> {
  const { signal, exitCode } = listenForInterruptions();
  try {
    await runCommand(words, signal);
    return 0;
  } catch (error) {
    const cause: unknown = signal.aborted ? signal.reason : error;
    if (cause instanceof OutputClosed || error instanceof OutputClosed) return 0;
    reportError(words, cause);
    return exitCode() ?? exitCodeOf(cause);
  }
}

const words = process.argv.slice(2);
process.on("uncaughtException", (error) => {
  reportError(words, error);
  process.exit(exitCodeOf(error));
});
process.exitCode = await main(words);
