import { AetherError } from "../base/errors.ts";
import { tagOf } from "../dataset/tag-changes.ts";
import { parseDigest } from "../format/digest.ts";
import type { RollbackTarget } from "../sdk/client.ts";
import { annotationsOf, readReference, withClient, type Context } from "./context.ts";
import { printCommit } from "./tag-output.ts";

/** `aetherfs rollback REF [--to N|sha256:…]`. */
export async function run(context: Context, text: string): Promise<void> {
  const { config, signal } = context;
  const reference = readReference(context, text);
  const target = tagOf(reference);
  const to = config.to === undefined ? {} : parseTarget(config.to);
  const commit = await withClient(context, { references: [reference] }, (client) =>
    client.rollback(target, to, annotationsOf(context), { signal }),
  );
  await printCommit(context, target, commit);
}

function parseTarget(text: string): RollbackTarget {
  if (/^[1-9]\d{0,9}$/.test(text)) return { number: Number(text) };
  if (text.startsWith("sha256:")) return { digest: parseDigest(text) };
  throw new AetherError(
    "ARGUMENT_INVALID",
    `--to is "${text}": it is neither a number of the history nor sha256:…`,
  );
}
