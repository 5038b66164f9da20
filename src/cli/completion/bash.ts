import { commandWords, globalOptions, type OptionWords } from "./words.ts";

/** A script for bash 4 or newer. */
export function bashScript(): string {
  const commands = commandWords();
  const all = [...globalOptions(), ...commands.flatMap(({ options }) => options)];
  const names = commands.map(({ name }) => name);
  const perCommand = commands.map(
    ({ name, options, arguments: words, takesPaths }) =>
      `    ${name}) flags="$flags ${flagsOf(options)}" words="${words.join(" ")}" paths=${takesPaths ? 1 : ""} ;;`,
  );
  return `# bash completion of aetherfs: source <(aetherfs completion bash)
_aetherfs() {
  local current=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]}
  local command="" flags="${flagsOf(globalOptions())}" words="" paths="" index
  COMPREPLY=()
  for ((index = 1; index < COMP_CWORD; index++)); do
    case \${COMP_WORDS[index]} in
      ${names.join(" | ")}) command=\${COMP_WORDS[index]}; break ;;
    esac
  done
  case $command in
    "") words="${names.join(" ")}" ;;
${perCommand.join("\n")}
  esac
  case $before in
${valueCases(all).join("\n")}
  esac
  if [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$current"))
  else
    COMPREPLY=($(compgen -W "$words" -- "$current"))
    [[ -z $paths ]] || COMPREPLY+=($(compgen -f -- "$current"))
  fi
}
complete -o filenames -F _aetherfs aetherfs
`;
}

function flagsOf(options: readonly OptionWords[]): string {
  return options.flatMap(names).join(" ");
}

function names({ long, short }: OptionWords): string[] {
  return short === undefined ? [`--${long}`] : [`--${long}`, `-${short}`];
}

/** What completes the word after an option that takes a value. */
function valueCases(options: readonly OptionWords[]): string[] {
  const seen = new Set<string>();
  return options.flatMap((option) => {
    const { long, value } = option;
    if (value === undefined || seen.has(long)) return [];
    seen.add(long);
    const words = value.choices.length > 0 ? `-W "${value.choices.join(" ")}"` : value.isPath ? "-f" : "";
    const reply = words === "" ? "" : `COMPREPLY=($(compgen ${words} -- "$current")); `;
    return [`    ${names(option).join(" | ")}) ${reply}return ;;`];
  });
}
