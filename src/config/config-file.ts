/** Settings from a file. */
import { readFile, stat } from "node:fs/promises";
import { extname } from "node:path";
import { AetherError, errnoOf } from "../base/errors.ts";
import { MiB } from "../base/limits.ts";
import { didYouMean } from "../base/nearest.ts";
import { SETTING_LIST, type SettingName } from "./schema.ts";

const FILE_BYTES_MAX = MiB;
const DEPTH_MAX = 8;

/** What was written for each setting, as texts. */
export type Written = ReadonlyMap<SettingName, readonly string[]>;

/**
 * The settings in a YAML, JSON or TOML file, told by its name's ending. A key is a flag's name, with `_` or `-`; maps may
 * nest, their keys joined by `_`. Errors: CONFIG_INVALID for a file that is missing or malformed or has a key or value
 * that no setting has.
 */
export async function readConfigFile(path: string): Promise<Written> {
  const value = await parseText(path, await readText(path));
  const written = new Map<SettingName, readonly string[]>();
  if (value !== null && value !== undefined) collect(path, "", value, written, 0);
  return written;
}

const CONFIG_FILE = "the configuration file";

/** The text of a file of settings, or what `kind` calls it. Errors: CONFIG_INVALID when it is missing, too long, or cannot be read. */
export async function readText(path: string, kind = CONFIG_FILE): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > FILE_BYTES_MAX)
      throw invalid(path, `has ${size} bytes, more than ${FILE_BYTES_MAX}`, undefined, kind);
    return await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof AetherError) throw error;
    const reason = errnoOf(error) === "ENOENT" ? "does not exist" : "cannot be read";
    throw invalid(path, reason, error, kind);
  }
}

/**
 * What a text in YAML, JSON or TOML says, told by the file's ending. The parsers are loaded only when there is a file, since every
 * command pays for what is loaded. Errors: CONFIG_INVALID, whose message and cause may hold parts of the text.
 */
export async function parseText(path: string, text: string): Promise<unknown> {
  const ending = extname(path).toLowerCase();
  try {
    if (ending === ".json") return JSON.parse(text) as unknown;
    if (ending === ".toml") return (await import("smol-toml")).parse(text);
    if (ending === ".yaml" || ending === ".yml") return (await import("yaml")).parse(text) as unknown;
  } catch (error) {
    const why = error instanceof Error ? (error.message.split("\n")[0] ?? "") : "";
    throw invalid(path, `is malformed: ${why}`, error);
  }
  throw invalid(path, "ends in none of .yaml, .yml, .json, .toml");
}

function collect(
  path: string,
  key: string,
  value: unknown,
  written: Map<SettingName, readonly string[]>,
  depth: number,
): void {
  const name = settingOf(key);
  if (name !== undefined) {
    if (value !== null && value !== undefined) written.set(name, textsOf(path, key, value));
    return;
  }
  if (!isMap(value) || depth > DEPTH_MAX) {
    const known = SETTING_LIST.map(([, { flag }]) => flag);
    const what = key === "" ? "is no map of settings" : `has "${key}", which is no setting`;
    throw invalid(path, `${what}${didYouMean(key, known)}`);
  }
  for (const [inner, item] of Object.entries(value)) {
    collect(path, key === "" ? inner : `${key}_${inner}`, item, written, depth + 1);
  }
}

function settingOf(key: string): SettingName | undefined {
  const plain = key.replaceAll("-", "_");
  return SETTING_LIST.find(([, { flag }]) => flag.replaceAll("-", "_") === plain)?.[0];
}

function textsOf(path: string, key: string, value: unknown): readonly string[] {
  if (Array.isArray(value)) return value.map((item: unknown) => textOf(path, key, item));
  if (!isMap(value)) return [textOf(path, key, value)];
  return Object.entries(value).map(([inner, item]) => `${inner}=${textOf(path, key, item)}`);
}

function textOf(path: string, key: string, value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  throw invalid(
    path,
    `has a value for "${key}" that is neither text, number, true, false, nor a list of them`,
  );
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function invalid(path: string, why: string, cause?: unknown, kind = CONFIG_FILE): AetherError {
  return new AetherError("CONFIG_INVALID", `${kind} ${path} ${why}`, {
    data: { file: path },
    cause,
  });
}
