/** Reads files through a door that gives one at a time. */

const AT_ONCE = 8;

/** Several at once, each with the next path that is left; their SHA-256 in hex, by path. Errors: those of `sha256Of`. */
export async function readEach(
  paths: readonly string[],
  sha256Of: (path: string) => Promise<string>,
): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const left = paths.values();
  const readSome = async (): Promise<void> => {
    for (const path of left) found.set(path, await sha256Of(path));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, readSome));
  return found;
}
