import { AetherError } from "../base/errors.ts";
import { formatDigest } from "../format/digest.ts";
import { placeOf, readReference, withClient, withClientAt, withProgress, type Context } from "./context.ts";
import { humanBytes, humanCount, humanSeconds } from "./human.ts";

/** `aetherfs verify REF`, and `aetherfs verify --store ADDRESS` for all of it. */
export async function run(context: Context, text?: string): Promise<void> {
  if (text === undefined) await verifyAll(context);
  else await verifyOne(context, text);
}

async function verifyAll(context: Context): Promise<void> {
  const { config, signal } = context;
  const { store, memoryLimit, concurrency: threads, cacheDir, structure, rateLimit, healFrom } = config;
  if (store === undefined)
    throw new AetherError(
      "ARGUMENT_INVALID",
      "verify needs a reference, or --store for all that a store holds",
    );
  const { checkStore } = await import("../sdk/verify-store.ts");
  const { printChecked } = await import("./verify-text.ts");
  const { s3SettingsOf } = await import("../daemon/s3-settings.ts");
  const s3 = s3SettingsOf(config, context.environment);
  const local = { store, s3, create: false, memoryBytes: memoryLimit, threads, cacheDir, signal };
  const checked = await withProgress(context, (onProgress) => {
    const options = { structureOnly: structure, rateBytes: rateLimit, signal, onProgress };
    if (healFrom === undefined) return checkStore(local, options);
    return withClientAt(context, placeOf(healFrom), false, (client) => checkStore(local, options, client));
  });
  await printChecked(context, checked);
}

async function verifyOne(context: Context, text: string): Promise<void> {
  const { output, signal } = context;
  const reference = readReference(context, text);
  const result = await withClient(context, { references: [reference] }, async (client) => {
    const { name, version } = await client.resolve(reference, { signal });
    return await withProgress(context, (onProgress) => client.verify(name, version, { signal, onProgress }));
  });
  const { files, bytes, chunks, seconds } = result;
  const digest = formatDigest(result.digest);
  if (output.isJson) {
    await output.json({ digest, files, bytes, chunks, seconds });
    return;
  }
  await output.lines(
    `verified  ${humanCount(files)} files, ${humanBytes(bytes)} in ${humanCount(chunks)} chunks: all are sound`,
    `took      ${humanSeconds(seconds)}`,
    `version   ${digest}`,
  );
}
