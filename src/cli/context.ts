import { userInfo, hostname } from "node:os";
import { systemClock } from "../base/clock.ts";
import { AetherError } from "../base/errors.ts";
import type { Config } from "../config/schema.ts";
import type { Progress } from "../dataset/contract.ts";
import type { Engine } from "../dataset/engine.ts";
import { formatReference, parseReference, type Reference } from "../format/reference.ts";
import type { Output } from "./output.ts";
import { printable } from "./human.ts";

/** What a command works with. */
export interface Context {
  readonly config: Config;
  readonly output: Output;
  /** Aborts when the user interrupts, or nobody reads the output any more. */
  readonly signal: AbortSignal;
}

/** A command: it gets the arguments as they were typed. Errors: operating errors, each with its code. */
export type Run = (context: Context, ...parameters: readonly string[]) => Promise<void>;

/** A reference of a store's dataset. Errors: REFERENCE_INVALID; ARGUMENT_INVALID when it names a hub besides the store. */
export function readReference(context: Context, text: string): Reference {
  const reference = parseReference(text);
  if (reference.host !== undefined && context.config.store !== undefined) {
    throw new AetherError(
      "ARGUMENT_INVALID",
      `${text} names the hub ${reference.host}, but the store is ${context.config.store}: leave one of them out`,
      { data: { reference: formatReference(reference) } },
    );
  }
  return reference;
}

/**
 * Runs `work` with an engine on the configured store, and closes it, whatever happens. `create` makes a store where
 * nothing is. Errors: FEATURE_UNSUPPORTED without a store; those of opening it and of `work`.
 */
export async function withEngine<T>(
  context: Context,
  options: { readonly create: boolean },
  work: (engine: Engine) => Promise<T>,
): Promise<T> {
  const { store, memoryLimit, concurrency, cacheDir } = context.config;
  if (store === undefined) {
    throw new AetherError(
      "FEATURE_UNSUPPORTED",
      "working with a hub is not supported yet: name a store with --store file:///DIR, or in the variable STORE",
    );
  }
  const { openEngine } = await import("../daemon/local.ts");
  const local = await openEngine({
    store,
    create: options.create,
    memoryBytes: memoryLimit,
    threads: concurrency,
    cacheDir,
    signal: context.signal,
  });
  try {
    return await work(local.engine);
  } finally {
    await local.close();
  }
}

/** Runs `work`, showing the progress that it reports. */
export async function withProgress<T>(
  context: Context,
  work: (onProgress: (progress: Progress) => void) => Promise<T>,
): Promise<T> {
  const { startProgress } = await import("./progress.ts");
  const target = { form: context.config.progress, stream: process.stderr, clock: systemClock };
  const reporter = await startProgress(target);
  try {
    return await work(reporter.report);
  } finally {
    reporter.stop();
  }
}

/** Who makes a change, and what the settings say about it. */
export function annotationsOf({ config }: Context): {
  readonly publisher: string;
  readonly message: string;
  readonly labels: Readonly<Record<string, string>>;
} {
  return {
    publisher: `${userName()}@${hostname()}`,
    message: config.message ?? "",
    labels: Object.fromEntries(config.labels),
  };
}

/** A user without an entry in the system's list still has a number. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid-${process.getuid?.() ?? "unknown"}`;
  }
}

/** Writes a line to stderr that is neither a result nor an error. */
export function remark(context: Context, text: string): void {
  if (context.config.logLevel !== "error") process.stderr.write(`aetherfs: ${printable(text)}\n`);
}
