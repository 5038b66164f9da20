import { parseBoolean } from "./values.ts";

/** The environment variables of the process, as the composition root got them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** One setting: everything that flags, environment, file and documents need to know of it. */
export interface Setting<T> {
  /** Name of the flag, without dashes. In capitals, with `_` for `-`, it is the environment variable. */
  readonly flag: string;
  readonly short?: string;
  /** Set of what a stray variable must not bring about, since data would be lost: only a flag or a file says it. */
  readonly noVariable?: true;
  /** What stands for the value in help texts; undefined: a switch, which needs none. */
  readonly placeholder: string | undefined;
  /** Whether it may be given several times. */
  readonly isList: boolean;
  readonly help: string;
  /** The default, for people. */
  readonly fallback: string;
  /** The commands that take it; undefined: all. */
  readonly commands: readonly string[] | undefined;
  /** The commands whose help shows it; undefined: of all that take it. */
  readonly helpOf?: readonly string[];
  /** The value of what was written; several texts only of a list. Throws a plain Error that says why it is none. */
  readonly parse: (texts: readonly string[]) => T;
  /** The value when no source has one. */
  readonly absent: (environment: Environment) => T;
}

interface SettingWords {
  readonly flag: string;
  readonly short?: string;
  readonly noVariable?: true;
  readonly help: string;
  readonly commands?: readonly string[];
  readonly helpOf?: readonly string[];
}

/** A setting of one value, with a default. */
export function single<T>(
  words: SettingWords & { readonly placeholder: string; readonly fallback: string },
  parse: (text: string) => T,
  absent: (environment: Environment) => T,
): Setting<T> {
  return {
    ...words,
    commands: words.commands,
    isList: false,
    parse: (texts) => parse(texts.at(-1) ?? ""),
    absent,
  };
}

/** A setting of one value that may be absent. */
export function optional<T>(
  words: SettingWords & { readonly placeholder: string; readonly fallback?: string },
  parse: (text: string) => T,
): Setting<T | undefined> {
  return single<T | undefined>({ fallback: "", ...words }, parse, () => undefined);
}

/** A setting of any number of values. */
export function list<T>(
  words: SettingWords & { readonly placeholder: string },
  parse: (text: string) => T,
): Setting<readonly T[]> {
  return {
    ...words,
    commands: words.commands,
    fallback: "",
    isList: true,
    parse: (texts) => texts.map(parse),
    absent: () => [],
  };
}

/** A switch, off unless a source says otherwise. */
export function flag(words: SettingWords): Setting<boolean> {
  const parse = (texts: readonly string[]): boolean => parseBoolean(texts.at(-1) ?? "");
  return {
    ...words,
    commands: words.commands,
    placeholder: undefined,
    fallback: "false",
    isList: false,
    parse,
    absent: () => false,
  };
}

/** A text as it was written. */
export const same = (text: string): string => text;

/** The environment variable of a setting. */
export function variableOf(setting: Pick<Setting<unknown>, "flag">): string {
  return setting.flag.replaceAll("-", "_").toUpperCase();
}
