/** Writes the documents that repeat what the code says: `npm run docs`. test/docs.test.ts holds them to it. */
import { readFile, writeFile } from "node:fs/promises";
import { format } from "prettier";
import { ERRORS } from "../src/base/errors.ts";
import { configurationDocument } from "./configuration-document.ts";

const root = new URL("../", import.meta.url);

/** Path of a generated document → its text, as the formatter leaves it. */
export async function documents(): Promise<ReadonlyMap<string, string>> {
  return new Map([
    ["docs/errors.md", await formatted(errorsDocument())],
    ["docs/configuration.md", await formatted(configurationDocument())],
  ]);
}

function errorsDocument(): string {
  const rows = Object.entries(ERRORS).map(([code, row]) => {
    const retry = row.retry ? "yes" : "no";
    const cells = [`\`${code}\``, row.text, row.grpc, row.http, row.errno, row.nfs, row.exit, retry];
    return `| ${cells.join(" | ")} |`;
  });
  return `# Errors

Generated from src/base/errors.ts by \`npm run docs\`; do not edit.

Every operation that fails says one of these codes, whatever the interface: match on the code, never on the message. The
message says what was wrong, with what, and what to do. "Retry" tells whether the same call, unchanged, may succeed later.

The CLI writes one line on stderr, \`aetherfs: CODE: message\`, and ends with the exit code of the table. With
\`--output json\` the line is \`{"error":{"code":"CODE","message":"…","data":{…}}}\`.

| code | meaning | gRPC | HTTP | errno | NFSv3 | exit code | retry |
| --- | --- | --- | --- | --- | --- | --- | --- |
${rows.join("\n")}

Exit codes of the CLI: 0 success, 1 a fault of AetherFS itself, 2 usage, 3 not found, 4 conflict, 5 damaged or unsafe data,
6 not permitted, 7 no space, 8 unavailable, 9 not supported, 10 the source of a push, 130 interrupted (143 by SIGTERM).
`;
}

async function formatted(text: string): Promise<string> {
  const settings = JSON.parse(await readFile(new URL(".prettierrc.json", root), "utf8")) as object;
  return format(text, { ...settings, parser: "markdown" });
}

if (import.meta.main) {
  for (const [path, text] of await documents()) await writeFile(new URL(path, root), text);
}
