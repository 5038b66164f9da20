/** The import table of ARCHITECTURE.md, as a rule. */
import { isBuiltin } from "node:module";
import type { Import, Source } from "./source.ts";

/** Folder of src/ → the folders that its files may import, besides their own. The longest match counts. */
export const IMPORT_TABLE: Readonly<Record<string, readonly string[]>> = {
  base: [],
  gen: [],
  format: ["base"],
  config: ["base"],
  auth: ["base"],
  rpc: ["base", "gen"],
  store: ["base", "format"],
  "store/drivers/hub": ["base", "format", "store", "rpc", "gen"],
  peer: ["base", "format", "store", "rpc", "gen"],
  dataset: ["base", "format", "store"],
  vfs: ["base", "format", "store", "dataset"],
  serve: ["base", "format", "store", "dataset", "vfs", "auth"],
  "serve/api": ["base", "format", "store", "dataset", "vfs", "auth", "rpc", "gen"],
  "serve/bulk": ["base", "format", "store", "dataset", "vfs", "auth", "rpc", "gen"],
  "serve/grpc": ["base", "format", "store", "dataset", "vfs", "auth", "rpc", "gen"],
  "serve/rest": ["base", "format", "store", "dataset", "vfs", "auth", "rpc", "gen"],
  sdk: [...["base", "gen", "format", "config", "auth", "rpc", "store", "dataset", "vfs", "peer"], "daemon"],
  daemon: [
    ...["base", "gen", "format", "config", "auth", "rpc", "store", "dataset", "vfs", "peer"],
    ...["serve", "sdk"],
  ],
  cli: [
    ...["base", "gen", "format", "config", "auth", "rpc", "store", "dataset", "vfs"],
    ...["sdk", "daemon"],
  ],
};

/** Parts of Node that base/ and format/ stay away from: they compute, and reach nothing. */
const OUTSIDE_WORLD = /^node:(fs|net|tls|dgram|http|https|http2|dns|child_process|worker_threads|os)\b/;

const DRIVERS = "store/drivers/";
const DRIVER_LIST = "src/store/drivers/all.ts";

/** What is wrong with the imports of one file. `dependencies` are the packages of package.json that get published. */
export function checkImports(source: Source, dependencies: readonly string[]): string[] {
  return source.imports.flatMap((one) => {
    const why = one.target === undefined ? foreign(source, one, dependencies) : own(source, one, one.target);
    return why === undefined ? [] : [`${source.path} imports ${one.specifier}: ${why}`];
  });
}

/** Whether a file of src/ is there for tests alone, and is not published. */
export function isTestCode(path: string): boolean {
  return !path.startsWith("src/") || /\.test\.ts$|\/(conformance|testing)\//.test(path);
}

function foreign(source: Source, one: Import, dependencies: readonly string[]): string | undefined {
  if (isTestCode(source.path)) return undefined;
  if (isBuiltin(one.specifier)) {
    if (!one.specifier.startsWith("node:")) return "parts of Node are written with node:";
    const pure = source.path.startsWith("src/base/") || source.path.startsWith("src/format/");
    return pure && OUTSIDE_WORLD.test(one.specifier) ? "base and format reach nothing outside" : undefined;
  }
  const name = one.specifier.split("/", one.specifier.startsWith("@") ? 2 : 1).join("/");
  return dependencies.includes(name) ? undefined : "published code imports only dependencies";
}

function own(source: Source, one: Import, target: string): string | undefined {
  if (one.unbuilt && !isTestCode(source.path)) return "dist/ has it as .js: choose by import.meta.url";
  if (target.endsWith(".test.ts") && !source.path.startsWith("scripts/")) return "tests are not imported";
  if (!source.path.startsWith("src/")) return undefined;
  if (isTestCode(target) && !isTestCode(source.path)) return "published code imports no test code";
  if (!target.startsWith("src/")) return undefined;
  const from = source.path.slice("src/".length);
  const to = target.slice("src/".length);
  return outsideOfTable(from, to) ?? crossing(source.path, from, to);
}

function outsideOfTable(from: string, to: string): string | undefined {
  const row = rowOf(from);
  if (row === undefined) return "the folder is not in the import table";
  const folder = topOf(to);
  if (folder === topOf(from) || IMPORT_TABLE[row]?.includes(folder) === true) return undefined;
  return `${row} may not import ${folder}`;
}

/** Drivers and interfaces: each stands alone, and one place names them. */
function crossing(path: string, from: string, to: string): string | undefined {
  const driver = partOf(to, DRIVERS);
  if (driver !== undefined && driver !== partOf(from, DRIVERS) && path !== DRIVER_LIST) {
    return `a driver is named only in ${DRIVER_LIST}`;
  }
  const face = partOf(to, "serve/");
  if (face !== undefined && face !== partOf(from, "serve/") && topOf(from) !== "daemon") {
    return "an interface is named only in src/daemon/";
  }
  return undefined;
}

function rowOf(path: string): string | undefined {
  const rows = Object.keys(IMPORT_TABLE).filter((row) => path.startsWith(`${row}/`));
  return rows.sort((a, b) => b.length - a.length)[0];
}

function topOf(path: string): string {
  return path.slice(0, path.indexOf("/"));
}

/** `memory` of `store/drivers/memory/x.ts`; undefined for files beside the drivers. */
function partOf(path: string, prefix: string): string | undefined {
  if (!path.startsWith(prefix)) return undefined;
  const rest = path.slice(prefix.length);
  return rest.includes("/") ? rest.slice(0, rest.indexOf("/")) : undefined;
}
