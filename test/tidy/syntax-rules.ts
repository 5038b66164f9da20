/** Rules that need the syntax tree: lengths of functions, exports and their documentation. */
import ts from "typescript";
import { isTestCode } from "./import-rules.ts";
import type { Source } from "./source.ts";

const FUNCTION_LINES_MAX = 70;

/** A name that a file exports. */
interface Export {
  readonly name: string;
  readonly node: ts.Node;
  readonly isType: boolean;
}

/**
 * Functions that are too long. In tests a function counts without those inside of it, because a suite is a function
 * made of tests.
 */
export function checkFunctions(source: Source): string[] {
  const wrong: string[] = [];
  const ownOnly = isTestCode(source.path);
  const visit = (node: ts.Node): number => {
    let nested = 0;
    ts.forEachChild(node, (child) => void (nested += visit(child)));
    if (!isFunction(node)) return nested;
    const first = lineOf(source.tree, node.getStart(source.tree));
    const whole = lineOf(source.tree, node.end) - first + 1;
    const lines = ownOnly ? whole - nested : whole;
    if (lines > FUNCTION_LINES_MAX) {
      wrong.push(`${source.path}:${first} is a function of ${lines} lines, more than ${FUNCTION_LINES_MAX}`);
    }
    return whole;
  };
  visit(source.tree);
  return wrong;
}

/**
 * Exports of src/ without a doc comment. Constants and types without a blank line between them share the comment above
 * the first; overloads share that of the first.
 */
export function checkComments(source: Source): string[] {
  if (!source.path.startsWith("src/") || source.path.endsWith(".test.ts")) return [];
  const documented = new Set<string>();
  const wrong: string[] = [];
  let groupEnd = -1;
  for (const { name, node, isType } of exportsOf(source)) {
    const start = lineOf(source.tree, node.getStart(source.tree));
    const groups = isType || ts.isVariableStatement(node);
    const shares = groups && groupEnd === start - 1;
    if (ts.getJSDocCommentsAndTags(node).length > 0 || shares || documented.has(name)) {
      documented.add(name);
      groupEnd = groups ? lineOf(source.tree, node.end) : -1;
    } else {
      wrong.push(`${source.path}:${start} exports ${name} without a doc comment`);
    }
  }
  return wrong;
}

/**
 * Exports of src/ that no other file imports. What the SDK exports is for others; a type that its own file uses
 * belongs to the contract of what uses it.
 */
export function checkUnused(sources: readonly Source[]): string[] {
  const used = new Map<string, Set<string>>();
  for (const source of sources) {
    for (const { target, names } of source.imports) {
      if (target === undefined || target === source.path) continue;
      const set = used.get(target) ?? new Set<string>();
      for (const name of names) set.add(name);
      used.set(target, set);
    }
  }
  return sources
    .filter(({ path }) => !isTestCode(path) && !path.startsWith("src/sdk/"))
    .flatMap((source) => {
      const names = used.get(source.path) ?? new Set<string>();
      const unused = exportsOf(source).filter(
        ({ name, node, isType }) =>
          !names.has(name) && !names.has("*") && !(isType && isUsedWithin(source, node, name)),
      );
      return [...new Set(unused.map(({ name }) => `${source.path} exports ${name}, which nothing imports`))];
    });
}

function exportsOf(source: Source): Export[] {
  return source.tree.statements.flatMap((node): Export[] => {
    if (!ts.canHaveModifiers(node)) return [];
    const exported = ts.getModifiers(node)?.some((one) => one.kind === ts.SyntaxKind.ExportKeyword);
    if (exported !== true) return [];
    if (ts.isVariableStatement(node)) {
      const names = node.declarationList.declarations.map((one) => one.name.getText(source.tree));
      return names.map((name) => ({ name, node, isType: false }));
    }
    const isType = ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node);
    const named = isType || ts.isFunctionDeclaration(node) || ts.isClassDeclaration(node);
    return named && node.name !== undefined ? [{ name: node.name.text, node, isType }] : [];
  });
}

function isUsedWithin(source: Source, declaration: ts.Node, name: string): boolean {
  let found = false;
  const visit = (node: ts.Node): void => {
    if (node === declaration || found) return;
    if (ts.isIdentifier(node) && node.text === name) found = true;
    else ts.forEachChild(node, visit);
  };
  visit(source.tree);
  return found;
}

function isFunction(node: ts.Node): boolean {
  return ts.isFunctionLike(node) && "body" in node && node.body !== undefined;
}

function lineOf(tree: ts.SourceFile, position: number): number {
  return tree.getLineAndCharacterOfPosition(position).line + 1;
}
