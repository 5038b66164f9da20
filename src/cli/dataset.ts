import { AetherError } from "../base/errors.ts";
import type { Reference } from "../format/reference.ts";
import { readReference, withClient, type Context } from "./context.ts";
import { datasetLines, datasetObject } from "./dataset-settings.ts";
import { humanCount } from "./human.ts";

/** `aetherfs dataset NAME`. */
export async function run(context: Context, text: string): Promise<void> {
  const { output, signal } = context;
  const reference = readDataset(context, text);
  const review = await withClient(context, { references: [reference] }, (client) =>
    client.reviewRetention(reference.name, {}, { signal }),
  );
  const { dataset, tags, kept, released } = review;
  if (output.isJson) {
    await output.json({ ...datasetObject(dataset), tags, kept, released });
    return;
  }
  await output.lines(
    ...datasetLines(dataset),
    `tags       ${humanCount(tags)}`,
    `versions   ${humanCount(kept)} kept${released === 0 ? "" : `, ${humanCount(released)} that prune may take`}`,
  );
}

/** A dataset's name, with the hub perhaps. Errors: REFERENCE_INVALID; ARGUMENT_INVALID when it names a version. */
export function readDataset(context: Context, text: string): Reference {
  const reference = readReference(context, text);
  if (reference.tag === undefined && reference.digest === undefined) return reference;
  throw new AetherError(
    "ARGUMENT_INVALID",
    `this takes a dataset, and ${text} names one version: leave out what follows ${reference.name}`,
  );
}
