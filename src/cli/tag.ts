import { tagOf } from "../dataset/tag-changes.ts";
import { annotationsOf, readReference, withClient, type Context } from "./context.ts";
import { printCommit } from "./tag-output.ts";

/** `aetherfs tag REF NEWREF`. */
export async function run(context: Context, from: string, to: string): Promise<void> {
  const { signal } = context;
  const source = readReference(context, from);
  const destination = readReference(context, to);
  const target = tagOf(destination);
  const commit = await withClient(context, { references: [source, destination] }, (client) =>
    client.tag(target, source, annotationsOf(context), { signal }),
  );
  await printCommit(context, target, commit);
}
