/** Figures as a person reads them, each with what it is exactly. */
import { formatDigest, type Digest } from "../../format/digest.ts";
import type { Cell } from "./listing.ts";

const UNITS = ["KiB", "MiB", "GiB", "TiB", "PiB"];
const STEP = 1024;
const DIGEST_SHOWN = 12;
const GROUPED = new Intl.NumberFormat("en-US");
const MINUTES = "0000-00-00T00:00".length;

/** Nothing to say. */
export const NO_CELL: Cell = { text: "" };

/** `1.2 MiB`. */
export function sizeCell(bytes: number): Cell {
  let [value, unit] = [bytes, "B"];
  for (const next of UNITS) {
    if (value < STEP) break;
    [value, unit] = [value / STEP, next];
  }
  const shown =
    unit === "B" || value >= 100 ? String(Math.floor(value)) : (Math.floor(value * 10) / 10).toFixed(1);
  return { text: `${shown} ${unit}`, title: `${grouped(bytes)} bytes` };
}

/** `12,345`. */
export function countCell(count: number): Cell {
  return { text: grouped(count) };
}

/** A time of RFC 3339, or "": to the minute, in UTC. */
export function timeCell(time: string): Cell {
  return time === "" ? NO_CELL : { text: time.slice(0, MINUTES).replace("T", " "), title: time };
}

/** The beginning of a digest. */
export function digestCell(digest: Digest): Cell {
  return { text: digest.slice(0, DIGEST_SHOWN), title: formatDigest(digest) };
}

function grouped(count: number): string {
  return GROUPED.format(count);
}
