import { join } from "node:path";
import { AetherError } from "../base/errors.ts";
import type { PullResult } from "../dataset/contract.ts";
import type { Resolved } from "../dataset/resolve.ts";
import { formatDigest } from "../format/digest.ts";
import type { Reference } from "../format/reference.ts";
import type { Client } from "../sdk/client.ts";
import { readReference, withClient, withProgress, type Context } from "./context.ts";
import { humanBytes, humanCount, humanSeconds, humanShare } from "./human.ts";

/** `aetherfs pull DIR REF…` and `aetherfs pull --into DIR REF`. */
export async function run(context: Context, ...parameters: readonly string[]): Promise<void> {
  const { into } = context.config;
  const [folder = "", ...rest] = into === undefined ? parameters : [into, ...parameters];
  if (rest.length === 0) {
    throw new AetherError(
      "ARGUMENT_INVALID",
      "a pull needs a folder and a reference: pull DIR REF, or --into DIR REF",
    );
  }
  if (into !== undefined && rest.length > 1) {
    throw new AetherError(
      "ARGUMENT_INVALID",
      `--into takes one reference, not ${rest.length}: pull DIR REF REF`,
    );
  }
  const references = rest.map((text) => readReference(context, text));
  await withClient(context, { references }, async (client) => {
    for (const reference of references) await pullOne(context, client, reference, folder);
  });
}

async function pullOne(
  context: Context,
  client: Client,
  reference: Reference,
  folder: string,
): Promise<void> {
  const { config, signal } = context;
  const resolved = await client.resolve(reference, { signal });
  const { name, version } = resolved;
  const target = config.into ?? join(folder, name, folderOf(resolved));
  const { include, exclude, verify } = config;
  const filter = include.length === 0 ? { exclude } : { include, exclude };
  const options = { name, version, target, ...filter, delete: config.delete, verify, signal };
  const result = await withProgress(context, (onProgress) => client.pull({ ...options, onProgress }));
  await print(context, target, result);
}

function folderOf({ tag, version }: Resolved): string {
  return tag ?? `sha256-${version}`;
}

async function print({ output }: Context, target: string, result: PullResult): Promise<void> {
  const { files, bytes, fetchedBytes, reusedBytes, manifestBytes, seconds } = result;
  const digest = formatDigest(result.digest);
  if (output.isJson) {
    await output.json({ digest, files, bytes, fetchedBytes, reusedBytes, manifestBytes, seconds });
    return;
  }
  await output.lines(
    `pulled   ${humanCount(files)} files, ${humanBytes(bytes)} into ${target}`,
    `reused   ${humanBytes(reusedBytes)} (${humanShare(reusedBytes, bytes)})`,
    `fetched  ${humanBytes(fetchedBytes)}, of which manifest and plan ${humanBytes(manifestBytes)}`,
    `took     ${humanSeconds(seconds)}`,
    `version  ${digest}`,
  );
}
