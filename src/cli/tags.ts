import { AetherError } from "../base/errors.ts";
import type { TagPointer } from "../dataset/datasets.ts";
import { formatDigest } from "../format/digest.ts";
import { readReference, withClient, type Context } from "./context.ts";
import { humanBytes, humanCount, humanTime, printable } from "./human.ts";

/** `aetherfs tags NAME`. */
export async function run(context: Context, text: string): Promise<void> {
  const { output, signal } = context;
  const reference = readReference(context, text);
  const { name } = reference;
  if (reference.tag !== undefined || reference.digest !== undefined) {
    throw new AetherError(
      "ARGUMENT_INVALID",
      `tags takes a dataset, and ${text} names one version: leave out what follows ${name}`,
    );
  }
  await withClient(context, { references: [reference] }, async (client) => {
    const tags = client.listTags(name, { signal });
    if (output.isJson) {
      await output.jsonList(objects(tags));
      return;
    }
    const right = { isRight: true };
    const columns = [
      { head: "TAG" },
      { head: "FILES", ...right },
      { head: "SIZE", ...right },
      { head: "MOVED" },
      { head: "BY" },
      { head: "VERSION" },
    ];
    await output.table(columns, rows(tags), `${name} has no tags`);
  });
}

async function* objects(tags: AsyncIterable<TagPointer>): AsyncGenerator {
  for await (const { tag, record } of tags) {
    const { number, state, files, bytes, time, publisher, message, labels } = record;
    const digest = formatDigest(record.digest);
    yield { tag, digest, number, state, files, bytes, time, publisher, message, labels };
  }
}

async function* rows(tags: AsyncIterable<TagPointer>): AsyncGenerator<readonly string[]> {
  for await (const { tag, record } of tags) {
    const { files, bytes, time, publisher, digest } = record;
    const moved = printable(humanTime(time));
    yield [tag, humanCount(files), humanBytes(bytes), moved, printable(publisher), formatDigest(digest)];
  }
}
