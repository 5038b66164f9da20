import { tagOf, tagVersion } from "../dataset/tag-changes.ts";
import { annotationsOf, readReference, withEngine, type Context } from "./context.ts";
import { printCommit } from "./tag-output.ts";

/** `aetherfs tag REF NEWREF`. */
export async function run(context: Context, from: string, to: string): Promise<void> {
  const { signal } = context;
  const source = readReference(context, from);
  const target = tagOf(readReference(context, to));
  const commit = await withEngine(context, { create: false }, (engine) =>
    tagVersion(engine, source, target, { ...annotationsOf(context), signal }),
  );
  await printCommit(context, target, commit);
}
