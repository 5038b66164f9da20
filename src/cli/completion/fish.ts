import { commandWords, globalOptions, type OptionWords } from "./words.ts";

/** A script for fish. */
export function fishScript(): string {
  const commands = commandWords();
  const before = `-n 'not __fish_seen_subcommand_from ${commands.map(({ name }) => name).join(" ")}'`;
  const lines = commands.flatMap(({ name, summary, options, arguments: words, takesPaths }) => {
    const inside = `-n '__fish_seen_subcommand_from ${name}'`;
    return [
      `complete -c aetherfs ${before} -f -a ${name} -d ${quoted(summary)}`,
      ...(words.length > 0 ? [`complete -c aetherfs ${inside} -f -a ${quoted(words.join(" "))}`] : []),
      ...(takesPaths ? [`complete -c aetherfs ${inside} -F`] : []),
      ...options.map((option) => `complete -c aetherfs ${inside} ${optionOf(option)}`),
    ];
  });
  return `# fish completion of aetherfs: aetherfs completion fish > ~/.config/fish/completions/aetherfs.fish
complete -c aetherfs -f
${globalOptions()
  .map((option) => `complete -c aetherfs ${optionOf(option)}`)
  .join("\n")}
${lines.join("\n")}
`;
}

function optionOf({ long, short, help, value }: OptionWords): string {
  const names = `${short === undefined ? "" : `-s ${short} `}-l ${long} -d ${quoted(help)}`;
  if (value === undefined) return names;
  if (value.choices.length > 0) return `${names} -x -a ${quoted(value.choices.join(" "))}`;
  return value.isPath ? `${names} -r -F` : `${names} -x`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
