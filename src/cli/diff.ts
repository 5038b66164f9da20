import { styleText } from "node:util";
import type { DiffResult } from "../dataset/contract.ts";
import { readReference, withClient, type Context } from "./context.ts";
import { humanBytes, humanCount, printable } from "./human.ts";

/** Lines that are written at once. */
const LINES_AT_ONCE = 1000;

/** `aetherfs diff FROM TO`. */
export async function run(context: Context, from: string, to: string): Promise<void> {
  const { output, signal } = context;
  const references = [readReference(context, from), readReference(context, to)] as const;
  await withClient(context, { references }, async (client) => {
    const old = await client.resolve(references[0], { signal });
    const present = await client.resolve(references[1], { signal });
    const result = await client.diff(old, present, { signal });
    const { added, removed, changed, renamed, updateBytes } = result;
    if (output.isJson) await output.json({ added, removed, changed, renamed, updateBytes });
    else await print(context, result);
  });
}

async function print({ output }: Context, result: DiffResult): Promise<void> {
  const { added, removed, changed, renamed, updateBytes } = result;
  const paint = (color: "green" | "red" | "yellow" | "cyan", text: string): string =>
    styleText(color, text, { stream: process.stdout });
  const lines = [
    ...removed.map((path) => paint("red", `- ${printable(path)}`)),
    ...renamed.map(({ from, to }) => paint("cyan", `> ${printable(from)} -> ${printable(to)}`)),
    ...changed.map((path) => paint("yellow", `~ ${printable(path)}`)),
    ...added.map((path) => paint("green", `+ ${printable(path)}`)),
  ];
  for (let start = 0; start < lines.length; start += LINES_AT_ONCE) {
    await output.lines(...lines.slice(start, start + LINES_AT_ONCE));
  }
  const counts = [
    `${humanCount(added.length)} added`,
    `${humanCount(removed.length)} removed`,
    `${humanCount(changed.length)} changed`,
    `${humanCount(renamed.length)} renamed`,
  ];
  await output.lines(`${counts.join(", ")}; the update fetches ${humanBytes(updateBytes)}`);
}
