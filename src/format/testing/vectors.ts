/** Reading test/vectors/. docs/format.md §12 */
import { readdirSync, readFileSync } from "node:fs";

/** A file of test/vectors/. */
export interface Vector {
  readonly name: string;
  readonly description: string;
  readonly content: Readonly<Record<string, unknown>>;
  /** The bytes to be read; empty where the vector has none. */
  readonly bytes: Buffer;
  /** The error code with which a reader refuses it, or undefined when it gives `value`. */
  readonly error: string | undefined;
  /** Byte strings are hex; what is undefined is left out. */
  readonly value: unknown;
}

const ROOT = new URL("../../../test/vectors/", import.meta.url);

/** The vectors of one folder. Fails when there is none. */
export function readVectors(folder: string): Vector[] {
  const place = new URL(`${folder}/`, ROOT);
  const names = readdirSync(place).sort();
  if (names.length === 0) throw new Error(`there is no vector of ${folder}`);
  return names.map((name) => {
    const content = JSON.parse(readFileSync(new URL(name, place), "utf8")) as Record<string, unknown>;
    const expect = content["expect"] as { value?: unknown; error?: string };
    const bytes = Buffer.from((content["bytes"] as string | undefined) ?? "", "hex");
    const description = content["description"] as string;
    return {
      name: `${folder}/${name}`,
      description,
      content,
      bytes,
      error: expect.error,
      value: expect.value,
    };
  });
}
