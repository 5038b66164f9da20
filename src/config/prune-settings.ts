/** What `aetherfs prune` takes beside `--dry-run`; its rate holds for `verify` of a store too. */
import { optional } from "./setting.ts";
import { parseDuration, parseShare, parseSize, parseSpan } from "./values.ts";

const commands = ["prune"];

/** Settings of a prune; those of the hub's own prunes are its settings. */
export const PRUNE_SETTINGS = {
  grace: optional(
    {
      flag: "grace",
      noVariable: true,
      placeholder: "DURATION",
      commands,
      fallback: "24h; of a hub, its --prune_grace",
      help: "how long what nothing needs stays all the same, so that who reads it may finish",
    },
    parseSpan,
  ),
  wait: optional(
    {
      flag: "wait",
      placeholder: "DURATION",
      commands,
      fallback: "0s",
      help: "how long to wait for pushes that hold the prune up: 20m finds out which of them died",
    },
    parseDuration,
  ),
  repackBelow: optional(
    {
      flag: "repack-below",
      placeholder: "SHARE",
      commands,
      fallback: "50%",
      help: "pack blocks anew of which less than this is needed; 0: none",
    },
    parseShare,
  ),
  maxRepackSize: optional(
    {
      flag: "max-repack-size",
      placeholder: "SIZE",
      commands,
      fallback: "no limit",
      help: "bytes of blocks that are packed anew at most",
    },
    parseSize,
  ),
  rateLimit: optional(
    {
      flag: "rate-limit",
      placeholder: "SIZE",
      commands: ["prune", "verify"],
      fallback: "no limit",
      help: "bytes a second at most, about, that packing anew reads and writes, or that the check of a whole store reads",
    },
    (text) => {
      const bytes = parseSize(text);
      if (bytes === 0) throw new Error("with nothing a second it never ends");
      return bytes;
    },
  ),
} as const;
