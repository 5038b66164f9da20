import { AetherError } from "../base/errors.ts";
import { bashScript } from "./completion/bash.ts";
import { fishScript } from "./completion/fish.ts";
import { zshScript } from "./completion/zsh.ts";
import type { Context } from "./context.ts";

const SCRIPTS: Readonly<Record<string, () => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

/** `aetherfs completion SHELL`: the script is the result, also with --output json. */
export async function run({ output }: Context, shell: string): Promise<void> {
  const script = Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell] : undefined;
  if (script === undefined) {
    throw new AetherError(
      "ARGUMENT_INVALID",
      `there is no completion for ${shell}: choose ${Object.keys(SCRIPTS).join(", ")}`,
    );
  }
  await output.write(script());
}
