/** What a check of a whole store found, for people and programs. */
import { AetherError } from "../base/errors.ts";
import type { HistoryPlace, LostVersion, StoreFault, VerifyStoreResult } from "../dataset/scrub/contract.ts";
import { formatDigest } from "../format/digest.ts";
import type { CheckedStore } from "../sdk/verify-store.ts";
import type { Context } from "./context.ts";
import { humanBytes, humanCount, humanSeconds, printable } from "./human.ts";

/** Faults, places and paths that are shown to people. */
const SHOWN_MAX = 20;

/** Prints it. Errors: the first fault's code, when something is (still) wrong. */
export async function printChecked(
  { output, config }: Context,
  { found, healed }: CheckedStore,
): Promise<void> {
  const left = healed?.left ?? found;
  if (output.isJson) {
    const result = jsonOf(found);
    const mended = healed && {
      quarantined: healed.quarantined,
      versions: healed.healed.map(formatDigest),
      left: jsonOf(healed.left),
    };
    await output.json(mended === undefined ? result : { ...result, healed: mended });
  } else
    await output.lines(
      ...linesOf(found, config.structure),
      ...(healed === undefined ? [] : healedLines(healed)),
    );
  const [fault] = left.faults;
  const [lost] = left.lost;
  const first = fault ?? lost;
  if (first === undefined) return;
  const count = `${humanCount(left.faultCount)} faults, by which ${humanCount(left.lostCount)} versions lose something`;
  throw new AetherError(first.code, `the store is damaged: ${count}; the first: ${first.message}`);
}

function linesOf(found: VerifyStoreResult, isStructure: boolean): string[] {
  const { datasets, tags, entries, versions, plans, blocks, bytes, faults, faultCount, lost, lostCount } =
    found;
  const lines = [
    `datasets  ${humanCount(datasets)}, with ${humanCount(tags)} tags and ${humanCount(entries)} entries of their histories`,
    `versions  ${humanCount(versions)}, with ${humanCount(plans)} plans`,
    isStructure
      ? "blocks    those that plans lead to: not their bytes"
      : `blocks    ${humanCount(blocks)}, of ${humanBytes(bytes)}`,
    ...faults
      .slice(0, SHOWN_MAX)
      .map((fault) => `fault     ${nameOf(fault)}: ${fault.code}: ${printable(fault.message)}`),
    ...(faultCount > SHOWN_MAX ? [`fault     ${humanCount(faultCount - SHOWN_MAX)} more`] : []),
    ...lost.slice(0, SHOWN_MAX).flatMap(lostLines),
    ...(lostCount > SHOWN_MAX ? [`lost      of ${humanCount(lostCount - SHOWN_MAX)} more versions`] : []),
  ];
  if (faultCount + lostCount === 0) lines.push("all is sound");
  return [...lines, `took      ${humanSeconds(found.seconds)}`];
}

function lostLines({ version, places, paths, pathCount }: LostVersion): string[] {
  const what = paths === null ? "its list of files" : `${humanCount(pathCount)} files`;
  const more = pathCount - SHOWN_MAX;
  return [
    `lost      ${what} of ${places.slice(0, SHOWN_MAX).map(placeText).join(", ")}  ${formatDigest(version)}`,
    ...(paths ?? []).slice(0, SHOWN_MAX).map((path) => `          ${printable(path)}`),
    ...(more > 0 ? [`          ${humanCount(more)} more`] : []),
  ];
}

function placeText({ dataset, tag, number, isCurrent }: HistoryPlace): string {
  return isCurrent ? `${dataset}:${tag}` : `${dataset}:${tag} (entry ${number})`;
}

function nameOf({ object, where }: StoreFault): string {
  const { kind } = object;
  if (kind === "records") return `record of ${where}`;
  const domain = object.kind === "plans" && object.domain !== undefined ? ` (${object.domain})` : "";
  return `${kind.slice(0, -1)} ${formatDigest(object.digest)}${domain}${where === "" ? "" : ` ${where}`}`;
}

function healedLines({ quarantined, healed, left }: NonNullable<CheckedStore["healed"]>): string[] {
  return [
    `healed    ${humanCount(healed.length)} versions; ${humanCount(quarantined)} objects lie in quarantine`,
    left.faultCount + left.lostCount === 0 ? "all is sound now" : "not all could be healed",
  ];
}

function jsonOf(found: VerifyStoreResult): Record<string, unknown> {
  const faults = found.faults.map(({ object, ...fault }) => ({
    object: object.kind === "records" ? object : { ...object, digest: formatDigest(object.digest) },
    ...fault,
  }));
  const lost = found.lost.map((each) => ({ ...each, version: formatDigest(each.version) }));
  return { ...found, faults, lost };
}
