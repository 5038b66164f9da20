import { SETTING_LIST } from "../src/config/schema.ts";
import { variableOf, type Setting } from "../src/config/setting.ts";

/** The text of docs/configuration.md, from the settings' table. */
export function configurationDocument(): string {
  const settings = SETTING_LIST.map(([, setting]) => setting);
  const everywhere = settings.filter(({ commands }) => commands === undefined);
  const some = settings.filter(({ commands }) => commands !== undefined);
  return `# Configuration

Generated from src/config/schema.ts by \`npm run docs\`; do not edit.

Every setting is a flag, an environment variable of the same name in capitals (with \`_\` for \`-\`), and a key of the file
that \`--config_file\` names. Flags beat the environment, the environment beats the file, the file beats the default.
Settings without a variable lose data when somebody else's variable sets them: they want a flag, or a key of the file.

- A variable that is empty counts as unset. Of a switch, \`true\`, \`yes\`, \`on\` and \`1\` mean on; \`false\`, \`no\`, \`off\` and \`0\` mean off.
- A setting that may be repeated is taken whole from one source. In a variable its values are separated by commas, or by line ends
  if there are any; in a file they are a list, and labels may be a map.
- The file is YAML (\`.yaml\`, \`.yml\`), JSON (\`.json\`) or TOML (\`.toml\`). A file that is named and missing is an error, and so is a
  key that is no setting. Maps may nest: \`memory: {limit: 1GiB}\` is \`memory_limit: 1GiB\`.
- Sizes are bytes: \`65536\`, \`64KiB\` or \`64K\` (2^10 each), \`1GB\` (10^3 each).
- A setting of other commands is ignored, wherever it stands.

## Every command

${table(everywhere, (setting) => [...names(setting), setting.help, code(setting.fallback)], ["flag", "variable", "meaning", "default"])}

## Some commands

${table(
  some,
  (setting) => [
    ...names(setting),
    (setting.commands ?? []).join(", "),
    setting.isList ? `${setting.help}; may be repeated` : setting.help,
    code(setting.fallback),
  ],
  ["flag", "variable", "commands", "meaning", "default"],
)}

## Output

Results go to stdout, everything else to stderr. With \`--output json\` stdout is one JSON document: an object, or for a list
(\`ls\`, \`tags\`, \`history\`) an array with one element a line. \`pull\` of several references prints one object a line, in the
order given, each when it is done. An error is then one line on stderr,
\`{"error":{"code":"TAG_NOT_FOUND","message":"…","data":{…}}}\`, instead of \`aetherfs: CODE: message\`; docs/errors.md has the codes
and exit codes.

With \`--progress json\` progress is lines on stderr, \`{"progress":{"phase":"read","files":0,"bytes":0,"totalBytes":null,"reusedBytes":0}}\`;
\`totalBytes\` is null while nobody knows. \`NO_COLOR\` is honoured.
`;
}

type Row = (setting: Setting<unknown>) => readonly string[];

function table(settings: readonly Setting<unknown>[], row: Row, head: readonly string[]): string {
  const lines = [head, head.map(() => "---"), ...settings.map(row)];
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function names(setting: Setting<unknown>): readonly string[] {
  const { flag, short, placeholder, noVariable } = setting;
  const value = placeholder === undefined ? "" : ` ${placeholder.replaceAll("|", "\\|")}`;
  const brief = short === undefined ? "" : `\`-${short}\`, `;
  return [`${brief}\`--${flag}${value}\``, noVariable === true ? "" : code(variableOf(setting))];
}

function code(text: string): string {
  return text === "" ? "" : `\`${text}\``;
}
