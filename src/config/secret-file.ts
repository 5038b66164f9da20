/** Files of secrets: maps in YAML, JSON or TOML. No error says anything of their text. */
import { stat } from "node:fs/promises";
import { AetherError } from "../base/errors.ts";
import { parseText, readText } from "./config-file.ts";

/** Permissions of anybody but the owner. */
const OTHERS = 0o077;
/** Entries of one file. */
const ENTRIES_MAX = 10_000;

/** What a file is for: "access keys", and the flag that names it. */
export interface SecretKind {
  readonly what: string;
  readonly flag: string;
}

/** What a file of secrets holds. */
export interface SecretFile {
  readonly entries: readonly (readonly [string, unknown])[];
  /** Whether nobody but the file's owner may read or change it. */
  readonly isPrivate: boolean;
}

/** The map in a file. Errors: CONFIG_INVALID. */
export async function readSecretFile(path: string, kind: SecretKind): Promise<SecretFile> {
  const value = await parse(path, kind, await readText(path, nameOf(kind)));
  if (!isMap(value)) throw secretFileError(path, kind, `is no map of ${kind.what}`);
  const entries = Object.entries(value);
  if (entries.length > ENTRIES_MAX)
    throw secretFileError(path, kind, `has more than ${ENTRIES_MAX} ${kind.what}`);
  return { entries, isPrivate: ((await stat(path)).mode & OTHERS) === 0 };
}

/** What parsers say of a text may hold parts of it. */
async function parse(path: string, kind: SecretKind, text: string): Promise<unknown> {
  try {
    return await parseText(path, text);
  } catch {
    throw secretFileError(path, kind, "is malformed, or ends in none of .yaml, .yml, .json, .toml");
  }
}

function nameOf({ what, flag }: SecretKind): string {
  return `the file of ${what} (--${flag})`;
}

/** Whether a parsed value is a map. */
export function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** CONFIG_INVALID, of a file of secrets. */
export function secretFileError(path: string, kind: SecretKind, why: string): AetherError {
  return new AetherError("CONFIG_INVALID", `${nameOf(kind)} ${path} ${why}`, { data: { file: path } });
}
