/** Figures as people read them. */

const UNITS = ["B", "KB", "MB", "GB", "TB", "PB"];

/** Bytes with three digits in decimal units: `1.23 MB`. */
export function humanBytes(bytes: number): string {
  let amount = bytes;
  let unit = 0;
  while (amount >= 999.5 && unit < UNITS.length - 1) {
    amount /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || amount >= 99.95 ? 0 : amount >= 9.995 ? 1 : 2;
  return `${amount.toFixed(digits)} ${UNITS[unit] ?? ""}`;
}

/** A whole number in groups of three digits: `1,234,567`. */
export function humanCount(count: number): string {
  // toLocaleString would load the tables of a locale, which takes longer than many a command.
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** `part` of `whole` in percent: `12.3%`; nothing of nothing is `100%`. */
export function humanShare(part: number, whole: number): string {
  if (part >= whole) return "100%";
  if (part === 0) return "0%";
  const percent = (100 * part) / whole;
  return `${Math.min(percent, 99.9).toFixed(percent < 10 ? 2 : 1)}%`;
}

/** Seconds: `0.42 s`, `12.3 s`, `2 min 5 s`. */
export function humanSeconds(seconds: number): string {
  if (seconds < 9.995) return `${seconds.toFixed(2)} s`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** A time to come, in milliseconds, rounded up to the minute: `12 h 5 min`, `3 days`; less than a minute in seconds. */
export function humanDuration(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.ceil(seconds / 60);
  if (minutes >= 48 * 60) return `${Math.ceil(minutes / 60 / 24)} days`;
  const [hours, rest] = [Math.floor(minutes / 60), minutes % 60];
  return [...(hours > 0 ? [`${hours} h`] : []), ...(rest > 0 ? [`${rest} min`] : [])].join(" ");
}

const SPANS = [
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
] as const;

/** Seconds in the largest unit of which they are whole: `30 days`, `90 minutes`. */
export function humanSpan(seconds: number): string {
  const [unit, length] = SPANS.find(([, one]) => seconds >= one && seconds % one === 0) ?? ["second", 1];
  const count = seconds / length;
  return `${humanCount(count)} ${unit}${count === 1 ? "" : "s"}`;
}

/** An RFC 3339 time to the second: `2026-11-22 20:15:00Z`. */
export function humanTime(time: string): string {
  return time.replace("T", " ").replace(/\.\d+Z$/, "Z");
}

/** Text from a store, safe on a terminal: control characters, and those that turn the writing direction, are shown as escapes. */
export function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}
