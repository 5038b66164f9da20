import { AetherError } from "../base/errors.ts";
import { rollback, tagOf } from "../dataset/tag-changes.ts";
import { parseDigest, type Digest } from "../format/digest.ts";
import { annotationsOf, readReference, withEngine, type Context } from "./context.ts";
import { printCommit } from "./tag-output.ts";

/** `aetherfs rollback REF [--to N|sha256:…]`. */
export async function run(context: Context, text: string): Promise<void> {
  const { config, signal } = context;
  const target = tagOf(readReference(context, text));
  const to = config.to === undefined ? {} : { to: parseTarget(config.to) };
  const commit = await withEngine(context, { create: false }, (engine) =>
    rollback(engine, target, { ...annotationsOf(context), ...to, signal }),
  );
  await printCommit(context, target, commit);
}

function parseTarget(text: string): number | Digest {
  if (/^[1-9]\d{0,9}$/.test(text)) return Number(text);
  if (text.startsWith("sha256:")) return parseDigest(text);
  throw new AetherError(
    "ARGUMENT_INVALID",
    `--to is "${text}": it is neither a number of the history nor sha256:…`,
  );
}
