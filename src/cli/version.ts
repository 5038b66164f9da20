import { readFileSync } from "node:fs";
import type { Context } from "./context.ts";

/** The version of the package. */
export function packageVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

/** `aetherfs version`. */
export async function run({ output }: Context): Promise<void> {
  const version = packageVersion();
  const platform = `${process.platform}-${process.arch}`;
  if (output.isJson) await output.json({ version, node: process.version, platform });
  else await output.lines(`aetherfs ${version} (Node ${process.version}, ${platform})`);
}
