/** The tokens with which NFS may be mounted, from a file. docs/nfs.md */
import { isMap, readSecretFile, secretFileError } from "./secret-file.ts";

const KIND = { what: "NFS tokens", flag: "nfs_tokens_file" };
/** What may stand in a path of fstab and mount(8) as it is. */
const SECRET = /^[A-Za-z0-9._-]{16,128}$/;
const NAME = /^[^\p{C}\p{Z}](?:[^\p{C}]{0,126}[^\p{C}\p{Z}])?$/u;
/** A dataset, or all of a scope. */
const PATTERN = /^(?:@[a-z0-9][a-z0-9._-]*\/)?(?:[a-z0-9][a-z0-9._-]*|\*)$/;
const PATTERNS_MAX = 1000;

/** A token as it stands in the file. */
export interface WrittenToken {
  readonly name: string;
  readonly secret: string;
  /** `name`, `@scope/name`, `@scope/*` or `*` each; undefined: all datasets. */
  readonly datasets: readonly string[] | undefined;
}

/** What a file of tokens holds. */
export interface WrittenTokens {
  readonly tokens: readonly WrittenToken[];
  /** Whether nobody but the file's owner may read or change it. */
  readonly isPrivate: boolean;
}

/**
 * The tokens in a YAML, JSON or TOML file: a map of names, each with a `secret`, and a list of `datasets` if it is not good for all.
 * Errors: CONFIG_INVALID, with nothing of the file's text in it.
 */
export async function readNfsTokens(path: string): Promise<WrittenTokens> {
  const { entries, isPrivate } = await readSecretFile(path, KIND);
  const tokens = entries.map(([name, value], index) => tokenOf(path, index + 1, name, value));
  if (new Set(tokens.map(({ secret }) => secret)).size < tokens.length)
    throw secretFileError(path, KIND, "has two tokens with the same secret");
  return { tokens, isPrivate };
}

function tokenOf(path: string, number: number, name: string, value: unknown): WrittenToken {
  const where = `has token ${number}`;
  if (!NAME.test(name))
    throw secretFileError(path, KIND, `${where} with a name that is not 1 to 128 characters`);
  const { secret, datasets, ...rest } = isMap(value) ? value : {};
  if (typeof secret !== "string" || !SECRET.test(secret)) {
    const why =
      "without a secret of 16 to 128 letters, digits and ._- (one of digits alone is to stand in quotes)";
    throw secretFileError(path, KIND, `${where} ${why}`);
  }
  if (datasets !== undefined && !isPatterns(datasets)) {
    const why = "whose datasets are no list of name, @scope/name, @scope/* or *";
    throw secretFileError(path, KIND, `${where} ${why}`);
  }
  if (Object.keys(rest).length > 0)
    throw secretFileError(path, KIND, `${where} with more than a secret and datasets`);
  return { name, secret, datasets };
}

function isPatterns(value: unknown): value is readonly string[] {
  return (
    Array.isArray(value) &&
    value.length <= PATTERNS_MAX &&
    value.every((one) => typeof one === "string" && PATTERN.test(one))
  );
}
