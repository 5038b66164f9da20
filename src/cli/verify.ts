import { formatDigest } from "../format/digest.ts";
import { readReference, withClient, withProgress, type Context } from "./context.ts";
import { humanBytes, humanCount, humanSeconds } from "./human.ts";

/** `aetherfs verify REF`. */
export async function run(context: Context, text: string): Promise<void> {
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
