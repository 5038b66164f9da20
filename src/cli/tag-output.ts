import type { TagReference } from "../dataset/contract.ts";
import type { TagCommit } from "../dataset/tags.ts";
import { formatDigest } from "../format/digest.ts";
import type { Context } from "./context.ts";

/** Prints what became of a tag. */
export async function printCommit(
  { output }: Context,
  { name, tag }: TagReference,
  { record, moved }: TagCommit,
): Promise<void> {
  const { number, state } = record;
  const digest = formatDigest(record.digest);
  if (output.isJson) {
    const previous = record.previous === null ? null : formatDigest(record.previous);
    await output.json({ name, tag, number, state, digest, previous, moved });
    return;
  }
  const where = `${name}:${tag}`;
  if (state === "deleted") await output.lines(`${where} is removed; it pointed at ${digest}`);
  else
    await output.lines(
      `${where} ${moved ? "points" : "pointed already"} at ${digest} (entry ${number} of its history)`,
    );
}
