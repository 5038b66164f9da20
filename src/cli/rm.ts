import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { AetherError } from "../base/errors.ts";
import { tagOf } from "../dataset/tag-changes.ts";
import type { DatasetName, Reference } from "../format/reference.ts";
import { defaultPublisher } from "../sdk/publisher.ts";
import { annotationsOf, readReference, remark, withClient, type Context } from "./context.ts";
import { humanTime, printable } from "./human.ts";
import { printCommit } from "./tag-output.ts";

/** `aetherfs rm REF`: a tag that is named in full, none is taken for granted; with a name alone, the whole dataset. */
export async function run(context: Context, text: string): Promise<void> {
  const { signal } = context;
  const reference = readReference(context, text);
  if (reference.tag === undefined && reference.digest === undefined) {
    await removeDataset(context, reference);
    return;
  }
  const target = tagOf(reference);
  const commit = await withClient(context, { references: [reference] }, (client) =>
    client.removeTag(target, annotationsOf(context), { signal }),
  );
  await printCommit(context, target, commit);
}

async function removeDataset(context: Context, reference: Reference): Promise<void> {
  const { config, output, signal } = context;
  const { name } = reference;
  if (!config.yes && !(await isConfirmed(context, name))) {
    remark(context, "nothing is deleted");
    return;
  }
  const { record, changed } = await withClient(context, { references: [reference] }, (client) =>
    client.deleteDataset(name, defaultPublisher(), { signal }),
  );
  const { deleted } = record;
  if (output.isJson) {
    const { time = "", publisher = "" } = deleted ?? {};
    await output.json({ name, state: "deleted", time, publisher, changed });
    return;
  }
  const who = `by ${printable(deleted?.publisher ?? "")} at ${printable(humanTime(deleted?.time ?? ""))}`;
  await output.lines(
    changed
      ? `${name} is deleted; until prune has removed it, this brings it back: aetherfs undelete ${name}`
      : `${name} was deleted already, ${who}`,
  );
}

/** Asks on the terminal. Errors: ARGUMENT_INVALID when there is nobody to ask. */
async function isConfirmed({ input, signal }: Context, name: DatasetName): Promise<boolean> {
  const stdin = input() as Readable & { readonly isTTY?: boolean };
  if (stdin.isTTY !== true) {
    throw new AetherError(
      "ARGUMENT_INVALID",
      `${name} names no tag: say which one to remove, as in ${name}:latest; or --yes to delete the whole dataset`,
    );
  }
  const lines = createInterface({ input: stdin, output: process.stderr, terminal: false });
  try {
    const answer = await new Promise<string>((resolve, reject) => {
      const onAbort = (): void => {
        reject(signal.reason as Error);
      };
      signal.addEventListener("abort", onAbort, { once: true });
      lines.once("close", () => {
        resolve("");
      });
      lines.question(`delete the whole dataset ${name}, with all its tags? [y/N] `, resolve);
    });
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    lines.close();
  }
}
