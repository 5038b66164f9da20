import { AetherError } from "../base/errors.ts";
import type { RetentionReview } from "../dataset/retention-review.ts";
import { formatDigest } from "../format/digest.ts";
import { withClient, type Context } from "./context.ts";
import { readDataset } from "./dataset.ts";
import { datasetLines, datasetObject, settingsOf } from "./dataset-settings.ts";
import { humanBytes, humanCount, humanTime, printable } from "./human.ts";

/** `aetherfs set NAME --keep-last 10 …`; with --dry-run, what prune would then let go. */
export async function run(context: Context, text: string): Promise<void> {
  const { config, output, signal } = context;
  const reference = readDataset(context, text);
  const { name } = reference;
  const settings = settingsOf(context);
  if (config.dryRun) {
    const review = await withClient(context, { references: [reference] }, (client) =>
      client.reviewRetention(name, settings, { signal }),
    );
    await printReview(context, review);
    return;
  }
  if (Object.keys(settings).length === 0) {
    throw new AetherError(
      "ARGUMENT_INVALID",
      "say what to set, as in --keep-last 10 (help: aetherfs set --help)",
    );
  }
  const { record, review } = await withClient(context, { references: [reference] }, async (client) => {
    const record = await client.updateDataset(name, settings, { signal });
    const isAsked = !output.isJson && record.retention !== null;
    return { record, review: isAsked ? await client.reviewRetention(name, {}, { signal }) : undefined };
  });
  if (output.isJson) {
    await output.json(datasetObject(record));
    return;
  }
  await output.lines(...datasetLines(record));
  if (review === undefined) return;
  const { kept, released } = review;
  await output.lines(`versions   ${humanCount(kept)} kept, ${humanCount(released)} that prune may take`);
}

async function printReview({ output }: Context, review: RetentionReview): Promise<void> {
  const { dataset, tags, kept, released, versions } = review;
  if (output.isJson) {
    const going = versions.map(({ version, ...rest }) => ({ digest: formatDigest(version), ...rest }));
    await output.json({ ...datasetObject(dataset), tags, kept, released, versions: going });
    return;
  }
  await output.lines(
    ...datasetLines(dataset),
    `tags       ${humanCount(tags)}`,
    `versions   ${humanCount(kept)} would be kept, ${humanCount(released)} prune might take (dry run)`,
  );
  if (released === 0) return;
  const columns = [
    { head: "TAG" },
    { head: "NUMBER", isRight: true },
    { head: "MOVED" },
    { head: "SIZE", isRight: true },
    { head: "VERSION" },
  ];
  await output.table(columns, rows(review), "");
}

async function* rows({ versions, released }: RetentionReview): AsyncGenerator<readonly string[]> {
  for (const { tag, number, time, bytes, version } of versions) {
    yield [tag, String(number), printable(humanTime(time)), humanBytes(bytes), formatDigest(version)];
  }
  if (released > versions.length)
    yield [`and ${humanCount(released - versions.length)} more`, "", "", "", ""];
}
