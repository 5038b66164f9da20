/** Writes src/gen/ from proto/, with protoc (Debian: protobuf-compiler) and protoc-gen-es. */
import { spawnSync } from "node:child_process";
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const out = process.argv[2] ?? join(root, "src/gen");
const files = globSync(
  ["aetherfs/{block,dataset,agent,hub}/v1/*.proto", "google/api/*.proto", "grpc/**/*.proto"],
  {
    cwd: join(root, "proto"),
  },
).sort();
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
const options = [
  `--plugin=protoc-gen-es=${join(root, "node_modules/.bin/protoc-gen-es")}`,
  `--es_out=${out}`,
  "--es_opt=target=ts,import_extension=ts",
  `--proto_path=${join(root, "proto")}`,
];
const { status, error } = spawnSync("protoc", [...options, ...files], { stdio: "inherit" });
if (error !== undefined)
  throw new Error("protoc is missing: apt-get install protobuf-compiler", { cause: error });
for (const file of globSync(`${out}/**/*.ts`)) {
  writeFileSync(file, withoutEnums(readFileSync(file, "utf8")));
}
process.exitCode = status ?? 1;

/** Enums as objects: Node strips types, and an enum is more than a type. */
function withoutEnums(source: string): string {
  return source.replaceAll(/^export enum (\w+) \{\n([^}]*)\}\n/gm, (_, name: string, members: string) => {
    const pairs = members.replaceAll(/^ {2}(\w+) = (\d+),$/gm, "  $1: $2,");
    const type = `export type ${name} = (typeof ${name})[keyof typeof ${name}];`;
    return `export const ${name} = {\n${pairs}} as const;\n${type}\n`;
  });
}
