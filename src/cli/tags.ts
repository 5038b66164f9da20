import { listTags, type TagPointer } from "../dataset/datasets.ts";
import { formatDigest } from "../format/digest.ts";
import { parseDatasetName } from "../format/reference.ts";
import { withEngine, type Context } from "./context.ts";
import { humanBytes, humanCount, humanTime, printable } from "./human.ts";

/** `aetherfs tags NAME`. */
export async function run(context: Context, text: string): Promise<void> {
  const { output, signal } = context;
  const name = parseDatasetName(text);
  await withEngine(context, { create: false }, async (engine) => {
    const tags = listTags(engine, name, { signal });
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
