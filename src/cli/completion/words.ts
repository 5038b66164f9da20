/** What there is to complete: commands and their options, as the help shows them. */
import { SETTING_LIST } from "../../config/schema.ts";
import type { Setting } from "../../config/setting.ts";
import { COMMANDS, type Command } from "../commands.ts";

/** An option. */
export interface OptionWords {
  /** Without dashes. */
  readonly long: string;
  readonly short: string | undefined;
  readonly help: string;
  /** What its value is; undefined: it takes none. */
  readonly value: ValueWords | undefined;
}

/** The values that an option may have: some words, a path, or what nobody can guess. */
export interface ValueWords {
  readonly choices: readonly string[];
  readonly isPath: boolean;
  /** What stands for it in help. */
  readonly placeholder: string;
}

/** A command. */
export interface CommandWords {
  readonly name: string;
  readonly summary: string;
  /** Words that it takes: shells, commands. */
  readonly arguments: readonly string[];
  /** Whether a path of this machine may stand among its arguments. */
  readonly takesPaths: boolean;
  readonly options: readonly OptionWords[];
}

const HELP: OptionWords = { long: "help", short: "h", help: "show this", value: undefined };
const PATHS: ReadonlySet<string> = new Set(["DIR", "FILE", "URL"]);
const TAKES_PATHS: ReadonlySet<string> = new Set(["push", "pull", "analyze"]);

/** Options of every command. */
export function globalOptions(): readonly OptionWords[] {
  return [...SETTING_LIST.filter(([, { commands }]) => commands === undefined).map(optionOf), HELP];
}

/** Every command. */
export function commandWords(): readonly CommandWords[] {
  const named = COMMANDS.map(({ name }) => name);
  const help = { name: "help", summary: "show help on a command", arguments: named };
  return [...COMMANDS.map(wordsOf), { ...help, takesPaths: false, options: [] }];
}

function wordsOf({ name, summary, choices = [] }: Command): CommandWords {
  const options = SETTING_LIST.filter(([, { commands }]) => commands?.includes(name) === true).map(optionOf);
  return { name, summary, arguments: choices, takesPaths: TAKES_PATHS.has(name), options };
}

function optionOf([, { flag, short, help, placeholder }]: readonly [string, Setting<unknown>]): OptionWords {
  return { long: flag, short, help, value: placeholder === undefined ? undefined : valueOf(placeholder) };
}

/** `text|json` names its values; of others only the kind is known. */
function valueOf(placeholder: string): ValueWords {
  const isList = /^[a-z]+(\|[a-z]+)+$/.test(placeholder);
  return { choices: isList ? placeholder.split("|") : [], isPath: PATHS.has(placeholder), placeholder };
}
