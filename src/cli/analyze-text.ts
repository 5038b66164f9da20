/** An analysis as people read it. */
import type { AnalyzeResult, ChunkingReport, Reason, Stored } from "../dataset/analyze/contract.ts";
import { formOf, sizeText } from "../dataset/analyze/recommend.ts";
import { formatDigest } from "../format/digest.ts";
import { bar, shortened, wrapped } from "./bar.ts";
import { humanBytes, humanCount, humanSeconds, humanShare, printable } from "./human.ts";
import { aligned, type Column } from "./output.ts";

const WIDTH_DEFAULT = 80;
const WIDTH_MIN = 72;
const WIDTH_MAX = 100;
const BAR_WIDTH_MIN = 6;
const FILES_SHOWN_MAX = 10;
const VERSIONS_SHOWN_MAX = 4;

/** The lines of an analysis, none longer than the terminal (`columns`; 80 when there is none) as far as 72 do. */
export function analysisText(result: AnalyzeResult, columns = WIDTH_DEFAULT): readonly string[] {
  const width = Math.max(WIDTH_MIN, Math.min(WIDTH_MAX, columns));
  return [
    ...subjectLines(result, width),
    "",
    "first version: what the newest takes where nothing is yet",
    ...firstTable(result.chunkings, width),
    ...updateLines(result, width),
    ...churnLines(result, width),
    "",
    ...recommendationLines(result, width),
    `took         ${humanSeconds(result.seconds)}`,
  ];
}

function subjectLines({ versions, sampled, changes }: AnalyzeResult, width: number): string[] {
  const shown = versions.length <= VERSIONS_SHOWN_MAX ? versions : versions.slice(-VERSIONS_SHOWN_MAX);
  const lines = shown.map(({ digest, files, bytes }, index) => {
    const what = index === shown.length - 1 ? "analyzed   " : "compared to";
    const name = digest === null ? "the source" : formatDigest(digest).slice(0, "sha256:".length + 12);
    return `${what}  ${humanCount(files)} files, ${humanBytes(bytes)}  (${name})`;
  });
  const unshown = versions.length - shown.length;
  if (unshown > 0) lines.unshift(`compared to  ${humanCount(unshown)} older versions`);
  if (versions.length > 1) {
    const { changed, added, removed } = changes;
    const counts = `${humanCount(changed)} changed, ${humanCount(added)} added, ${humanCount(removed)} removed`;
    const updates = versions.length === 2 ? "" : `, over ${humanCount(versions.length - 1)} updates`;
    lines.push(`paths        ${counts}${updates}`);
  }
  if (sampled === null) return lines;
  const share = humanShare(sampled.bytes, sampled.totalBytes);
  const text = `${humanBytes(sampled.bytes)} of ${humanBytes(sampled.totalBytes)} (${share}) were measured: all figures below are of that part`;
  return [...lines, ...wrapped("sampled      ", text, width)];
}

const right = { isRight: true } as const;

/** The rows with a bar of `of` at the end of each, as long as there is room. */
function chart<T>(
  items: readonly T[],
  columns: readonly Column[],
  cells: (item: T) => readonly string[],
  of: (item: T) => number,
  width: number,
): readonly string[] {
  const rows = [columns.map(({ head }) => head), ...items.map(cells)];
  const lines = aligned(columns, rows);
  const used = Math.max(...lines.map((line) => line.length)) + 2;
  const largest = Math.max(...items.map(of));
  const room = Math.max(BAR_WIDTH_MIN, width - used);
  return lines.map((line, index) => {
    const item = items[index - 1];
    return item === undefined ? line : `${line.padEnd(used)}${bar(of(item), largest, room)}`.trimEnd();
  });
}

function nameOf({ chunking, chunkSize }: { readonly chunking: string; readonly chunkSize: number }): string {
  return `${chunking} ${sizeText(chunkSize)}`;
}

function totalOf(stored: Stored, compression: "none" | "zstd", deltas: boolean): number {
  return formOf(stored, compression, deltas)?.totalBytes ?? 0;
}

function besidesOf({ manifestBytes, planBytes, indexBytes }: Stored): number {
  return manifestBytes + planBytes + indexBytes;
}

function firstTable(chunkings: readonly ChunkingReport[], width: number): readonly string[] {
  const columns = [
    { head: "CHUNKS OF" },
    { head: "COUNT", ...right },
    { head: "MANIFEST", ...right },
    { head: "PLAIN", ...right },
    { head: "ZSTD", ...right },
    { head: "TIME", ...right },
  ];
  return chart(
    chunkings,
    columns,
    (one) => [
      nameOf(one),
      humanCount(one.chunks),
      humanBytes(one.first.manifestBytes),
      humanBytes(totalOf(one.first, "none", false)),
      humanBytes(totalOf(one.first, "zstd", false)),
      humanSeconds(one.first.seconds),
    ],
    ({ first }) => totalOf(first, "zstd", false),
    width,
  );
}

function updateLines({ chunkings, versions }: AnalyzeResult, width: number): readonly string[] {
  const updates = chunkings.flatMap(({ update, ...one }) => (update === null ? [] : [{ ...one, update }]));
  if (updates.length === 0) return [];
  const count = versions.length - 1;
  const columns = [
    { head: "CHUNKS OF" },
    { head: "NEW", ...right },
    { head: "BESIDES", ...right },
    { head: "PLAIN", ...right },
    { head: "ZSTD", ...right },
    { head: "DELTAS", ...right },
    { head: "TIME", ...right },
  ];
  return [
    "",
    count === 1
      ? "update: what it takes after the version before"
      : `update: what one takes after the version before, the median of ${count}`,
    ...chart(
      updates,
      columns,
      ({ update, ...one }) => [
        nameOf(one),
        humanCount(update.chunks),
        humanBytes(besidesOf(update)),
        humanBytes(totalOf(update, "none", false)),
        humanBytes(totalOf(update, "zstd", false)),
        humanBytes(totalOf(update, "zstd", true)),
        humanSeconds(update.seconds),
      ],
      ({ update }) => totalOf(update, "zstd", true),
      width,
    ),
  ];
}

function churnLines({ churn, versions }: AnalyzeResult, width: number): readonly string[] {
  const shown = churn.slice(0, FILES_SHOWN_MAX);
  if (shown.length === 0) return [];
  const count = versions.length - 1;
  const columns = [
    { head: "SIZE", ...right },
    { head: "CHANGED", ...right },
    ...(count > 1 ? [{ head: "IN", ...right }] : []),
    { head: "PATH" },
  ];
  const pathWidth = width - 40;
  const lines = chart(
    shown,
    columns,
    ({ size, changedBytes, updates, path }) => [
      humanBytes(size),
      humanBytes(changedBytes),
      ...(count > 1 ? [`${updates} of ${count}`] : []),
      shortened(printable(path), pathWidth),
    ],
    ({ changedBytes }) => changedBytes,
    width,
  );
  const more = churn.length - shown.length;
  return ["", "files that change most", ...lines, ...(more > 0 ? [`and ${humanCount(more)} more`] : [])];
}

function recommendationLines(result: AnalyzeResult, width: number): readonly string[] {
  const { recommendation, current } = result;
  const { reasons, options, switchBytes } = recommendation;
  const chunks = `chunks of ${nameOf(recommendation)}, compression ${recommendation.compression}`;
  const how = options === "" ? "none are needed" : `aetherfs push ${options} ...`;
  const because = reasons.map((reason) => reasonText(reason, result));
  if (switchBytes > 0 && current !== null) {
    because.push(
      `the dataset is cut in ${nameOf(current)} now: the first push in other chunks stores everything anew, about ${humanBytes(switchBytes)}, once`,
    );
  }
  const head = (index: number): string => (index === 0 ? "because" : "and").padEnd("recommended  ".length);
  return [
    `recommended  ${chunks}`,
    `options      ${how}`,
    ...because.flatMap((text, index) => wrapped(head(index), text, width)),
  ];
}

function reasonText(reason: Reason, { chunkings, recommendation, versions, sampled }: AnalyzeResult): string {
  const chosen = chunkings.find(
    ({ chunking, chunkSize }) =>
      chunking === recommendation.chunking && chunkSize === recommendation.chunkSize,
  );
  const update = chosen?.update;
  const cost = update === null || update === undefined ? 0 : totalOf(update, "zstd", true);
  const texts: Readonly<Record<Reason, () => string>> = {
    default: () =>
      versions.length === 1 && sampled === null
        ? "no other first version is more than 10 % smaller; --against says what updates cost"
        : "no other first version is more than 10 % smaller",
    "smallest-first-version": () => "its first version is more than 10 % smaller than the usual one's",
    "nothing-changed": () => "nothing changed, so that nothing speaks for another",
    "smallest-update": () => `its updates cost the least, or within 10 % of it: ${humanBytes(cost)}`,
    "fewest-chunks": () =>
      `of those that cost no more it has the fewest chunks, ${humanCount(chosen?.chunks ?? 0)}: less to list and to ask for`,
    "keeps-current": () =>
      `the dataset is cut so already: storing everything anew in other chunks would not pay within 50 updates`,
    "nothing-shifts": () =>
      "content changes in place and does not shift, so that fixed chunks find as much again; prefer cdc if it may shift",
    "does-not-compress": () =>
      recommendation.compression === "none"
        ? "the data does not compress: uncompressed it is read faster"
        : "the data does not compress; zstd stays for the sake of deltas, which are made with compression only",
    "does-not-delta": () => "deltas save less than 10 %: what changes, changes throughout",
  };
  return texts[reason]();
}
