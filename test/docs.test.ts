import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { documents } from "../scripts/docs.ts";
import { ERRORS } from "../src/base/errors.ts";

const root = new URL("../", import.meta.url);

function read(path: string): string {
  return readFileSync(new URL(path, root), "utf8");
}

describe("documents", () => {
  test("generated documents, made again, are the same", async () => {
    const made = await documents();
    assert.deepEqual([...made.keys()], ["docs/errors.md", "docs/configuration.md"]);
    for (const [path, text] of made) assert.equal(read(path), text, `${path}: run npm run docs`);
  });

  test("docs/errors.md and the error table have the same codes", () => {
    const documented = [...read("docs/errors.md").matchAll(/^\| `([A-Z_]+)`/gm)].map((match) => match[1]);
    assert.ok(documented.length > 20);
    assert.deepEqual(documented, Object.keys(ERRORS));
  });

  test("a relative link of a document leads to something that is there", () => {
    const pages = globSync(["*.md", "{docs,changes}/**/*.md"], { cwd: root.pathname });
    assert.ok(pages.length >= 5, `${pages.length} documents`);
    const broken = pages.flatMap((page) =>
      [...read(page).matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)]
        .filter(([, target = ""]) => !existsSync(new URL(target, new URL(page, root))))
        .map(([, target = ""]) => `${page} → ${target}`),
    );
    assert.deepEqual(broken, []);
  });

  test("a decision has its number, and says context, decision and what was rejected", () => {
    const decisions = globSync("docs/decisions/*.md", { cwd: root.pathname }).sort();
    assert.ok(decisions.length > 0);
    for (const [index, path] of decisions.entries()) {
      assert.match(path, new RegExp(`/${String(index + 1).padStart(4, "0")}-[a-z0-9-]+\\.md$`));
      for (const part of ["Context", "Decision", "Rejected"]) {
        assert.match(read(path), new RegExp(`^## ${part}$`, "m"), `${path}: ${part}`);
      }
    }
  });

  test("the README's commands are scripts of package.json", () => {
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    const named = [...read("README.md").matchAll(/npm (?:run )?(test|demo|check|bench|build|docs)\b/g)];
    assert.ok(named.length >= 2);
    for (const [command, name = ""] of named) assert.ok(name in scripts, command);
  });
});
