import type { FileTime } from "../format/entry.ts";

/** What four digits of a year can say, in seconds since 1970. */
const SECONDS_MIN = -62_167_219_200;
const SECONDS_MAX = 253_402_300_799;
const SECOND_MS = 1000;
const NANOS_DIGITS = 9;

const MONTHS: readonly string[] = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
const CLOCK = String.raw`(?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d)`;
/** The form that is sent, and two that only old programs have. RFC 9110 §5.6.7 */
const DATES = [
  new RegExp(String.raw`^[A-Z][a-z]{2}, (?<day>\d\d) (?<month>[A-Z][a-z]{2}) (?<year>\d{4}) ${CLOCK} GMT$`),
  new RegExp(String.raw`^[A-Z][a-z]{5,8}, (?<day>\d\d)-(?<month>[A-Z][a-z]{2})-(?<year>\d\d) ${CLOCK} GMT$`),
  new RegExp(String.raw`^[A-Z][a-z]{2} (?<month>[A-Z][a-z]{2}) (?<day>[ \d]\d) ${CLOCK} (?<year>\d{4})$`),
];
/** Two digits of a year stand for one from 1970 on. */
const CENTURY = 100;
const CENTURY_TURN = 70;

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

/** A date of HTTP in seconds since 1970, or undefined when it is none: such headers count as absent. RFC 9110 §5.6.7, §13.1.3 */
export function parseHttpDate(text: string): number | undefined {
  for (const form of DATES) {
    const groups = form.exec(text.trim())?.groups;
    if (groups === undefined) continue;
    const { day = "", month = "", year = "", hour = "", minute = "", second = "" } = groups;
    const years = Number(year);
    const century = year.length > 2 ? 0 : years < CENTURY_TURN ? 20 * CENTURY : 19 * CENTURY;
    const at = new Date(0);
    at.setUTCFullYear(century + years, MONTHS.indexOf(month), Number(day));
    const isDay = at.getUTCDate() === Number(day) && at.getUTCMonth() === MONTHS.indexOf(month);
    // A leap second counts as the one after it.
    const isTime = Number(hour) < 24 && Number(minute) < 60 && Number(second) <= 60;
    if (!isDay || !isTime) return undefined;
    return at.setUTCHours(Number(hour), Number(minute), Number(second)) / SECOND_MS;
  }
  return undefined;
}

/** The second that Last-Modified tells, or undefined when it may not: it must not lie in the future. RFC 9110 §8.8.2.1 */
export function modifiedSecondsOf({ seconds }: FileTime, nowMs: number): number | undefined {
  return seconds < SECONDS_MIN || seconds * SECOND_MS > nowMs ? undefined : seconds;
}
