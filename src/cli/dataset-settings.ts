/** A dataset's settings on the command line: what is asked for, and how they are shown. */
import { KiB } from "../base/limits.ts";
import type { DatasetSettings } from "../dataset/dataset-settings.ts";
import {
  checkChunking,
  DEFAULT_CHUNKING,
  formatChunking,
  type ChunkingParameters,
} from "../format/chunking.ts";
import type { DatasetRecord, Retention } from "../format/record.ts";
import type { Context } from "./context.ts";
import { humanCount, humanSpan, humanTime, printable } from "./human.ts";

/** How to cut; null: the size is none; undefined: nobody said. Errors: ARGUMENT_INVALID. */
export function chunkingOf({ config }: Context): ChunkingParameters | null | undefined {
  const { chunking, chunkSize } = config;
  if (chunkSize === null) return null;
  if (chunking === undefined && chunkSize === undefined) return undefined;
  const averageBytes = chunkSize ?? DEFAULT_CHUNKING.averageBytes;
  return checkChunking({ kind: chunking ?? DEFAULT_CHUNKING.kind, averageBytes });
}

/** The settings that are to be changed. Errors: ARGUMENT_INVALID. */
export function settingsOf(context: Context): DatasetSettings {
  const { keepLast, keepWithin, keepTags, immutableTags } = context.config;
  const chunking = chunkingOf(context);
  return {
    ...(chunking !== undefined && { chunking }),
    ...(immutableTags.length > 0 && { immutableTags: patternsOf(immutableTags) }),
    ...(keepLast !== undefined && { keepLast }),
    ...(keepWithin !== undefined && { keepWithinSeconds: keepWithin }),
    ...(keepTags.length > 0 && { keepTags: patternsOf(keepTags) }),
  };
}

function patternsOf(texts: readonly string[]): readonly string[] {
  return texts.filter((text) => text !== "none");
}

/** The record as a JSON value. */
export function datasetObject(record: DatasetRecord): Readonly<Record<string, unknown>> {
  const { name, incarnation, domain, created, chunking, immutableTags, retention } = record;
  const cut = chunking === null ? null : formatChunking(chunking);
  return { name, incarnation, domain, created, chunking: cut, immutableTags, retention };
}

/** The record for people. */
export function datasetLines(record: DatasetRecord): readonly string[] {
  const { name, incarnation, domain, created, chunking, immutableTags, retention } = record;
  const cut = chunking && `${chunking.kind}, ${sizeOf(chunking.averageBytes)}`;
  const immutable = immutableTags.length === 0 ? "no tags" : `tags like ${immutableTags.join(", ")}`;
  return [
    `dataset    ${name}`,
    `id         ${printable(incarnation)}`,
    `created    ${printable(humanTime(created))}`,
    `shares     chunks with datasets ${domain === "" ? "without a scope" : `of ${printable(domain)}`}`,
    `chunking   ${cut ?? "as the version before, else cdc, 64 KiB"}`,
    `immutable  ${printable(immutable)}`,
    `keeps      ${retention === null ? "all versions of its tags" : printable(rulesOf(retention))}`,
  ];
}

/** As it is asked for: in KiB where it is whole. */
function sizeOf(bytes: number): string {
  return bytes % KiB === 0 ? `${humanCount(bytes / KiB)} KiB` : `${humanCount(bytes)} bytes`;
}

function rulesOf({ keepLast, keepWithinSeconds, keepTags }: Retention): string {
  return [
    ...(keepLast === null
      ? []
      : [`the last ${keepLast === 1 ? "version" : `${humanCount(keepLast)} versions`} of each tag`]),
    ...(keepWithinSeconds === null
      ? []
      : [`what a tag pointed at in the last ${humanSpan(keepWithinSeconds)}`]),
    ...(keepTags.length === 0 ? [] : [`all of tags like ${keepTags.join(", ")}`]),
  ].join("; ");
}
