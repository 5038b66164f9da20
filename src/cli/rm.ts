import { AetherError } from "../base/errors.ts";
import { tagOf } from "../dataset/tag-changes.ts";
import { annotationsOf, readReference, withClient, type Context } from "./context.ts";
import { printCommit } from "./tag-output.ts";

/** `aetherfs rm REF`. Removing asks for the tag in full: none is taken for granted. */
export async function run(context: Context, text: string): Promise<void> {
  const { signal } = context;
  const reference = readReference(context, text);
  const target = tagOf(reference);
  if (reference.tag === undefined) {
    throw new AetherError(
      "ARGUMENT_INVALID",
      `${text} names no tag: say which one to remove, as in ${text}:latest`,
    );
  }
  const commit = await withClient(context, { references: [reference] }, (client) =>
    client.removeTag(target, annotationsOf(context), { signal }),
  );
  await printCommit(context, target, commit);
}
