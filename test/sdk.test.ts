/** The examples of docs/sdk.md, run as they stand there, one after another. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { withHubProcess } from "./hub/hub-process.ts";
import { environmentIn } from "./program.ts";

const execute = promisify(execFile);
const document = readFileSync(new URL("../docs/sdk.md", import.meta.url), "utf8");
const sdk = new URL("../src/sdk/index.ts", import.meta.url).href;

/** What an example must print. */
const PRINTS: readonly RegExp[] = [
  /^2 files, of which 23 bytes were new$/m,
  /^\d+ bytes fetched, 0 were there$/m,
  /^stable is announced at sha256:[0-9a-f]{64} since /m,
  /^models\nfile config\.json\ndirectory weights\n\{"la$/m,
  /^2 files of 23 bytes are sound$/m,
  /^1 versions stay, 0 may go$[^]*keepTags: \[ 'release-\*' \]/m,
  /^models:stable points at [0-9a-f]{64}$/m,
  /^ \[ 'nothing-changed', 'does-not-compress' \]$/m,
  /^there is no dataset modles; did you mean models\?$/m,
  /^CANCELLED$/m,
  /^$/,
];

/** An example as a program: it finds the package here, and the hub where it is. */
function programOf(example: string, host: string): string {
  const local = example.replaceAll('from "aetherfs"', `from ${JSON.stringify(sdk)}`);
  return local.replaceAll("localhost:8080", host).replaceAll(/"(models|modles):/g, `"${host}/$1:`);
}

describe("docs/sdk.md", () => {
  it("each example, run, does what it says", async () => {
    const examples = [...document.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, text = ""]) => text);
    assert.equal(examples.length, PRINTS.length);
    await withHubProcess({}, async (hub, home) => {
      const folder = join(home, "work");
      mkdirSync(join(folder, "models/weights"), { recursive: true });
      writeFileSync(join(folder, "models/config.json"), '{"layers":3}\n');
      writeFileSync(join(folder, "models/weights/a"), "0123456789");
      writeFileSync(join(folder, "ca.pem"), "");
      for (const [index, example] of examples.entries()) {
        const file = join(folder, `example-${index}.ts`);
        writeFileSync(file, programOf(example, hub.host));
        const env = environmentIn(folder);
        const { stdout } = await execute(process.execPath, [file], { cwd: folder, env, timeout: 60_000 });
        assert.match(stdout, PRINTS[index] ?? /^$/, `example ${index + 1} of ${fileURLToPath(sdk)}`);
      }
    });
  });
});
