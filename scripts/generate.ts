/** Writes src/gen/ from proto/, with protoc (Debian: protobuf-compiler) and protoc-gen-es. */
import { spawnSync } from "node:child_process";
import { globSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const out = process.argv[2] ?? join(root, "src/gen");
const files = globSync(["aetherfs/{block,dataset,agent,hub}/v1/*.proto", "google/api/*.proto"], {
  cwd: join(root, "proto"),
}).sort();
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
process.exitCode = status ?? 1;
