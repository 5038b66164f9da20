import { spawn, type StdioOptions } from "node:child_process";
import { errnoOf } from "../../base/errors.ts";

/** A program that does not end by then is ended, and waited for no longer: what it waits for may be gone, and the kernel holds it. */
const PROGRAM_MS_MAX = 20_000;
const OUTPUT_CHARACTERS_MAX = 4096;

/** How a program ended. */
export interface Ended {
  /** Its exit code; undefined: it was ended, or there is no such program. */
  readonly code: number | undefined;
  /** What it said on stderr, in English and in one line, or why it did not begin or end. */
  readonly said: string;
}

/**
 * Runs one of the system's programs to its end, in a process of its own: what waits for a file system that does not answer
 * waits there. `passed` are descriptors that it gets as 3 and so on. Never rejects.
 */
export function runProgram(
  name: string,
  words: readonly string[],
  options: {
    readonly passed?: readonly number[];
    readonly environment?: Readonly<Record<string, string>>;
  } = {},
): Promise<Ended> {
  const { passed = [], environment = {} } = options;
  const stdio: StdioOptions = ["ignore", "ignore", "pipe", ...passed];
  const env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C", ...environment };
  return new Promise((resolve) => {
    const child = spawn(name, words, { stdio, env });
    const late = AbortSignal.timeout(PROGRAM_MS_MAX);
    late.addEventListener("abort", () => {
      child.kill("SIGKILL");
      child.stderr?.destroy();
      child.unref();
      resolve({ code: undefined, said: `${name} did not end within ${PROGRAM_MS_MAX / 1000} s` });
    });
    let said = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      said = `${said}${text}`.slice(0, OUTPUT_CHARACTERS_MAX);
    });
    child.on("error", (error) => {
      resolve({ code: undefined, said: errnoOf(error) === "ENOENT" ? `there is no ${name}` : error.message });
    });
    child.on("close", (code) => {
      resolve({
        code: code ?? undefined,
        said: said
          .trim()
          .replace(/\.$/, "")
          .replaceAll(/\s*\n\s*/g, "; "),
      });
    });
  });
}
