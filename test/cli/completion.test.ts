/** The scripts of `aetherfs completion`, in the shells that they are for. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { bashScript } from "../../src/cli/completion/bash.ts";
import { fishScript } from "../../src/cli/completion/fish.ts";
import { zshScript } from "../../src/cli/completion/zsh.ts";
import { requirePeer } from "../peers.ts";

const execute = promisify(execFile);

/** What stands before the cursor → what must be offered, and (for zsh) what the line becomes. */
const CASES: readonly (readonly [string, readonly string[]])[] = [
  ["aetherfs pus", ["push"]],
  ["aetherfs push --chunk-s", ["--chunk-size"]],
  ["aetherfs pull --verif", ["--verify"]],
  ["aetherfs --output j", ["json"]],
  ["aetherfs --output json hist", ["history"]],
  ["aetherfs completion ba", ["bash"]],
  ["aetherfs help roll", ["rollback"]],
  ["aetherfs push sou", ["source"]],
  ["aetherfs analyze sou", ["source"]],
  ["aetherfs analyze --las", ["--last"]],
];

/** Runs `words` in a folder that holds the script and a file `source`. */
async function inFolder(script: string, words: (folder: string) => readonly string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "aetherfs-completion-"));
  try {
    await writeFile(join(folder, "_aetherfs"), script);
    await writeFile(join(folder, "source"), "");
    const [program = "", ...rest] = words(folder);
    const env = { PATH: process.env["PATH"], HOME: folder, TERM: "dumb" };
    return (await execute(program, rest, { cwd: folder, env, timeout: 60_000 })).stdout;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

describe("aetherfs completion", () => {
  it("for bash, completes commands, options, their values, and paths", async () => {
    const ask = ([line]: readonly [string, readonly string[]]): string =>
      `COMP_WORDS=(${line}); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _aetherfs; echo "\${COMPREPLY[@]}"`;
    const program = ["source ./_aetherfs", ...CASES.map(ask)].join("\n");
    const stdout = await inFolder(bashScript(), () => ["bash", "--norc", "-c", program]);
    assert.deepEqual(
      stdout.trimEnd().split("\n"),
      CASES.map(([, words]) => words.join(" ")),
    );
  });

  it("for bash, offers every command, and after a dash the options of the one that is named", async () => {
    const program = `source ./_aetherfs
      COMP_WORDS=(aetherfs ""); COMP_CWORD=1; _aetherfs; echo "\${COMPREPLY[@]}"
      COMP_WORDS=(aetherfs cat --r); COMP_CWORD=2; _aetherfs; echo "\${COMPREPLY[@]}"
      COMP_WORDS=(aetherfs ls --r); COMP_CWORD=2; _aetherfs; echo "[\${COMPREPLY[@]}]"`;
    const stdout = await inFolder(bashScript(), () => ["bash", "--norc", "-c", program]);
    const [commands = "", ofCat, ofLs] = stdout.trimEnd().split("\n");
    for (const name of ["push", "pull", "ls", "completion", "help"]) {
      assert.ok(commands.split(" ").includes(name), commands);
    }
    assert.deepEqual([ofCat, ofLs], ["--range", "[]"]);
  });

  it("for fish, completes the same", async (t) => {
    if (!requirePeer(t, "fish")) return;
    const asks = CASES.map(([line]) => `complete -C '${line}' | string replace -r '\\t.*' ''; echo ==`);
    const program = ["source ./_aetherfs", ...asks].join("\n");
    const stdout = await inFolder(fishScript(), () => ["fish", "--no-config", "-c", program]);
    const offered = stdout.split("==\n").slice(0, -1);
    assert.deepEqual(
      offered.map((text) => text.trim().split("\n")),
      CASES.map(([, words]) => words),
    );
  });

  it("for zsh, completes the same", async (t) => {
    if (!requirePeer(t, "zsh")) return;
    // A terminal of zsh's own: the line is typed with a tab at its end, and the command says what it got.
    const program = `zmodload zsh/zpty; zpty shell zsh -f -i
      say() { zpty -w shell "$1" }
      say "PS1=; unsetopt zle_bracketed_paste; fpath=(\\$PWD \\$fpath); autoload -Uz compinit; compinit -u -D"
      say 'aetherfs() { print -r -- "GO""T:\${@[-1]}:" }; bindkey "^I" complete-word'
      ${CASES.map(([line]) => `zpty -w shell $'${line}\\t'; zpty -r shell out '*GOT:*:'; print -r -- "$out"`).join("\n")}
      zpty -d shell`;
    const stdout = await inFolder(zshScript(), () => ["zsh", "-f", "-c", program]);
    const got = [...stdout.matchAll(/GOT:(.*?):/g)].map(([, word]) => word);
    assert.deepEqual(
      got,
      CASES.map(([, words]) => words[0]),
    );
  });
});
