import { AetherError } from "../base/errors.ts";
import { STDIN_SOURCE, type PushOptions, type PushResult } from "../dataset/contract.ts";
import { tagOf } from "../dataset/tag-changes.ts";
import type { ChunkingParameters } from "../format/chunking.ts";
import { formatDigest } from "../format/digest.ts";
import { chunkingOf } from "./dataset-settings.ts";
import { annotationsOf, readReference, remark, withClient, withProgress, type Context } from "./context.ts";
import { humanBytes, humanCount, humanSeconds, humanShare } from "./human.ts";

/** Paths that were left out are named one by one up to this many. */
const SKIPPED_SHOWN_MAX = 20;

/** `aetherfs push -t REF PATH`. */
export async function run(context: Context, source: string): Promise<void> {
  const { config, signal } = context;
  const references = config.tags.map((text) => readReference(context, text));
  const tags = references.map(tagOf);
  if (tags.length === 0) {
    throw new AetherError("ARGUMENT_INVALID", "a push needs a tag to set: -t [@scope/]name:tag");
  }
  const options: PushOptions = {
    source,
    ...(source === STDIN_SOURCE ? { input: context.input() } : {}),
    tags,
    ...annotationsOf(context),
    ...pushChunking(context),
    ...(config.blockSize === undefined ? {} : { blockBytes: config.blockSize }),
    ...(config.compression === undefined ? {} : { compressionLevel: config.compression }),
    ...(config.spoolLimit === undefined ? {} : { spoolBytes: config.spoolLimit }),
    exclude: config.exclude,
    dryRun: config.dryRun,
    rehash: config.rehash,
    skipUnreadable: config.skipUnreadable,
    signal,
  };
  const result = await withClient(context, { references, create: !config.dryRun }, (client) =>
    withProgress(context, (onProgress) => client.push({ ...options, onProgress })),
  );
  for (const { path, reason } of result.skipped.slice(0, SKIPPED_SHOWN_MAX)) {
    remark(context, `left out ${path}: ${reason}`);
  }
  const unshown = result.skipped.length - SKIPPED_SHOWN_MAX;
  if (unshown > 0) remark(context, `left out ${humanCount(unshown)} more`);
  await print(context, options, result);
}

/** Undefined leaves the choice to the version before. */
function pushChunking(context: Context): { readonly chunking?: ChunkingParameters } {
  const chunking = chunkingOf(context);
  return chunking === undefined || chunking === null ? {} : { chunking };
}

async function print({ output }: Context, { tags, dryRun }: PushOptions, result: PushResult): Promise<void> {
  const { files, bytes, chunks, newChunks, newBytes, plainBytes, sentBytes, storedBytes, manifestBytes } =
    result;
  const { seconds } = result;
  const digest = formatDigest(result.digest);
  if (output.isJson) {
    const sizes = { newChunks, newBytes, plainBytes, sentBytes, storedBytes, manifestBytes, seconds };
    await output.json({ digest, files, bytes, chunks, ...sizes });
    return;
  }
  const verb = dryRun === true ? "would publish" : "published";
  const reusedBytes = bytes - newBytes;
  await output.lines(
    `${verb}  ${humanCount(files)} files, ${humanBytes(bytes)} in ${humanCount(chunks)} chunks`,
    `reused     ${humanBytes(reusedBytes)} (${humanShare(reusedBytes, bytes)})`,
    `new        ${humanBytes(newBytes)} in ${humanCount(newChunks)} chunks`,
    ...(sentBytes === storedBytes ? [] : [`sent       ${humanBytes(sentBytes)}`]),
    `stored     ${humanBytes(storedBytes)}, of which manifest and plan ${humanBytes(manifestBytes)}`,
    ...(plainBytes <= storedBytes
      ? []
      : [`as chunks  ${humanBytes(plainBytes)} would have been stored, had there been no deltas`]),
    `took       ${humanSeconds(seconds)}`,
    `version    ${digest}`,
    ...tags.map(({ name, tag }, index) => {
      const state =
        result.moved[index] === true ? "" : dryRun === true ? " (dry run)" : " (pointed there already)";
      return `tag        ${name}:${tag}${state}`;
    }),
  );
}
