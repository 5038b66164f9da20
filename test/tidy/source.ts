/** What the tidy rules look at: the project's TypeScript files, parsed, with their imports. */
import { globSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import ts from "typescript";

/** A TypeScript file. `path` is relative to the repository's root, with slashes. */
export interface Source {
  readonly path: string;
  readonly text: string;
  readonly tree: ts.SourceFile;
  readonly imports: readonly Import[];
}

/** A module that a file needs, in whatever way it says so. */
export interface Import {
  /** As written: `../base/bytes.ts`, `node:fs`, `commander`. */
  readonly specifier: string;
  /** The path of a file of ours (relative to the root), or undefined for a package or a part of Node. */
  readonly target: string | undefined;
  /** Names taken from it; "*" stands for all of them. */
  readonly names: readonly string[];
  /** Found at run time by a name that the build does not rewrite, and that says `.ts` alone. */
  readonly unbuilt: boolean;
}

/** Parses one file. */
export function parseSource(path: string, text: string): Source {
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  return { path, text, tree, imports: importsOf(path, tree) };
}

/** Every TypeScript file of ours under `root`; generated code and AssemblyScript are left out. */
export function readSources(root: string): Source[] {
  const paths = globSync("{src,test,bench,scripts}/**/*.ts", { cwd: root, exclude: ["bench/data"] })
    .map((path) => path.replaceAll("\\", "/"))
    .filter((path) => !/^src\/(gen|format\/assembly)\//.test(path))
    .sort();
  return paths.map((path) => parseSource(path, readFileSync(`${root}/${path}`, "utf8")));
}

function importsOf(path: string, tree: ts.SourceFile): Import[] {
  const found: Import[] = [];
  const add = (specifier: string, names: readonly string[], unbuilt = false): void => {
    const target = specifier.startsWith(".")
      ? posix.join(posix.dirname(path), specifier).replace(/\.js$/, ".ts")
      : undefined;
    found.push({ specifier, target, names, unbuilt });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
      add(node.moduleSpecifier.text, namesOfImport(node.importClause));
    } else if (ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined) {
      const clause = node.exportClause;
      const named = clause !== undefined && ts.isNamedExports(clause);
      const names = named ? clause.elements.map((one) => (one.propertyName ?? one.name).text) : ["*"];
      if (ts.isStringLiteral(node.moduleSpecifier)) add(node.moduleSpecifier.text, names);
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      if (ts.isStringLiteral(node.argument.literal)) add(node.argument.literal.text, ["*"]);
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const specifier = moduleText(node.arguments[0]);
      if (specifier !== undefined) add(specifier, ["*"]);
    } else {
      const located = locatedModule(node);
      const specifier = moduleText(located);
      if (specifier !== undefined) add(specifier, ["*"], located?.kind === ts.SyntaxKind.StringLiteral);
    }
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return found;
}

function namesOfImport(clause: ts.ImportClause | undefined): string[] {
  if (clause === undefined) return [];
  const names = clause.name === undefined ? [] : ["default"];
  const bindings = clause.namedBindings;
  if (bindings === undefined) return names;
  if (ts.isNamespaceImport(bindings)) return [...names, "*"];
  return [...names, ...bindings.elements.map((one) => (one.propertyName ?? one.name).text)];
}

/** The x of `import.meta.resolve(x)` and `new URL(x, import.meta.url)`, when it is a module: workers are started so. */
function locatedModule(node: ts.Node): ts.Expression | undefined {
  let located: ts.Expression | undefined;
  if (ts.isCallExpression(node) && node.expression.getText() === "import.meta.resolve") {
    located = node.arguments[0];
  } else if (ts.isNewExpression(node) && node.expression.getText() === "URL") {
    if (node.arguments?.[1]?.getText() === "import.meta.url") located = node.arguments[0];
  }
  const text = moduleText(located);
  return text !== undefined && text.startsWith(".") && /\.[jt]s$/.test(text) ? located : undefined;
}

/** A literal, or the first of a choice: `fromSource ? "./worker.ts" : "./worker.js"`. */
function moduleText(node: ts.Expression | undefined): string | undefined {
  if (node === undefined) return undefined;
  if (ts.isConditionalExpression(node)) return moduleText(node.whenTrue);
  return ts.isStringLiteralLike(node) ? node.text : undefined;
}
