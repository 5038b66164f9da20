import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { loadConfig } from "./load.ts";
import { SETTING_LIST, type Config, type SettingName } from "./schema.ts";
import { variableOf, type Environment } from "./setting.ts";

type Flags = Partial<Record<SettingName, readonly string[]>>;

function load(command: string, flags: Flags, environment: Environment = {}): Promise<Config> {
  return loadConfig(command, new Map(Object.entries(flags) as [SettingName, string[]][]), environment);
}

/** The configuration of a push with this file. */
async function withFile(
  name: string,
  text: string,
  flags: Flags = {},
  environment: Environment = {},
): Promise<Config> {
  const folder = await mkdtemp(join(tmpdir(), "aetherfs-config-"));
  try {
    await writeFile(join(folder, name), text);
    return await load("push", { configFile: [join(folder, name)], ...flags }, environment);
  } finally {
    await rm(folder, { recursive: true });
  }
}

describe("loadConfig", () => {
  it("without any source, gives the defaults", async () => {
    const config = await load("push", {});
    assert.deepEqual(
      [config.store, config.output, config.memoryLimit, config.tags, config.dryRun, config.cacheDir],
      [undefined, "text", 256 * 2 ** 20, [], false, undefined],
    );
    assert.ok(config.concurrency >= 1);
  });

  it("of a value in several sources, takes the flag's, then the environment's, then the file's", async () => {
    const text = "memory_limit: 100MiB\nstore: from-file\noutput: json\n";
    const environment = { MEMORY_LIMIT: "200MiB", STORE: "from-environment", MESSAGE: "" };
    const config = await withFile("a.yaml", text, { store: ["from-flag"] }, environment);
    assert.deepEqual(
      [config.store, config.memoryLimit, config.output, config.message],
      ["from-flag", 200 * 2 ** 20, "json", undefined],
    );
  });

  it("of the same settings in YAML, JSON and TOML, reads the same", async () => {
    const yaml =
      "block-size: 8MiB\nexclude: ['*.tmp', a]\ndry_run: true\nmemory: {limit: 1GiB}\nlabel: {team: x, n: 1}\n";
    const json =
      '{"block_size":"8MiB","exclude":["*.tmp","a"],"dry-run":true,"memory_limit":"1GiB","label":["team=x","n=1"]}';
    const toml =
      'block_size = 8388608\nexclude = ["*.tmp", "a"]\ndry-run = true\n[memory]\nlimit = "1GiB"\n[label]\nteam = "x"\nn = 1\n';
    for (const [name, text] of [
      ["a.yml", yaml],
      ["a.json", json],
      ["a.toml", toml],
    ] as const) {
      const { blockSize, exclude, dryRun, memoryLimit, labels } = await withFile(name, text);
      const expected = [
        8 * 2 ** 20,
        ["*.tmp", "a"],
        true,
        2 ** 30,
        [
          ["team", "x"],
          ["n", "1"],
        ],
      ];
      assert.deepEqual([blockSize, exclude, dryRun, memoryLimit, labels], expected, name);
    }
  });

  it("of a switch in the environment, reads false and 0 as false", async () => {
    for (const [text, expected] of [
      ["false", false],
      ["0", false],
      ["no", false],
      ["true", true],
      ["1", true],
    ] as const) {
      assert.equal((await load("push", {}, { DRY_RUN: text })).dryRun, expected, text);
    }
    await assert.rejects(load("push", {}, { DRY_RUN: "maybe" }), {
      code: "CONFIG_INVALID",
      message: 'DRY_RUN is "maybe": it is neither true nor false',
    });
  });

  it("of a list in the environment, splits at commas, or at line ends if there are any", async () => {
    assert.deepEqual((await load("push", {}, { EXCLUDE: "*.tmp, b" })).exclude, ["*.tmp", "b"]);
    assert.deepEqual((await load("push", {}, { EXCLUDE: "*.{a,b}\n" })).exclude, ["*.{a,b}"]);
  });

  it("of another command's setting, takes no notice", async () => {
    assert.equal((await load("push", {}, { VERIFY: "true", INTO: "x" })).verify, false);
    assert.equal((await load("pull", {}, { VERIFY: "true", DRY_RUN: "nonsense" })).verify, true);
  });

  it("of a setting that loses data, takes no notice of a variable, but of a flag and of the file", async () => {
    const environment = { DELETE: "true", SKIP_UNREADABLE: "true", TO: "1" };
    const fromVariables = await Promise.all(
      ["pull", "push", "rollback"].map((command) => load(command, {}, environment)),
    );
    const values = fromVariables.map((config) => [config.delete, config.skipUnreadable, config.to]);
    assert.deepEqual(values, Array(3).fill([false, false, undefined]));
    assert.equal((await load("pull", { delete: ["true"] })).delete, true);
    assert.equal((await withFile("a.yaml", "skip-unreadable: true")).skipUnreadable, true);
  });

  it("of a cache, goes by XDG_CACHE_HOME, then by HOME", async () => {
    const cacheDir = async (environment: Environment): Promise<string | undefined> =>
      (await load("ls", {}, environment)).cacheDir;
    assert.equal(await cacheDir({ XDG_CACHE_HOME: "/c", HOME: "/h" }), "/c/aetherfs");
    assert.equal(await cacheDir({ XDG_CACHE_HOME: "relative", HOME: "/h" }), "/h/.cache/aetherfs");
    assert.equal(await cacheDir({ HOME: "/h", CACHE_DIR: "/mine" }), "/mine");
  });

  it("of a named file that is missing, malformed or of an unknown kind, fails with CONFIG_INVALID", async () => {
    const fails = (call: Promise<unknown>, message: RegExp): Promise<void> =>
      assert.rejects(call, { code: "CONFIG_INVALID", message });
    await fails(load("ls", {}, { CONFIG_FILE: "/nowhere/a.yaml" }), /a\.yaml does not exist$/);
    await fails(withFile("a.json", "{"), /is malformed: /);
    await fails(withFile("a.yaml", "a: [\n"), /is malformed: /);
    await fails(withFile("a.toml", "= 1"), /is malformed: /);
    await fails(withFile("a.ini", "x=1"), /ends in none of/);
    await fails(
      withFile("a.yaml", "memory_limt: 1GiB"),
      /"memory_limt", which is no setting; did you mean memory_limit\?/,
    );
    await fails(withFile("a.yaml", "- 1"), /no map of settings/);
    await fails(withFile("a.yaml", "exclude: [[[a]]]"), /"exclude" that is neither/);
    await fails(withFile("a.yaml", "exclude: &a [*a]"), /"exclude" that is neither/);
    await fails(withFile("a.yaml", "store: [a, b]"), /has 2 values, and takes one/);
    await fails(withFile("a.json", `{"a":${"[".repeat(600_000)}${"]".repeat(600_000)}}`), /bytes, more than/);
  });

  it("of each setting, has a flag and a variable of its own", () => {
    const variables = SETTING_LIST.map(([, setting]) => variableOf(setting));
    assert.equal(new Set(variables).size, variables.length);
    for (const variable of variables) assert.match(variable, /^[A-Z][A-Z0-9_]*$/);
  });
});
