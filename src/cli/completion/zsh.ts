import { commandWords, globalOptions, type CommandWords, type OptionWords } from "./words.ts";

/** A script for zsh: to be a file `_aetherfs` in a folder of fpath, or to be evaluated after compinit. */
export function zshScript(): string {
  const commands = commandWords();
  const named = commands.map(({ name, summary }) => `    ${quoted(`${name}:${summary}`)}`);
  const cases = commands.map((command) => `    ${command.name}) _arguments -s ${specsOf(command)} ;;`);
  return `#compdef aetherfs
# zsh completion of aetherfs: aetherfs completion zsh > a folder of fpath/_aetherfs
_aetherfs() {
  local -a commands globals
  local context state line
  typeset -A opt_args
  commands=(
${named.join("\n")}
  )
  globals=(
${globalOptions()
  .flatMap(specs)
  .map((spec) => `    ${spec}`)
  .join("\n")}
  )
  _arguments -C -s $globals '1: :->command' '*:: :->rest'
  case $state in
    command) _describe command commands ;;
    rest) case $line[1] in
${cases.join("\n")}
    esac ;;
  esac
}
if [ "$funcstack[1]" = _aetherfs ]; then _aetherfs "$@"; else compdef _aetherfs aetherfs; fi
`;
}

function specsOf({ options, arguments: words, takesPaths }: CommandWords): string {
  const values =
    words.length > 0 ? `:word:(${words.join(" ")})` : takesPaths ? ":path:_files" : ":argument: ";
  return ["$globals", ...options.flatMap(specs), quoted(`*${values}`)].join(" ");
}

function specs({ long, short, help, value }: OptionWords): string[] {
  const action =
    value === undefined
      ? ""
      : value.choices.length > 0
        ? `(${value.choices.join(" ")})`
        : value.isPath
          ? "_files"
          : " ";
  const tail = value === undefined ? "" : `:${value.placeholder.replaceAll(":", "\\:")}:${action}`;
  const text = help.replaceAll(/[[\]:\\]/g, (character) => `\\${character}`);
  const names = short === undefined ? [`--${long}`] : [`--${long}`, `-${short}`];
  return names.map((name) => quoted(`*${name}[${text}]${tail}`));
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
