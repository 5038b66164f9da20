/** The access keys of the S3 API, from a file. docs/s3-api.md */
import { stat } from "node:fs/promises";
import { AetherError } from "../base/errors.ts";
import { parseText, readText } from "./config-file.ts";

const KEYS_FILE = "the file of access keys (--s3_keys_file)";
const KEYS_MAX = 10_000;
/** What may stand between the commas and slashes of a signed request's header. */
const ID = /^[\w.+-]{3,128}$/;
const [SECRET_LENGTH_MIN, SECRET_LENGTH_MAX] = [8, 256];
const NAME = /^[^\p{C}\p{Z}](?:[^\p{C}]{0,126}[^\p{C}\p{Z}])?$/u;
/** Permissions of anybody but the owner. */
const OTHERS = 0o077;

/** A key as it stands in the file: whose it is, and the secret that signs. */
export interface WrittenKey {
  readonly secret: string;
  readonly name: string;
}

/** What a file of keys holds. */
export interface WrittenKeys {
  /** By their ids. */
  readonly keys: ReadonlyMap<string, WrittenKey>;
  /** Whether nobody but the file's owner may read or change it. */
  readonly isPrivate: boolean;
}

/**
 * The keys in a YAML, JSON or TOML file: a map of ids, each with a `secret`, and the owner's `name` if it is not the id. Errors:
 * CONFIG_INVALID, with nothing of the file's text in it.
 */
export async function readS3Keys(path: string): Promise<WrittenKeys> {
  const value = await parse(path, await readText(path, KEYS_FILE));
  if (!isMap(value)) throw invalid(path, "is no map of access keys");
  const entries = Object.entries(value);
  if (entries.length > KEYS_MAX) throw invalid(path, `has more than ${KEYS_MAX} keys`);
  const keys = new Map(entries.map(([id, key], index) => [id, keyOf(path, index + 1, id, key)]));
  return { keys, isPrivate: ((await stat(path)).mode & OTHERS) === 0 };
}

/** What parsers say of a text may hold parts of it. */
async function parse(path: string, text: string): Promise<unknown> {
  try {
    return await parseText(path, text);
  } catch {
    throw invalid(path, "is malformed, or ends in none of .yaml, .yml, .json, .toml");
  }
}

function keyOf(path: string, number: number, id: string, value: unknown): WrittenKey {
  const where = `has key ${number}`;
  if (!ID.test(id)) throw invalid(path, `${where} with an id that is not 3 to 128 letters, digits and _.+-`);
  const { secret, name = id, ...rest } = isMap(value) ? value : {};
  if (typeof secret !== "string" || secret.length < SECRET_LENGTH_MIN || secret.length > SECRET_LENGTH_MAX) {
    throw invalid(
      path,
      `${where} without a secret of ${SECRET_LENGTH_MIN} to ${SECRET_LENGTH_MAX} characters (one of digits alone is to stand in quotes)`,
    );
  }
  if (typeof name !== "string" || !NAME.test(name)) {
    throw invalid(path, `${where} with a name that is not 1 to 128 characters`);
  }
  if (Object.keys(rest).length > 0) throw invalid(path, `${where} with more than a secret and a name`);
  return { secret, name };
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function invalid(path: string, why: string): AetherError {
  return new AetherError("CONFIG_INVALID", `${KEYS_FILE} ${path} ${why}`, {
    data: { file: path },
  });
}
