/** The program as tests start it: by its launcher, as a user would, with nothing of the machine's that is a setting. */
import { fileURLToPath } from "node:url";

/** `bin/aetherfs` of this checkout. */
export const LAUNCHER = fileURLToPath(new URL("../bin/aetherfs", import.meta.url));

/**
 * The environment of a program whose home is `home`. What `npm test` compiled is kept for all programs of a run: they would
 * spend most of their time compiling it anew in each new home.
 */
export function environmentIn(home: string): Record<string, string> {
  const { PATH = "", NODE_COMPILE_CACHE } = process.env;
  return { PATH, HOME: home, ...(NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE }) };
}
