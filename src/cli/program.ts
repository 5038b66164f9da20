/** The command line, taken apart by commander. */
import { Command as Program, CommanderError, Option } from "commander";
import { AetherError } from "../base/errors.ts";
import type { Written } from "../config/config-file.ts";
import { SETTING_LIST, type SettingName } from "../config/schema.ts";
import { variableOf, type Setting } from "../config/setting.ts";
import { COMMANDS, type Command } from "./commands.ts";
import { mountOptions } from "./mount-options.ts";

/** What the command line asks for. */
export interface Invocation {
  readonly command: Command;
  /** The arguments in order; a missing optional one is left out. */
  readonly parameters: readonly string[];
  readonly flags: Written;
}

const ABOUT = `Like Docker, but for data: versioned, deduplicated, verified datasets.

REF is [HOST[:PORT]/][@scope/]name[:tag], or name@sha256:DIGEST for a version. The tag is latest when there is
none, the hub localhost:8080: --hub names another one, and --store works on a store without any hub.

Begin with:
  aetherfs run                                start a hub on this machine
  aetherfs push -t photos:latest ~/Pictures   publish a folder
  aetherfs pull --into copy photos:latest     bring it to a folder, here or on another machine`;

const WITHOUT_VARIABLE = SETTING_LIST.filter(([, { noVariable }]) => noVariable === true);

const AFTER = `
Every option may also be set in --config_file, or in the environment (--memory_limit: MEMORY_LIMIT) but for
${WITHOUT_VARIABLE.map(([, { flag }]) => `--${flag}`).join(", ")}.
Stores in S3 (--store s3://BUCKET) go by the options --storage_s3_... of "aetherfs run --help".
Help on a command: aetherfs COMMAND --help`;

/**
 * Reads the arguments (without Node's and the program's). Help and version are written to `write`, and undefined is
 * given: there is nothing to run. Errors: ARGUMENT_INVALID, with what was perhaps meant.
 */
export function parseArguments(
  words: readonly string[],
  version: string,
  write: (text: string) => void,
): Invocation | undefined {
  let invocation: Invocation | undefined;
  let complaint = "";
  const program = new Program("aetherfs")
    .description(ABOUT)
    .usage("[options] COMMAND ...")
    .version(version, "-V, --version", "say which AetherFS this is")
    .helpOption("-h, --help", "show this")
    .helpCommand("help [command]", "show help on a command")
    .addHelpText("after", AFTER);
  const settle = (command: Program): Program =>
    command.exitOverride().configureOutput({
      writeOut: write,
      writeErr: (text) => (complaint += text),
      getOutHelpWidth: () => 110,
    });
  settle(program);
  for (const [name, setting] of SETTING_LIST) {
    if (setting.commands !== undefined) continue;
    program.addOption(optionOf(name, setting).hideHelp(setting.helpOf !== undefined));
  }
  for (const command of COMMANDS) {
    const run = settle(program.command(`${command.name} ${command.takes}`.trimEnd()));
    describe(run, command);
    run.action(() => {
      const parameters = run.processedArgs.flat().filter((word): word is string => typeof word === "string");
      const flags = writtenIn(run.optsWithGlobals());
      for (const [name, texts] of mountOptions(flags.get("mountOptions") ?? [])) flags.set(name, texts);
      invocation = { command, parameters, flags };
    });
  }
  try {
    program.parse(words.length === 0 ? ["--help"] : words.map(spelled), { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return undefined;
    throw usageError(complaint === "" ? error.message : complaint);
  }
  return invocation;
}

function describe(program: Program, command: Command): void {
  const { name, summary, usage, examples } = command;
  if (usage !== undefined) program.usage(usage);
  program
    .description(summary)
    .helpOption("-h, --help", "show this")
    .addHelpText("after", `\nExamples:\n${examples.map((example) => `  ${example}`).join("\n")}`)
    .configureHelp({ showGlobalOptions: true });
  for (const [key, setting] of SETTING_LIST) {
    const { commands, helpOf } = setting;
    if (commands?.includes(name) === true || helpOf?.includes(name) === true) {
      program.addOption(optionOf(key, setting));
    }
  }
}

/** The option's value is kept under the setting's name, as texts that config/ reads. */
function optionOf(name: SettingName, setting: Setting<unknown>): Option {
  const { flag, short, placeholder, help, fallback, isList } = setting;
  const names = `${short === undefined ? "" : `-${short}, `}--${flag}`;
  const value = placeholder === undefined ? "" : ` <${placeholder}>`;
  const notes = [
    ...(isList ? ["may be repeated"] : []),
    ...(fallback === "" || placeholder === undefined ? [] : [`default: ${fallback}`]),
  ];
  const option = new Option(`${names}${value}`, notes.length === 0 ? help : `${help} (${notes.join("; ")})`);
  option.attributeName = () => name;
  if (isList) {
    option.argParser((text: string, before: readonly string[] | undefined) => [...(before ?? []), text]);
  }
  return option;
}

/** `--cache-size` for `--cache_size`, and the other way round. */
function spelled(word: string): string {
  const [, name = "", rest = ""] = /^--([a-z0-9]+(?:[-_][a-z0-9]+)+)(=.*)?$/s.exec(word) ?? [];
  const setting = SETTING_LIST.find(
    ([, { flag }]) => flag.replaceAll("-", "_") === name.replaceAll("-", "_"),
  );
  return setting === undefined ? word : `--${setting[1].flag}${rest}`;
}

function writtenIn(options: Readonly<Record<string, unknown>>): Map<SettingName, readonly string[]> {
  const written = new Map<SettingName, readonly string[]>();
  for (const [name] of SETTING_LIST) {
    const value = options[name];
    if (typeof value === "string") written.set(name, [value]);
    else if (Array.isArray(value)) written.set(name, value as string[]);
    else if (value === true) written.set(name, ["true"]);
  }
  return written;
}

/** Commander's complaint as one sentence: `error: unknown option '--stor'\n(Did you mean --store?)`. */
function usageError(complaint: string): AetherError {
  const [first = "", ...rest] = complaint.trim().split("\n");
  const hint = rest.map((line) => line.trim()).find((line) => line.startsWith("(Did you mean"));
  const message = first.replace(/^error: /, "");
  const suggestion = hint === undefined ? "" : `; ${hint.slice(1, -1).replace("Did", "did")}`;
  return new AetherError("ARGUMENT_INVALID", `${message}${suggestion} (help: aetherfs --help)`);
}

/** The value of a setting of the command line or the environment that must be known before the configuration is. */
export function earlyValue(
  words: readonly string[],
  flag: string,
  environment: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const index = words.findIndex((word) => word === `--${flag}` || word.startsWith(`--${flag}=`));
  if (index === -1) return environment[variableOf({ flag })];
  const word = words[index] ?? "";
  return word.includes("=") ? word.slice(word.indexOf("=") + 1) : words[index + 1];
}
