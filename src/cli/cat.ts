import { AetherError } from "../base/errors.ts";
import type { ByteRange } from "../base/byte-range.ts";
import { getEntry } from "../dataset/version/entries.ts";
import { readReference, withClient, type Context } from "./context.ts";

/** `aetherfs cat REF PATH`. */
export async function run(context: Context, text: string, path: string): Promise<void> {
  const { config, output, signal } = context;
  const reference = readReference(context, text);
  const wanted = config.range === undefined ? undefined : parseRange(config.range);
  await withClient(context, { references: [reference] }, async (client) => {
    const resolved = await client.resolve(reference, { signal });
    const version = await client.openVersion(resolved.name, resolved.version, { signal });
    const { entry } = await getEntry(version, path);
    const size = entry.kind === "file" ? entry.size : 0;
    for await (const bytes of client.cat(version, path, wanted?.(size))) await output.write(bytes);
  });
}

/** RFC 9110 §14.1.2: `START-END` with END included, `START-`, or `-COUNT`; an END past the file's is its end. */
function parseRange(text: string): (sizeBytes: number) => ByteRange {
  const [, first = "", last = ""] = /^(\d{0,15})-(\d{0,15})$/.exec(text) ?? [];
  if (first === "" && last === "") {
    throw new AetherError(
      "RANGE_INVALID",
      `--range is "${text}": it is none of START-END, START- and -COUNT`,
    );
  }
  if (first === "") {
    return (sizeBytes) => ({ start: Math.max(0, sizeBytes - Number(last)), end: sizeBytes });
  }
  const start = Number(first);
  const end = last === "" ? Infinity : Number(last) + 1;
  if (end <= start) throw new AetherError("RANGE_INVALID", `--range is "${text}": it ends before it starts`);
  return (sizeBytes) => ({ start, end: Math.max(Math.min(end, sizeBytes), Math.min(start, end)) });
}
