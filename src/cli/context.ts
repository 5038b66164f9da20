import { readFile } from "node:fs/promises";
import type { Readable } from "node:stream";
import { systemClock } from "../base/clock.ts";
import { AetherError } from "../base/errors.ts";
import type { Config } from "../config/schema.ts";
import type { Environment } from "../config/setting.ts";
import { tlsFilesOf } from "../config/tls-files.ts";
import { parseDuration } from "../config/values.ts";
import type { Progress } from "../dataset/contract.ts";
import { EXPIRES_LABEL, parseExpiry } from "../dataset/retention.ts";
import { formatReference, isHost, parseReference, type Reference } from "../format/reference.ts";
import type { Client } from "../sdk/client.ts";
import { HUB_DEFAULT, hubOf } from "../sdk/hub/which-hub.ts";
import type { HubTls } from "../sdk/hub/hub-endpoint.ts";
import { defaultPublisher } from "../sdk/publisher.ts";
import type { Output } from "./output.ts";
import { printable } from "./human.ts";

/** A tag that is to live longer expires in a thousand years. */
const EXPIRY_SECONDS_MAX = 1000 * 365 * 24 * 60 * 60;

/** What a command works with. */
export interface Context {
  readonly config: Config;
  readonly environment: Environment;
  readonly output: Output;
  /** What comes in on stdin: opened when it is asked for. */
  readonly input: () => Readable;
  /** Aborts when the user interrupts, or nobody reads the output any more. */
  readonly signal: AbortSignal;
}

/** A command: it gets the arguments as they were typed. Errors: operating errors, each with its code. */
export type Run = (context: Context, ...parameters: readonly string[]) => Promise<void>;

/** A reference. Errors: REFERENCE_INVALID; ARGUMENT_INVALID when it names a hub besides the store. */
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
 * Runs `work` with a client of the configured store, else of the hub that the references name (when they name none, of
 * --hub), and closes it, whatever happens. `create` makes a store where nothing is.
 * Errors: ARGUMENT_INVALID when the references name several hubs; CONFIG_INVALID; those of opening it and of `work`.
 */
export async function withClient<T>(
  context: Context,
  options: { readonly references: readonly Reference[]; readonly create?: boolean },
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const { store, hub } = context.config;
  const { references, create = false } = options;
  if (store !== undefined && hub !== undefined) {
    throw new AetherError(
      "CONFIG_INVALID",
      `the store is ${store}, and the hub ${hub}: leave one of them out`,
    );
  }
  const place = store === undefined ? { hub: hubOf(references, hub ?? HUB_DEFAULT) } : { store };
  return await withClientAt(context, place, create, work);
}

/** A store's address, or a hub's. */
export type Place = { readonly store: string } | { readonly hub: string };

/** The place of an address: hubs are named as in references, or by URLs, several of one store with commas; all else is a store's address. */
export function placeOf(address: string): Place {
  const isHub = address.split(",").every((part) => /^https?:\/\//i.test(part) || isHost(part));
  return isHub ? { hub: address } : { store: address };
}

/** As withClient, with a client of this place. */
export async function withClientAt<T>(
  context: Context,
  place: Place,
  create: boolean,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const { memoryLimit, concurrency, cacheDir, sentLimit: sentBytesMax } = context.config;
  const parts = { memoryBytes: memoryLimit, threads: concurrency, cacheDir };
  let client: Client;
  if ("store" in place) {
    const { openLocal } = await import("../sdk/local-client.ts");
    const { s3SettingsOf } = await import("../daemon/s3-settings.ts");
    const s3 = s3SettingsOf(context.config, context.environment);
    client = await openLocal({ store: place.store, create, s3, ...parts, signal: context.signal });
  } else {
    const { openHub } = await import("../sdk/hub-client.ts");
    client = openHub({ address: place.hub, tls: await readTls(context.config), sentBytesMax, ...parts });
  }
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

/** The certificates for the way to a hub; undefined: none is wanted. Errors: CONFIG_INVALID. */
async function readTls(config: Config): Promise<HubTls | undefined> {
  const files = tlsFilesOf(config, "client");
  if (files === undefined) return undefined;
  const read = async (file: string | undefined): Promise<string | undefined> => {
    if (file === undefined) return undefined;
    return await readFile(file, "utf8").catch((cause: unknown) => {
      throw new AetherError("CONFIG_INVALID", `the certificate file ${file} cannot be read`, { cause });
    });
  };
  const [ca, cert, key] = await Promise.all([files.caFile, files.certFile, files.keyFile].map(read));
  return { ca, cert, key };
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

/** Who makes a change, and what the settings say about it. Errors: ARGUMENT_INVALID for an expiry that is none. */
export function annotationsOf({ config }: Context): {
  readonly publisher: string;
  readonly message: string;
  readonly labels: Readonly<Record<string, string>>;
} {
  return {
    publisher: defaultPublisher(),
    message: config.message ?? "",
    labels: Object.fromEntries([...config.labels, ...expiryOf(config)]),
  };
}

/** The label that says when a tag expires: `30d` counts from now. */
function expiryOf({ expires, labels }: Config): readonly (readonly [string, string])[] {
  if (expires === undefined) return [];
  if (labels.some(([key]) => key === EXPIRES_LABEL)) {
    throw new AetherError(
      "ARGUMENT_INVALID",
      `--expires and --label ${EXPIRES_LABEL}=… say the same: leave one out`,
    );
  }
  if (parseExpiry(expires) !== undefined) return [[EXPIRES_LABEL, expires]];
  let timeMs: number;
  try {
    timeMs = systemClock.nowMs() + 1000 * Math.min(parseDuration(expires), EXPIRY_SECONDS_MAX);
  } catch (cause) {
    const message = `--expires is "${expires}": it is neither a duration, such as 30d, nor a date or time, such as 2026-12-31`;
    throw new AetherError("ARGUMENT_INVALID", message, { cause });
  }
  return [[EXPIRES_LABEL, new Date(timeMs).toISOString().replace(/\.\d+Z$/, "Z")]];
}

/** Writes a line to stderr that is neither a result nor an error. */
export function remark(context: Context, text: string): void {
  if (context.config.logLevel !== "error") process.stderr.write(`aetherfs: ${printable(text)}\n`);
}
