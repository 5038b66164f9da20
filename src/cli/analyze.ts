import { AetherError } from "../base/errors.ts";
import type { AnalyzeResult } from "../dataset/analyze/contract.ts";
import { STDIN_SOURCE } from "../dataset/contract.ts";
import { tagOf } from "../dataset/tag-changes.ts";
import { formatDigest } from "../format/digest.ts";
import type { Client } from "../sdk/client.ts";
import { analysisText } from "./analyze-text.ts";
import { readReference, remark, withClient, withProgress, type Context } from "./context.ts";
import { humanCount } from "./human.ts";

/** Paths that were left out are named one by one up to this many. */
const SKIPPED_SHOWN_MAX = 20;
/** The store of an analysis that compares with nothing. */
const NO_STORE = "memory:";

/** `aetherfs analyze PATH [--against REF]` and `aetherfs analyze REF --last N`. */
export async function run(context: Context, subject: string): Promise<void> {
  const { config, output } = context;
  if (config.last !== undefined && config.against !== undefined) {
    throw new AetherError(
      "ARGUMENT_INVALID",
      "--last compares versions of a tag with each other, --against a path with a version: leave one of them out",
    );
  }
  const result = await (config.last === undefined
    ? analyzePath(context, subject)
    : analyzeTag(context, subject));
  const { length: count } = result.versions;
  if (config.last !== undefined && count < config.last) {
    remark(
      context,
      `the tag has had ${count} different version${count === 1 ? "" : "s"}, not ${config.last}`,
    );
  }
  for (const { path, reason } of result.skipped.slice(0, SKIPPED_SHOWN_MAX)) {
    remark(context, `left out ${path}: ${reason}`);
  }
  const unshown = result.skipped.length - SKIPPED_SHOWN_MAX;
  if (unshown > 0) remark(context, `left out ${humanCount(unshown)} more`);
  if (output.isJson) await output.json(analysisObject(result));
  else await output.lines(...analysisText(result, process.stdout.columns));
}

async function analyzePath(context: Context, source: string): Promise<AnalyzeResult> {
  const { against, exclude, skipUnreadable } = context.config;
  const input = source === STDIN_SOURCE ? { input: context.input() } : {};
  const options = { source, ...input, exclude, skipUnreadable };
  const work = async (client: Client): Promise<AnalyzeResult> => {
    const { signal } = context;
    const version = reference && (await client.resolve(reference, { signal }));
    const after = version === undefined ? {} : { against: { name: version.name, version: version.version } };
    return await withProgress(context, (onProgress) =>
      client.analyze({ ...limitsOf(context), ...options, ...after, onProgress }),
    );
  };
  const reference = against === undefined ? undefined : readReference(context, against);
  if (reference !== undefined) return await withClient(context, { references: [reference] }, work);
  const config = { ...context.config, store: NO_STORE, hub: undefined };
  return await withClient({ ...context, config }, { references: [] }, work);
}

async function analyzeTag(context: Context, text: string): Promise<AnalyzeResult> {
  const reference = readReference(context, text);
  const { name, tag } = tagOf(reference);
  const { last = 0 } = context.config;
  return await withClient(context, { references: [reference] }, (client) =>
    withProgress(context, (onProgress) =>
      client.analyze({ ...limitsOf(context), name, tag, last, onProgress }),
    ),
  );
}

function limitsOf({ config, signal }: Context) {
  const { sampleLimit, spoolLimit } = config;
  return {
    signal,
    ...(sampleLimit === undefined ? {} : { sampleBytes: sampleLimit }),
    ...(spoolLimit === undefined ? {} : { spoolBytes: spoolLimit }),
  };
}

/** The result as JSON has it: digests as text. */
function analysisObject(result: AnalyzeResult): unknown {
  const versions = result.versions.map(({ digest, files, bytes }) => ({
    digest: digest === null ? null : formatDigest(digest),
    files,
    bytes,
  }));
  return { ...result, versions };
}
