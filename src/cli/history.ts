import { tagOf } from "../dataset/tag-changes.ts";
import { formatDigest } from "../format/digest.ts";
import type { HistoryRecord } from "../format/record.ts";
import { readReference, withClient, type Context } from "./context.ts";
import { humanBytes, humanCount, humanTime, printable } from "./human.ts";

/** `aetherfs history REF`. */
export async function run(context: Context, text: string): Promise<void> {
  const { output, signal } = context;
  const reference = readReference(context, text);
  const { name, tag } = tagOf(reference);
  await withClient(context, { references: [reference] }, async (client) => {
    const records = client.history(name, tag, { signal });
    if (output.isJson) {
      await output.jsonList(objects(records));
      return;
    }
    const right = { isRight: true };
    const columns = [
      { head: "NUMBER", ...right },
      { head: "STATE" },
      { head: "TIME" },
      { head: "FILES", ...right },
      { head: "SIZE", ...right },
      { head: "BY" },
      { head: "VERSION" },
      { head: "MESSAGE" },
    ];
    await output.table(columns, rows(records), "no changes");
  });
}

async function* objects(records: AsyncIterable<HistoryRecord>): AsyncGenerator {
  for await (const record of records) {
    const { number, state, files, bytes, time, publisher, message, labels } = record;
    const digest = formatDigest(record.digest);
    const previous = record.previous === null ? null : formatDigest(record.previous);
    yield { number, state, digest, previous, files, bytes, time, publisher, message, labels };
  }
}

async function* rows(records: AsyncIterable<HistoryRecord>): AsyncGenerator<readonly string[]> {
  for await (const { number, state, files, bytes, time, publisher, message, digest } of records) {
    const totals = [humanCount(files), humanBytes(bytes)];
    const says = [printable(publisher), formatDigest(digest), printable(message)];
    yield [String(number), state, printable(humanTime(time)), ...totals, ...says];
  }
}
