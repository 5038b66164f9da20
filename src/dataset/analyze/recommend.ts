/** From figures to advice: a pure function, whose rules docs/analyze.md tells. */
import { must } from "../../base/assert.ts";
import { KiB, MiB } from "../../base/limits.ts";
import { DEFAULT_CHUNKING } from "../../format/chunking.ts";
import type {
  AnalyzeResult,
  ChunkingReport,
  Reason,
  Recommendation,
  Stored,
  StoredForm,
} from "./contract.ts";

/** Costs within this of the smallest one are as good. */
const AS_GOOD = 1.1;
/** What zstd leaves of data that is not worth compressing, at least. */
const INCOMPRESSIBLE_SHARE = 0.97;
/** What deltas leave of updates that they do not help, at least. */
const DELTALESS_SHARE = 0.9;
/** Storing everything anew in other chunks must have paid for itself after so many updates. */
const PAYS_WITHIN_UPDATES = 50;

/** Of one of the forms in a figure; absent where there are none with deltas. */
export function formOf(
  stored: Stored,
  compression: StoredForm["compression"],
  deltas: boolean,
): StoredForm | undefined {
  return stored.forms.find((form) => form.compression === compression && form.deltas === deltas);
}

function bytesOf(stored: Stored, compression: StoredForm["compression"], deltas: boolean): number {
  return must(formOf(stored, compression, deltas), "the form is measured").totalBytes;
}

interface Choice {
  readonly report: ChunkingReport;
  readonly reasons: readonly Reason[];
}

/**
 * The chunking whose updates cost least; of those within 10 % of it the one with the fewest chunks. Fixed chunks only where
 * nothing shifts. The dataset's own, when the change would not pay within 50 updates. Without updates: the dataset's or
 * the default one, unless another first version is more than 10 % smaller.
 */
export function recommend(
  chunkings: readonly ChunkingReport[],
  current: AnalyzeResult["current"],
): Recommendation {
  const isMeasured = chunkings.some(({ update }) => update !== null);
  const { report, reasons } = isMeasured ? byUpdates(chunkings, current) : byFirstVersion(chunkings, current);
  const { compression, reasons: formReasons } = compressionFor(report);
  const isCurrent = current === null ? isDefault(report) : isSame(report, current);
  const options = [
    ...(isCurrent ? [] : [`--chunking ${report.chunking} --chunk-size ${sizeText(report.chunkSize)}`]),
    ...(compression === "none" ? ["--compression none"] : []),
  ];
  return {
    chunking: report.chunking,
    chunkSize: report.chunkSize,
    compression,
    options: options.join(" "),
    reasons: [...reasons, ...formReasons],
    switchBytes: current === null || isCurrent ? 0 : bytesOf(report.first, compression, false),
  };
}

function byFirstVersion(chunkings: readonly ChunkingReport[], current: AnalyzeResult["current"]): Choice {
  const usual = chunkings.find((one) => (current === null ? isDefault(one) : isSame(one, current)));
  const costOf = ({ first }: ChunkingReport): number => bytesOf(first, "zstd", false);
  const smallest = least(
    chunkings.filter((one) => one.chunking === "cdc"),
    costOf,
  );
  if (usual !== undefined && costOf(usual) <= costOf(smallest) * AS_GOOD) {
    return { report: usual, reasons: [current === null ? "default" : "keeps-current"] };
  }
  return { report: smallest, reasons: ["smallest-first-version"] };
}

function byUpdates(chunkings: readonly ChunkingReport[], current: AnalyzeResult["current"]): Choice {
  const usable = chunkings.filter((one) => one.chunking === "cdc" || !shifts(one, chunkings));
  if (usable.every(({ update }) => update?.newBytes === 0)) {
    return { ...byFirstVersion(chunkings, current), reasons: ["nothing-changed"] };
  }
  const cheapest = least(usable, updateBytes);
  const asGood = usable.filter((one) => updateBytes(one) <= updateBytes(cheapest) * AS_GOOD);
  const fewest = least(asGood, ({ chunks }) => chunks);
  const own = chunkings.find((one) => current !== null && isSame(one, current));
  if (own !== undefined && (asGood.includes(own) || !pays(own, fewest))) {
    return {
      report: own,
      reasons: asGood.includes(own) ? ["smallest-update", "keeps-current"] : ["keeps-current"],
    };
  }
  return {
    report: fewest,
    reasons: [
      "smallest-update",
      ...(asGood.length > 1 ? ["fewest-chunks" as const] : []),
      ...(fewest.chunking === "fixed" ? ["nothing-shifts" as const] : []),
    ],
  };
}

/** Whether cutting a dataset otherwise saves more in its next updates than it costs once. */
function pays(own: ChunkingReport, other: ChunkingReport): boolean {
  const saved = updateBytes(own) - updateBytes(other);
  return saved * PAYS_WITHIN_UPDATES > bytesOf(other.first, "zstd", false);
}

/** What an update costs in the form that a push makes. */
function updateBytes({ update }: ChunkingReport): number {
  return bytesOf(must(update, "updates are measured"), "zstd", true);
}

/** Whether fixed chunks of this size find less again than content-defined ones: content moves within the files. */
function shifts(fixed: ChunkingReport, chunkings: readonly ChunkingReport[]): boolean {
  const peer = chunkings.find((one) => one.chunking === "cdc" && one.chunkSize === fixed.chunkSize);
  return peer === undefined || (fixed.update?.newBytes ?? 0) > (peer.update?.newBytes ?? 0) * AS_GOOD;
}

/** Uncompressed chunks are read faster; but without compression a push makes no deltas either. */
function compressionFor({ first, update }: ChunkingReport): {
  readonly compression: "none" | "zstd";
  readonly reasons: readonly Reason[];
} {
  const payload = (stored: Stored, compression: "none" | "zstd", deltas: boolean): number =>
    must(formOf(stored, compression, deltas), "the form is measured").payloadBytes;
  const plain = payload(first, "none", false);
  const isDense = plain > 0 && payload(first, "zstd", false) >= plain * INCOMPRESSIBLE_SHARE;
  const changed = update !== null && update.newBytes > 0;
  const isDeltaless =
    changed && payload(update, "zstd", true) >= payload(update, "zstd", false) * DELTALESS_SHARE;
  const reasons: Reason[] = [
    ...(isDense ? ["does-not-compress" as const] : []),
    ...(isDeltaless ? ["does-not-delta" as const] : []),
  ];
  return { compression: isDense && isDeltaless ? "none" : "zstd", reasons };
}

function isDefault(report: ChunkingReport): boolean {
  return isSame(report, { chunking: DEFAULT_CHUNKING.kind, chunkSize: DEFAULT_CHUNKING.averageBytes });
}

function isSame(report: ChunkingReport, other: NonNullable<AnalyzeResult["current"]>): boolean {
  return report.chunking === other.chunking && report.chunkSize === other.chunkSize;
}

/** The first of those with the least. */
function least<T>(items: readonly T[], of: (item: T) => number): T {
  return must(
    items.reduce<T | undefined>(
      (best, item) => (best === undefined || of(item) < of(best) ? item : best),
      undefined,
    ),
    "there is one",
  );
}

/** A chunk size as options take it: `64KiB`, `1MiB`. */
export function sizeText(bytes: number): string {
  if (bytes % MiB === 0) return `${bytes / MiB}MiB`;
  return bytes % KiB === 0 ? `${bytes / KiB}KiB` : String(bytes);
}
