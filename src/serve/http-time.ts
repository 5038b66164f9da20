import type { FileTime } from "../format/entry.ts";

/** What four digits of a year can say, in seconds since 1970. */
const SECONDS_MIN = -62_167_219_200;
const SECONDS_MAX = 253_402_300_799;
const SECOND_MS = 1000;
const NANOS_DIGITS = 9;

/** RFC 3339 with nanoseconds, or "" of a time that lies outside of it. */
export function isoTime({ seconds, nanos }: FileTime): string {
  if (seconds < SECONDS_MIN || seconds > SECONDS_MAX) return "";
  const whole = new Date(seconds * SECOND_MS).toISOString().slice(0, "0000-00-00T00:00:00".length);
  return nanos === 0 ? `${whole}Z` : `${whole}.${String(nanos).padStart(NANOS_DIGITS, "0")}Z`;
}

/** RFC 9110 §5.6.7, of a time from year 0 on. */
export function httpDate(seconds: number): string {
  return new Date(seconds * SECOND_MS).toUTCString();
}

/** The second that Last-Modified tells, or undefined when it may not: it must not lie in the future. RFC 9110 §8.8.2.1 */
export function modifiedSecondsOf({ seconds }: FileTime, nowMs: number): number | undefined {
  return seconds < SECONDS_MIN || seconds * SECOND_MS > nowMs ? undefined : seconds;
}
