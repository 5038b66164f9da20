/** Holds the sources to the rules of CONTRIBUTING.md that neither the compiler nor the linter knows. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { checkImports, IMPORT_TABLE } from "./tidy/import-rules.ts";
import { parseSource, readSources } from "./tidy/source.ts";
import { checkComments, checkFunctions, checkUnused } from "./tidy/syntax-rules.ts";
import { checkFile, checkText } from "./tidy/text-rules.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const manifest = JSON.parse(readFileSync(`${root}package.json`, "utf8")) as {
  dependencies: Record<string, string>;
};
const dependencies = Object.keys(manifest.dependencies);
const sources = readSources(root);

/** Everything that is text and ours, besides the sources: documents, scripts, settings. */
const texts = [
  "*.{md,json,js}",
  ".ci/*",
  "bin/*",
  "{docs,changes,deploy,proto}/**/*.{md,proto,yaml,yml,json}",
  "{bench,scripts,test,src}/**/*.{md,sh,js}",
].flatMap((pattern) => globSync(pattern, { cwd: root, exclude: ["package-lock.json", "bench/data"] }));

function none(wrong: readonly string[]): void {
  if (wrong.length > 0) assert.fail(`${wrong.length} to mend:\n  ${wrong.join("\n  ")}`);
}

describe("tidy", () => {
  test("the sources, read, are all there", () => {
    assert.ok(sources.length >= 40, `${sources.length} files`);
    const imports = sources.flatMap((source) => source.imports);
    assert.ok(imports.length >= 100, `${imports.length} imports`);
    assert.ok(imports.filter(({ target }) => target?.startsWith("src/")).length >= 50);
    assert.ok(texts.length >= 10, `${texts.length} other texts`);
  });

  test("imports follow the import table", () => {
    none(sources.flatMap((source) => checkImports(source, dependencies)));
  });

  test("every import of a file of ours names a file that is there", () => {
    const there = new Set(globSync("{src,test,bench,scripts}/**/*", { cwd: root, exclude: ["bench/data"] }));
    const targets = sources.flatMap(({ path, imports }) => imports.map(({ target }) => ({ path, target })));
    const lost = targets.filter(({ target }) => target !== undefined && !there.has(target));
    none(lost.map(({ path, target }) => `${path} imports ${target ?? ""}, which is not there`));
  });

  test("files are short, well named, and free of leftovers", () => {
    none(sources.flatMap(({ path, text }) => [...checkFile(path, text), ...checkText(path, text)]));
    none(texts.flatMap((path) => checkText(path, readFileSync(`${root}${path}`, "utf8"))));
  });

  test("functions are short", () => none(sources.flatMap(checkFunctions)));
  test("exports have a doc comment", () => none(sources.flatMap(checkComments)));
  test("exports are imported somewhere", () => none(checkUnused(sources)));

  test("ARCHITECTURE.md has the import table, row by row", () => {
    const text = readFileSync(`${root}ARCHITECTURE.md`, "utf8");
    const rows = [...text.matchAll(/^\| `([a-z/]+)` +\| (.+?) +\|$/gm)];
    const table = rows.map(([, folder = "", allowed = ""]) => [
      folder,
      allowed === "nothing of ours" ? [] : allowed.split(", ").sort(),
    ]);
    const expected = Object.entries(IMPORT_TABLE).map(([folder, allowed]) => [folder, [...allowed].sort()]);
    assert.deepEqual(table, expected);
  });
});

describe("tidy rules", () => {
  const importing = (path: string, text: string): string[] =>
    checkImports(parseSource(path, text), ["commander"]);

  test("an import by any form of words, read, is found with its names", () => {
    const { imports } = parseSource(
      "src/store/a/x.ts",
      [
        'import fs, { type A, b as c } from "node:fs";',
        'import * as all from "./all.ts";',
        'export { d as e } from "../d.ts";',
        'export * from "../../base/e.ts";',
        'const f = await import("./f.ts");',
        'const g = new Worker(new URL("./g.ts", import.meta.url));',
        'const h = new URL(fromSource ? "./h.ts" : "./h.js", import.meta.url);',
        'type I = import("./i.ts").I;',
        'import "./j.ts";',
        'const no = new URL("./vectors/x.json", import.meta.url);',
      ].join("\n"),
    );
    assert.deepEqual(
      imports.map(({ specifier, target, names }) => [target ?? specifier, names.join()]),
      [
        ["node:fs", "default,A,b"],
        ["src/store/a/all.ts", "*"],
        ["src/store/d.ts", "d"],
        ["src/base/e.ts", "*"],
        ["src/store/a/f.ts", "*"],
        ["src/store/a/g.ts", "*"],
        ["src/store/a/h.ts", "*"],
        ["src/store/a/i.ts", "*"],
        ["src/store/a/j.ts", ""],
      ],
    );
  });

  const bad: readonly (readonly [string, string, string])[] = [
    ["src/base/a.ts", "../format/digest.ts", "base may not import format"],
    ["src/format/a.ts", "../store/keys.ts", "format may not import store"],
    ["src/store/a.test.ts", "../dataset/push.ts", "store may not import dataset"],
    ["src/store/drivers/disk/a.ts", "../../../rpc/client.ts", "store may not import rpc"],
    ["src/vfs/a.ts", "../rpc/client.ts", "vfs may not import rpc"],
    ["src/serve/webdav/a.ts", "../../gen/x.ts", "serve may not import gen"],
    ["src/cli/a.ts", "../peer/swarm.ts", "cli may not import peer"],
    ["src/sdk/a.ts", "../cli/main.ts", "sdk may not import cli"],
    ["src/daemon/a.ts", "../cli/main.ts", "daemon may not import cli"],
    ["src/fresh/a.ts", "../base/bytes.ts", "the folder is not in the import table"],
    ["src/store/drivers/s3/a.ts", "../disk/x.ts", "a driver is named only in src/store/drivers/all.ts"],
    ["src/store/layers/a.ts", "../drivers/disk/x.ts", "a driver is named only in src/store/drivers/all.ts"],
    ["src/serve/nfs/a.ts", "../http/x.ts", "an interface is named only in src/daemon/"],
    ["src/store/a.ts", "./keys.test.ts", "tests are not imported"],
    ["src/store/a.ts", "../../test/peers.ts", "published code imports no test code"],
    ["src/store/a.ts", "./conformance/suite.ts", "published code imports no test code"],
    ["src/dataset/a.ts", "./testing/tree.ts", "published code imports no test code"],
    ["src/format/a.ts", "node:fs/promises", "base and format reach nothing outside"],
    ["src/store/a.ts", "fs", "parts of Node are written with node:"],
    ["src/store/a.ts", "fast-check", "published code imports only dependencies"],
  ];
  for (const [path, specifier, why] of bad) {
    test(`import of ${specifier} in ${path} is refused`, () => {
      const wrong = importing(path, `import "${specifier}";`);
      assert.deepEqual(wrong, [`${path} imports ${specifier}: ${why}`]);
    });
  }

  const good: readonly (readonly [string, string])[] = [
    ["src/store/drivers/all.ts", "./disk/x.ts"],
    ["src/store/drivers/disk/a.ts", "../../keys.ts"],
    ["src/store/drivers/hub/a.ts", "../../../rpc/client.ts"],
    ["src/serve/grpc/a.ts", "../../gen/x.ts"],
    ["src/serve/http/a.ts", "../port.ts"],
    ["src/daemon/hub.ts", "../serve/nfs/x.ts"],
    ["src/dataset/a.test.ts", "../../test/peers.ts"],
    ["src/dataset/a.test.ts", "fast-check"],
    ["src/cli/main.ts", "commander"],
    ["test/a.test.ts", "../src/cli/main.ts"],
  ];
  for (const [path, specifier] of good) {
    test(`import of ${specifier} in ${path} is allowed`, () => {
      assert.deepEqual(importing(path, `import "${specifier}";`), []);
    });
  }

  test("a worker file, started against the table, is refused", () => {
    const wrong = importing(
      "src/format/a.ts",
      'new Worker(new URL(dev ? "../dataset/worker.ts" : "../dataset/worker.js", import.meta.url));',
    );
    assert.deepEqual(wrong, ["src/format/a.ts imports ../dataset/worker.ts: format may not import dataset"]);
  });

  test("a worker file, named without its form in dist, is refused", () => {
    const wrong = importing("src/format/a.ts", 'new Worker(new URL("./worker.ts", import.meta.url));');
    assert.deepEqual(wrong, [
      "src/format/a.ts imports ./worker.ts: dist/ has it as .js: choose by import.meta.url",
    ]);
    const choice = 'import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js"';
    assert.deepEqual(importing("src/format/a.ts", `new URL(${choice}, import.meta.url);`), []);
  });

  test("text with a tab, a trailing blank, a leftover or a machine's path is refused", () => {
    const machine = ["", "work", "main"].join("/");
    const later = ["TO", "DO"].join("");
    const wrong = checkText("a.ts", `\tone\ntwo \n// ${later} three\ncd ${machine}\nfine ~/work/x\n`);
    assert.deepEqual(wrong, [
      "a.ts:1 has a tab",
      "a.ts:2 ends in a blank",
      "a.ts:3 leaves something for later",
      "a.ts:4 names a path of somebody's machine",
    ]);
  });

  test("a file that is too long or badly named is refused", () => {
    assert.deepEqual(checkFile("src/a.ts", "x\n".repeat(401)), ["src/a.ts has 401 lines, more than 400"]);
    for (const path of ["src/utils.ts", "src/common/a.ts", "src/path-helper.ts", "src/a-manager.test.ts"]) {
      assert.deepEqual(checkFile(path, ""), [`${path} has a name that says nothing`]);
    }
    assert.deepEqual(checkFile("src/readFile.ts", ""), ["src/readFile.ts is not in kebab-case"]);
    assert.deepEqual(checkFile("src/commonality.ts", "x\n".repeat(400)), []);
  });

  test("a function that is too long is refused; in a test, without the functions inside of it", () => {
    const suite = `export function suite(): void {\n${"  it(() => {\n    x();\n  });\n".repeat(30)}}\n`;
    assert.deepEqual(checkFunctions(parseSource("src/a.ts", suite)), [
      "src/a.ts:1 is a function of 92 lines, more than 70",
    ]);
    assert.deepEqual(checkFunctions(parseSource("src/a.test.ts", suite)), []);
    const long = `const f = () => {\n${"  x();\n".repeat(69)}};\n`;
    assert.equal(checkFunctions(parseSource("src/a.test.ts", long)).length, 1);
  });

  test("an export without a doc comment is refused", () => {
    const text = [
      "/** Documented. */",
      "export const a = 1;",
      "export const b = 2;",
      "",
      "export const c = 3;",
      "// Not a doc comment.",
      "export function d(): void {}",
      "/** Documented. */",
      "export interface E {}",
      "export type Shares = E;",
      "export function g(): void {}",
      "class Hidden {}",
    ].join("\n");
    assert.deepEqual(checkComments(parseSource("src/a.ts", text)), [
      "src/a.ts:5 exports c without a doc comment",
      "src/a.ts:7 exports d without a doc comment",
      "src/a.ts:11 exports g without a doc comment",
    ]);
  });

  test("an export that nothing imports is refused, but a type that its file uses", () => {
    const wrong = checkUnused([
      parseSource("src/a.ts", "export const a = 1, b = 2; export interface C {} export type D = C;"),
      parseSource(
        "src/b.ts",
        'import { a } from "./a.ts"; export function e(x: F): void {} export type F = 1;',
      ),
      parseSource("src/c.test.ts", 'import * as b from "./b.ts";'),
      parseSource("src/d.ts", "export const d = 1;\nd;"),
      parseSource("src/sdk/index.ts", "export const forOthers = 1;"),
    ]);
    assert.deepEqual(wrong, [
      "src/a.ts exports b, which nothing imports",
      "src/a.ts exports D, which nothing imports",
      "src/d.ts exports d, which nothing imports",
    ]);
  });
});
