/** The forms in which settings are written, whichever source they come from. Parsers throw a plain Error that says why. */

/** `true`, `yes`, `on`, `1` or `false`, `no`, `off`, `0`. */
export function parseBoolean(text: string): boolean {
  if (/^(true|yes|on|1)$/i.test(text)) return true;
  if (/^(false|no|off|0)$/i.test(text)) return false;
  throw new Error("it is neither true nor false");
}

const UNITS: Readonly<Record<string, number>> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };
const DECIMAL_UNITS: Readonly<Record<string, number>> = { "": 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12 };

/** Bytes: `65536`, `64KiB` (or `64K`: 2^10 each), `1GB` (10^3 each), also with a decimal point. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?([kmgt]?)(i?b)?$/i.exec(text);
  if (match === null) throw new Error("it is not a size, such as 65536, 64KiB or 1GB");
  const [, amount = "", prefix = "", suffix = ""] = match;
  const unit = (suffix.toLowerCase() === "b" ? DECIMAL_UNITS : UNITS)[prefix.toLowerCase()] ?? 1;
  const bytes = Number(amount) * unit;
  if (!Number.isSafeInteger(bytes)) throw new Error("it is not a whole number of bytes, or too large");
  return bytes;
}

/** A whole number of at least `min` and at most `max`. */
export function parseCount(text: string, min: number, max: number): number {
  const count = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
  if (count >= min && count <= max) return count;
  throw new Error(`it is not a whole number from ${min} to ${max}`);
}

const SECONDS: Readonly<Record<string, number>> = {
  ms: 0.001,
  s: 1,
  m: 60,
  h: 3600,
  d: 86_400,
  w: 7 * 86_400,
};

/** Seconds: `30s`, `500ms`, `5m`, `1h`, `30d`, `2w`, or the number of seconds alone. */
export function parseDuration(text: string): number {
  const [, amount, unit = "s"] = /^(\d{1,9}(?:\.\d+)?)(ms|s|m|h|d|w)?$/.exec(text) ?? [];
  if (amount === undefined) throw new Error("it is not a duration, such as 30s, 5m or 30d");
  return Number(amount) * (SECONDS[unit] ?? 1);
}

/** As parseDuration, with a unit: of what decides what is kept, 30 is as likely days as seconds. 0 needs none. */
export function parseSpan(text: string): number {
  const seconds = parseDuration(text);
  if (/[a-z]$/.test(text) || seconds === 0) return seconds;
  throw new Error(`it has no unit: say ${text}d or ${text}s`);
}

/** A share from 0 to 1: `50%`, or `0.5`. */
export function parseShare(text: string): number {
  const [, amount, percent] = /^(\d{1,3}(?:\.\d+)?)(%)?$/.exec(text) ?? [];
  const share = amount === undefined ? NaN : Number(amount) / (percent === undefined ? 1 : 100);
  if (share >= 0 && share <= 1) return share;
  throw new Error("it is not a share from 0% to 100%, such as 50% or 0.5");
}

/** What `parse` makes of the text; null for `none`. */
export function orNone<T>(parse: (text: string) => T): (text: string) => T | null {
  return (text) => (text === "none" ? null : parse(text));
}

/** One of `names`. */
export function parseChoice<T extends string>(text: string, names: readonly T[]): T {
  const found = names.find((name) => name === text);
  if (found === undefined) throw new Error(`it is none of ${names.join(", ")}`);
  return found;
}

const ZSTD_LEVEL_DEFAULT = 3;
const ZSTD_LEVEL_MAX = 19;

/** A zstd level, 0 for none: `none`, `zstd`, `zstd:9`, or the number alone. */
export function parseCompression(text: string): number {
  if (text === "none") return 0;
  if (text === "zstd") return ZSTD_LEVEL_DEFAULT;
  const level = /^(?:zstd:)?(\d{1,2})$/.exec(text)?.[1];
  if (level !== undefined && Number(level) <= ZSTD_LEVEL_MAX) return Number(level);
  throw new Error(`it is none of none, zstd, zstd:1 to zstd:${ZSTD_LEVEL_MAX}`);
}

/** `key=value` as a pair; the value may be empty. */
export function parseLabel(text: string): readonly [string, string] {
  const equals = text.indexOf("=");
  if (equals < 1) throw new Error("it is not key=value");
  return [text.slice(0, equals), text.slice(equals + 1)];
}
