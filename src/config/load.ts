import { must } from "../base/assert.ts";
import { AetherError } from "../base/errors.ts";
import { readConfigFile, type Written } from "./config-file.ts";
import { SETTING_LIST, type Config, type SettingName } from "./schema.ts";
import { variableOf, type Environment, type Setting } from "./setting.ts";

interface Found {
  readonly texts: readonly string[];
  /** For messages: the flag, the variable or the file. */
  readonly source: string;
}

/**
 * The settings of a command: of each, the flags' value, else the environment's, else the file's, else the default. A list
 * comes whole from one source. An empty variable counts as unset; in a variable a list's values are separated by commas,
 * or by line ends if there are any. Some settings have no variable. Settings of other commands have their defaults.
 * Errors: CONFIG_INVALID, which names the source.
 */
export async function loadConfig(command: string, flags: Written, environment: Environment): Promise<Config> {
  const file = findIn(
    must(settingByName.get("configFile"), "there is one"),
    "configFile",
    flags,
    environment,
  );
  const path = file?.texts.at(-1);
  const fromFile: Written = path === undefined ? new Map() : await readConfigFile(path);
  const config: Partial<Record<SettingName, unknown>> = {};
  for (const [name, setting] of SETTING_LIST) {
    const isTaken = setting.commands?.includes(command) ?? true;
    let found = isTaken ? findIn(setting, name, flags, environment) : undefined;
    const inFile = isTaken ? fromFile.get(name) : undefined;
    if (found === undefined && inFile !== undefined) {
      found = { texts: inFile, source: `"${setting.flag}" in ${path ?? ""}` };
    }
    config[name] = found === undefined ? setting.absent(environment) : parse(setting, found);
  }
  return config as Config;
}

const settingByName = new Map<SettingName, Setting<unknown>>(SETTING_LIST);

function findIn(
  setting: Setting<unknown>,
  name: SettingName,
  flags: Written,
  environment: Environment,
): Found | undefined {
  const given = flags.get(name);
  if (given !== undefined) return { texts: given, source: `--${setting.flag}` };
  if (setting.noVariable === true) return undefined;
  const variable = variableOf(setting);
  const value = environment[variable] ?? "";
  if (value === "") return undefined;
  if (!setting.isList) return { texts: [value], source: variable };
  const texts = value.split(value.includes("\n") ? "\n" : ",").map((text) => text.trim());
  return { texts: texts.filter((text) => text !== ""), source: variable };
}

function parse(setting: Setting<unknown>, { texts, source }: Found): unknown {
  if (!setting.isList && texts.length !== 1) {
    throw new AetherError("CONFIG_INVALID", `${source} has ${texts.length} values, and takes one`);
  }
  try {
    return setting.parse(texts);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : "it is malformed";
    const shown = texts.join(", ").slice(0, 100);
    throw new AetherError("CONFIG_INVALID", `${source} is "${shown}": ${why}`, {
      data: { setting: setting.flag },
      cause,
    });
  }
}
