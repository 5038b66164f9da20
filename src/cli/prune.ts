import { systemClock } from "../base/clock.ts";
import type { PruneCount, PruneProgress, PruneResult } from "../dataset/prune/contract.ts";
import type { PruneSettings } from "../dataset/prune/pruner.ts";
import type { Config } from "../config/schema.ts";
import { withClient, type Context } from "./context.ts";
import {
  humanBytes,
  humanCount,
  humanDuration,
  humanSeconds,
  humanShare,
  humanTime,
  printable,
} from "./human.ts";

/** `aetherfs prune`. What it could not remove yet is no error: the text, or `holders` and `ripeInMs`, say why. */
export async function run(context: Context): Promise<void> {
  const { config, output, signal } = context;
  const settings = settingsOf(config);
  const result = await withClient(context, { references: [] }, (client) =>
    withPruneProgress(context, (onProgress) => client.prune({ ...settings, signal, onProgress })),
  );
  if (output.isJson) {
    const { dryRun } = config;
    const { ripeInMs = null, ...rest } = result;
    await output.json({ dryRun, ...rest, ripeInMs });
    return;
  }
  await output.lines(...pruneLines(result, config));
}

function settingsOf(config: Config): PruneSettings {
  const { dryRun, grace, wait = 0, repackBelow, maxRepackSize, rateLimit } = config;
  return {
    dryRun,
    graceMs: grace === undefined ? undefined : grace * 1000,
    waitMs: wait * 1000,
    repackBelow,
    repackBytesMax: maxRepackSize,
    bytesPerSecond: rateLimit,
  };
}

/** What a prune did, for people. */
export function pruneLines(
  result: PruneResult,
  { dryRun, wait = 0 }: Pick<Config, "dryRun" | "wait">,
): readonly string[] {
  const { versions, kept, unusedBytes, seconds } = result;
  const versionText = `${humanCount(versions)} ${versions === 1 ? "version" : "versions"}`;
  const share = kept.blockBytes === 0 ? "" : ` (${humanShare(unusedBytes, kept.blockBytes)})`;
  return [
    `kept       ${versionText} in ${countText(kept)}`,
    `unused     ${humanBytes(unusedBytes)} inside of blocks that are needed${share}`,
    ...noteLines(result),
    ...(dryRun ? dryLines(result) : workLines(result)),
    ...holderLines(result, wait),
    `took       ${humanSeconds(seconds)}`,
  ];
}

function noteLines({ incomplete, expiredTags, removedDatasets }: PruneResult): readonly string[] {
  const lines: string[] = [];
  if (incomplete > 0)
    lines.push(
      `not whole  ${humanCount(incomplete)} of these, which tags pointed at before: they were pruned once, or are damaged (verify tells)`,
    );
  if (expiredTags > 0)
    lines.push(`expired    ${humanCount(expiredTags)} tags, whose time is over, were removed`);
  if (removedDatasets > 0)
    lines.push(`deleted    ${humanCount(removedDatasets)} datasets are gone; their names are free`);
  return lines;
}

function dryLines({ condemned }: PruneResult): readonly string[] {
  if (isNothing(condemned)) return ["not needed nothing"];
  return [
    `not needed ${countText(condemned)}: nothing is removed, this was a dry run; without --dry-run`,
    "           they are condemned, and removed by a prune after the grace time, if nothing needs them then",
  ];
}

function workLines({ removed, repacked, condemned, ripeInMs, holders }: PruneResult): readonly string[] {
  const lines = [`removed    ${isNothing(removed) ? "nothing" : countText(removed)}`];
  if (repacked.blocks > 0)
    lines.push(
      `repacked   ${blocksText(repacked)} into ${humanBytes(repacked.newBytes)}; the old ones are condemned`,
    );
  if (!isNothing(condemned))
    lines.push(
      `condemned  ${countText(condemned)}: a prune in ${humanDuration(ripeInMs ?? 0)} or later removes them`,
    );
  else if (ripeInMs !== undefined && ripeInMs > 0)
    lines.push(
      `waiting    what an earlier prune condemned may be removed in ${humanDuration(ripeInMs)}; more is condemned after that`,
    );
  else if (ripeInMs !== undefined && holders.length === 0)
    lines.push("waiting    another prune removes what was condemned");
  return lines;
}

/** Pushes shown by name. */
const HOLDERS_SHOWN_MAX = 10;

function holderLines({ holders }: PruneResult, wait: number): readonly string[] {
  if (holders.length === 0) return [];
  const shown = holders
    .slice(0, HOLDERS_SHOWN_MAX)
    .map(({ holder, since }) => `           ${printable(holder)}, since ${humanTime(printable(since))}`);
  const more = holders.length - shown.length;
  const advice =
    wait > 0
      ? "these went on for all of --wait: what was condemned stays until they end"
      : "they are under way, or died: --wait 20m waits for them, and finds out";
  return [
    `held up    by ${humanCount(holders.length)} ${holders.length === 1 ? "push that was" : "pushes that were"} under way when it was condemned:`,
    ...shown,
    ...(more > 0 ? [`           and ${humanCount(more)} more`] : []),
    `           ${advice}`,
  ];
}

function isNothing({ blocks, others }: PruneCount): boolean {
  return blocks === 0 && others === 0;
}

function countText({ others, ...blocks }: PruneCount): string {
  return `${blocksText(blocks)}, and ${humanCount(others)} other ${others === 1 ? "object" : "objects"}`;
}

function blocksText({
  blocks,
  blockBytes,
}: {
  readonly blocks: number;
  readonly blockBytes: number;
}): string {
  return `${humanCount(blocks)} ${blocks === 1 ? "block" : "blocks"} of ${humanBytes(blockBytes)}`;
}

/** What is counted in each phase. */
const PHASE_TEXTS: Readonly<Record<PruneProgress["phase"], string>> = {
  mark: "finding what is needed: {} versions",
  wait: "waiting for {} pushes",
  sweep: "removing: {} objects",
  list: "looking through the store: {} objects",
  repack: "packing anew: {} blocks",
};

const SHOWS_PER_SECOND_MAX = 10;

/** Runs `work`, showing how far it is: a line on a terminal, or JSON lines. */
async function withPruneProgress<T>(
  { config }: Context,
  work: (onProgress: (progress: PruneProgress) => void) => Promise<T>,
): Promise<T> {
  const stream = process.stderr;
  const isJson = config.progress === "json";
  if (!isJson && (config.progress === "none" || !stream.isTTY)) return await work(() => undefined);
  let last: PruneProgress["phase"] | undefined;
  let lastMs = -Infinity;
  const show = ({ phase, done }: PruneProgress): void => {
    const nowMs = systemClock.elapsedMs();
    const isSoon = nowMs - lastMs < 1000 / SHOWS_PER_SECOND_MAX;
    if (stream.writableNeedDrain || (isSoon && phase === last)) return;
    [last, lastMs] = [phase, nowMs];
    const text = PHASE_TEXTS[phase].replace("{}", humanCount(done));
    stream.write(isJson ? `${JSON.stringify({ progress: { phase, done } })}\n` : `\r\u001b[K${text}`);
  };
  try {
    return await work(show);
  } finally {
    if (!isJson) stream.write("\r\u001b[K");
  }
}
