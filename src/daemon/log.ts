/** The log of a hub: one line an event, on stderr. */
import { pino } from "pino";
import type { Log } from "../base/log.ts";

/** How lines look, and which there are. */
export interface LogOptions {
  readonly level: "error" | "warn" | "info" | "debug";
  /** `text` is `TIME LEVEL message key=value…`, for people. */
  readonly format: "json" | "text";
  /** Takes each line, its end included. */
  readonly write: (line: string) => void;
}

/** Opens a log. What a thrown value under the key `err` says is written with its stack: logs are for operators. */
export function openLog({ level, format, write }: LogOptions): Log {
  const base = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: pino.stdSerializers.errWithCause },
    },
    { write: format === "json" ? write : (line) => write(textLine(line)) },
  );
  return {
    error: (facts, message) => base.error(facts, message),
    warn: (facts, message) => base.warn(facts, message),
    info: (facts, message) => base.info(facts, message),
    debug: (facts, message) => base.debug(facts, message),
  };
}

function textLine(line: string): string {
  const { time, level, msg, ...facts } = JSON.parse(line) as Record<string, unknown>;
  const rest = Object.entries(facts).map(([key, value]) => ` ${key}=${textOf(value)}`);
  return `${String(time)} ${String(level).toUpperCase().padEnd(5)} ${String(msg)}${rest.join("")}\n`;
}

/** As JSON unless it is a plain word: nothing that a client sent can begin a line of its own. */
function textOf(value: unknown): string {
  return typeof value === "string" && /^[\w@.:/+-]+$/.test(value) ? value : JSON.stringify(value);
}
