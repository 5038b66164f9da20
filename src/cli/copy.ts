import { resolve } from "node:path";
import { AetherError } from "../base/errors.ts";
import { tagOf } from "../dataset/tag-changes.ts";
import type { CopyResult } from "../dataset/copy/contract.ts";
import { formatDigest } from "../format/digest.ts";
import { parseReference } from "../format/reference.ts";
import { copy } from "../sdk/copy.ts";
import { HUB_DEFAULT } from "../sdk/hub/which-hub.ts";
import { placeOf, withClientAt, withProgress, type Context, type Place } from "./context.ts";
import { humanBytes, humanCount, humanSeconds, printable } from "./human.ts";

/** `aetherfs copy REF|NAME|GLOB|--all --from STORE --to STORE`. */
export async function run(context: Context, text?: string): Promise<void> {
  const { config, signal } = context;
  const { all, history: historyMax, force, repair, dryRun } = config;
  if ((text === undefined) !== all)
    throw new AetherError("ARGUMENT_INVALID", "a copy needs a reference, a dataset or a glob, or --all");
  const from = sourceOf(context);
  const to = targetOf(context);
  if (config.delete && /[:@]/.test(text?.slice(1) ?? ""))
    throw new AetherError("ARGUMENT_INVALID", "--delete is for datasets: one tag's copy removes no other");
  const origin = "store" in from ? originOf(from.store) : from.hub;
  const tags = config.tags.map((tag) => tagOf(parseReference(tag)));
  const options = { tags, historyMax, delete: config.delete, force, repair, dryRun, origin, signal };
  const result = await withClientAt(context, from, false, (source) =>
    withClientAt(context, to, !dryRun, (target) =>
      withProgress(context, (onProgress) => copy(source, target, text ?? "**", { ...options, onProgress })),
    ),
  );
  await print(context, result);
  const [failure] = result.failures;
  if (failure === undefined) return;
  const { code, message, dataset, tag } = failure;
  const count = `${humanCount(result.failures.length)} of ${humanCount(result.tags)} tags were not copied`;
  throw new AetherError(code, `${count}; of ${dataset}:${tag}: ${message}`, { data: { dataset, tag } });
}

function sourceOf({ config: { from, store, hub } }: Context): Place {
  if (from !== undefined) return placeOf(from);
  if (store !== undefined && hub !== undefined)
    throw new AetherError("CONFIG_INVALID", `the store is ${store}, and the hub ${hub}: say which by --from`);
  return store === undefined ? { hub: hub ?? HUB_DEFAULT } : { store };
}

function targetOf({ config: { to } }: Context): Place {
  if (to === undefined) throw new AetherError("ARGUMENT_INVALID", "a copy needs a place to go: --to STORE");
  return placeOf(to);
}

/** A folder is named in full: the target may be anywhere. */
function originOf(store: string): string {
  return /^[a-z][a-z0-9+.-]*:/i.test(store) ? store : resolve(store);
}

async function print({ output, config }: Context, result: CopyResult): Promise<void> {
  const {
    datasets,
    tags,
    unchangedTags,
    lackingEntries,
    versions,
    bytes,
    fetchedBytes,
    sentBytes,
    storedBytes,
  } = result;
  if (output.isJson) {
    const changes = result.changes.map((change) => ({
      ...change,
      digest: change.digest === null ? null : formatDigest(change.digest),
    }));
    await output.json({ ...result, changes });
    return;
  }
  const [removed, copied] = config.dryRun ? ["would remove", "would copy"] : ["removed   ", "copied    "];
  for (const { dataset, tag, digest, entries } of result.changes) {
    const more = entries > 1 ? ` (${humanCount(entries)} entries)` : "";
    if (digest === null) await output.lines(`${removed} ${dataset}:${tag}`);
    else await output.lines(`${copied} ${dataset}:${tag}  ${formatDigest(digest)}${more}`);
  }
  for (const { dataset, tag, code, message } of result.failures)
    await output.lines(`failed     ${dataset}:${tag}  ${code}: ${printable(message)}`);
  const isIdle = result.changes.length === 0 && result.failures.length === 0;
  const verb = config.dryRun ? "would move" : "moved";
  await output.lines(
    isIdle
      ? `unchanged  ${humanCount(tags)} tags of ${humanCount(datasets)} datasets: the target has all of it`
      : `unchanged  ${humanCount(unchangedTags)} of ${humanCount(tags)} tags of ${humanCount(datasets)} datasets`,
    ...(lackingEntries === 0
      ? []
      : [`left out   ${humanCount(lackingEntries)} entries, whose versions the source no longer holds`]),
    ...(versions === 0
      ? []
      : [
          `versions   ${humanCount(versions)}, of ${humanBytes(bytes)} in files`,
          `${verb.padEnd(10)} ${humanBytes(fetchedBytes)} from the source, ${humanBytes(sentBytes)} to the target`,
          `${config.dryRun ? "would store" : "stored    "} ${humanBytes(storedBytes)}`,
        ]),
    `took       ${humanSeconds(result.seconds)}`,
  );
}
