/** Where log lines go: passed on by the composition roots. */
export interface Log {
  readonly error: (facts: LogFacts, message: string) => void;
  readonly warn: (facts: LogFacts, message: string) => void;
  readonly info: (facts: LogFacts, message: string) => void;
  readonly debug: (facts: LogFacts, message: string) => void;
}

/** What a line is about. Nothing secret. */
export type LogFacts = Readonly<Record<string, unknown>>;

/** Says nothing: for tests, and for whoever has no log. */
export const SILENT_LOG: Log = {
  error: () => undefined,
  warn: () => undefined,
  info: () => undefined,
  debug: () => undefined,
};
