/** Rules that need only the text and the name of a file. */

const FILE_LINES_MAX = 400;

/** Words that say nothing about what a file is for. */
const EMPTY_NAMES = /(^|[/.-])(utils?|helpers?|common|managers?)(?=[/.-]|$)/i;
const KEBAB_CASE = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+)*$/;

const TEXT_RULES: readonly (readonly [RegExp, string])[] = [
  [/\t/, "has a tab"],
  [/[ \t\r]$/, "ends in a blank"],
  [/\b(TO{1}DO|FIX{1}ME)\b/, "leaves something for later"],
  [/(?<![\w.~-])\/(work|root)\/|(?<![\w.~-])\/tmp\/(bash|brief)/, "names a path of somebody's machine"],
];

/** What is wrong with the text of any file, line by line. `path` is relative to the root. */
export function checkText(path: string, text: string): string[] {
  return text
    .split("\n")
    .flatMap((line, index) =>
      TEXT_RULES.filter(([pattern]) => pattern.test(line)).map(([, why]) => `${path}:${index + 1} ${why}`),
    );
}

/** What is wrong with a source file's name and length. */
export function checkFile(path: string, text: string): string[] {
  const wrong: string[] = [];
  const lines = text.split("\n").length - 1;
  if (lines > FILE_LINES_MAX) wrong.push(`${path} has ${lines} lines, more than ${FILE_LINES_MAX}`);
  if (EMPTY_NAMES.test(path)) wrong.push(`${path} has a name that says nothing`);
  if (!KEBAB_CASE.test(path.slice(path.lastIndexOf("/") + 1))) wrong.push(`${path} is not in kebab-case`);
  return wrong;
}
