/** The access keys of the S3 API, from a file. docs/s3-api.md */
import { isMap, readSecretFile, secretFileError } from "./secret-file.ts";

const KIND = { what: "access keys", flag: "s3_keys_file" };
/** What may stand between the commas and slashes of a signed request's header. */
const ID = /^[\w.+-]{3,128}$/;
const [SECRET_LENGTH_MIN, SECRET_LENGTH_MAX] = [8, 256];
const NAME = /^[^\p{C}\p{Z}](?:[^\p{C}]{0,126}[^\p{C}\p{Z}])?$/u;

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
  const { entries, isPrivate } = await readSecretFile(path, KIND);
  return {
    keys: new Map(entries.map(([id, key], index) => [id, keyOf(path, index + 1, id, key)])),
    isPrivate,
  };
}

function keyOf(path: string, number: number, id: string, value: unknown): WrittenKey {
  const where = `has key ${number}`;
  if (!ID.test(id))
    throw secretFileError(path, KIND, `${where} with an id that is not 3 to 128 letters, digits and _.+-`);
  const { secret, name = id, ...rest } = isMap(value) ? value : {};
  if (typeof secret !== "string" || secret.length < SECRET_LENGTH_MIN || secret.length > SECRET_LENGTH_MAX) {
    throw secretFileError(
      path,
      KIND,
      `${where} without a secret of ${SECRET_LENGTH_MIN} to ${SECRET_LENGTH_MAX} characters (one of digits alone is to stand in quotes)`,
    );
  }
  if (typeof name !== "string" || !NAME.test(name)) {
    throw secretFileError(path, KIND, `${where} with a name that is not 1 to 128 characters`);
  }
  if (Object.keys(rest).length > 0)
    throw secretFileError(path, KIND, `${where} with more than a secret and a name`);
  return { secret, name };
}
