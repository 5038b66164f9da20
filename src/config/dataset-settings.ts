/** The settings of the commands that change a dataset as a whole. */
import { flag, list, optional, same } from "./setting.ts";
import { orNone, parseCount, parseSpan } from "./values.ts";

const KEEP_LAST_MAX = 100_000;
const commands = ["set"];

function parseWindow(text: string): number {
  const seconds = parseSpan(text);
  if (seconds >= 1) return Math.round(seconds);
  throw new Error("it is less than a second");
}

/** What of a dataset stays, and what may not be changed. */
export const DATASET_SETTINGS = {
  keepLast: optional(
    {
      flag: "keep-last",
      noVariable: true,
      placeholder: "N|none",
      commands,
      help: "keep the newest N versions of each tag",
    },
    orNone((text) => parseCount(text, 1, KEEP_LAST_MAX)),
  ),
  keepWithin: optional(
    {
      flag: "keep-within",
      noVariable: true,
      placeholder: "DURATION|none",
      commands,
      help: "keep what tags pointed at within so long before now, as in 30d",
    },
    orNone(parseWindow),
  ),
  keepTags: list(
    {
      flag: "keep-tag",
      noVariable: true,
      placeholder: "GLOB|none",
      commands,
      help: "keep the whole history of tags that match; * stands for any characters",
    },
    same,
  ),
  immutableTags: list(
    {
      flag: "immutable-tag",
      noVariable: true,
      placeholder: "GLOB|none",
      commands,
      help: "tags that match never move once they are set; * stands for any characters",
    },
    same,
  ),
  yes: flag({
    flag: "yes",
    noVariable: true,
    commands: ["rm"],
    help: "delete a whole dataset without asking",
  }),
  expires: optional(
    {
      flag: "expires",
      noVariable: true,
      placeholder: "DURATION|DATE",
      commands: ["push", "tag", "rollback"],
      help: "when prune removes the tag: 30d from now, or 2026-12-31, or 2026-12-31T10:00:00Z",
    },
    same,
  ),
} as const;
