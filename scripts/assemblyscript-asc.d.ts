/**
 * The part of assemblyscript/asc that build-wasm.ts uses (tsconfig.json maps the module here). The package's own
 * declarations would declare the compiler's globals, a `console` among them, for every file.
 */

/** What the compiler writes its messages to. */
export interface OutputStream {
  write(chunk: Uint8Array | string): void;
  toString(): string;
}

/** How the compiler reaches files, by the names on its command line. */
export interface CompilerHost {
  readonly stderr?: OutputStream;
  readonly readFile?: (name: string, folder: string) => string | null;
  readonly writeFile?: (name: string, contents: Uint8Array | string, folder: string) => void;
  readonly listFiles?: (folder: string) => string[] | null;
}

/** Runs the compiler with the arguments of `asc`. Never rejects: `error` tells. */
export function main(args: readonly string[], host: CompilerHost): Promise<{ readonly error: Error | null }>;

/** A stream that keeps what is written. */
export function createMemoryStream(): OutputStream;
