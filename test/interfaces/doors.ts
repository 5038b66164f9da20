/** The interfaces of a hub, each met by a client: most of them not ours. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, lstatSync, mkdirSync, readdirSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { MiB } from "../../src/base/limits.ts";
import { entries } from "../../src/dataset/version/entries.ts";
import { parseReference } from "../../src/format/reference.ts";
import { connect } from "../../src/sdk/index.ts";
import { NfsClient } from "../../src/serve/nfs/testing/nfs-client.ts";
import { requireFuse, said, startMount } from "../mount/mount-place.ts";
import { requirePeer } from "../peers.ts";
import { LAUNCHER, environmentIn } from "../program.ts";
import type { Item } from "./awkward.ts";
import type { OpenDoor } from "./interface-suite.ts";
import { readEach } from "./read-each.ts";

const run = promisify(execFile);

/** The hub and where its dataset is; `scratch` makes an empty folder. */
export interface Place {
  readonly host: string;
  readonly url: string;
  readonly nfsPort: number;
  /** `name:tag`. */
  readonly reference: string;
  readonly scratch: (name: string) => string;
}

/** A folder of this machine as an interface left it. */
export function folderItems(top: string): Map<string, Item> {
  const items = new Map<string, Item>();
  const folders = [""];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of readdirSync(join(top, folder), { withFileTypes: true })) {
      const path = folder + entry.name;
      const file = join(top, path);
      if (entry.isSymbolicLink()) items.set(path, { kind: "symlink", target: readlinkSync(file) });
      else if (entry.isFile()) items.set(path, { kind: "file", size: lstatSync(file).size });
      else {
        items.set(path, { kind: "directory" });
        folders.push(`${path}/`);
      }
    }
  }
  return items;
}

/** The hex SHA-256 of each of these files below a folder. */
export async function hashFiles(top: string, paths: readonly string[]): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const path of paths) {
    const hash = createHash("sha256");
    await pipeline(createReadStream(join(top, path)), hash);
    found.set(path, hash.digest("hex"));
  }
  return found;
}

/** A client that brings everything to a folder. */
export function byFolder(
  fetchAll: (folder: string) => Promise<void>,
  folder: string,
): Awaited<ReturnType<OpenDoor>> {
  return {
    list: async () => {
      await fetchAll(folder);
      return folderItems(folder);
    },
    read: (paths) => hashFiles(folder, paths),
  };
}

/** `aetherfs pull`. */
export function cliDoor({ host, reference, scratch }: Place): OpenDoor {
  const home = scratch("cli-home");
  const pull = async (folder: string): Promise<void> => {
    await run(LAUNCHER, ["pull", "--into", folder, `${host}/${reference}`], {
      env: environmentIn(home),
    });
  };
  return async () => byFolder(pull, scratch("cli"));
}

/** `aetherfs mount`, and what `cp -a` makes of it. Nothing of this process looks into the mount: the hub is in it. */
export function mountDoor({ host, reference, scratch }: Place): OpenDoor {
  return async (t) => {
    if (!requireFuse(t)) return undefined;
    const folder = scratch("mount-home");
    const place = { folder, environment: { STORE: "", HUB: host } };
    const mount = await startMount(t, place, [reference]);
    const copy = async (into: string): Promise<void> => {
      await said("cp", ["-a", `${mount.folder}/.`, into]);
    };
    return byFolder(copy, scratch("mount"));
  };
}

/** entries() and cat() of the SDK. */
export function sdkDoor({ host, reference, scratch }: Place): OpenDoor {
  return async (t) => {
    const client = connect(host, { cacheDir: scratch("sdk-cache") });
    t.after(() => client.close());
    const { name, version: digest } = await client.resolve(parseReference(reference));
    const version = await client.openVersion(name, digest);
    const list = async (): Promise<Map<string, Item>> => {
      const items = new Map<string, Item>();
      for await (const batch of entries(version)) {
        for (const { entry } of batch) {
          const { path, kind } = entry;
          if (kind === "file") items.set(path, { kind, size: entry.size, sha256: entry.digest });
          else items.set(path, kind === "symlink" ? { kind, target: entry.target } : { kind });
        }
      }
      return items;
    };
    const read = (paths: readonly string[]): Promise<Map<string, string>> =>
      readEach(paths, async (path) => {
        const hash = createHash("sha256");
        for await (const piece of client.cat(version, path)) hash.update(piece);
        return hash.digest("hex");
      });
    return { list, read };
  };
}

interface JsonEntry {
  readonly name: string;
  readonly kind: Item["kind"];
  readonly size?: number;
  readonly digest?: string;
  readonly target?: string;
}

function itemOf({ kind, size, digest, target }: JsonEntry): Item {
  if (kind === "directory") return { kind };
  if (kind === "symlink") return { kind, target: target ?? "" };
  return { kind, size: size ?? -1, sha256: digest?.replace("sha256:", "") ?? "" };
}

/** `/fs`: JSON lists, and curl for the files. */
export function httpDoor({ url, reference, scratch }: Place): OpenDoor {
  const top = `${url}/fs/${reference.replace(":", "/")}/`;
  const urlOf = (path: string): string => top + path.split("/").map(encodeURIComponent).join("/");
  return async (t) => {
    const curl = requirePeer(t, "curl");
    if (curl === undefined) return undefined;
    const list = async (): Promise<Map<string, Item>> => {
      const items = new Map<string, Item>();
      const folders = [""];
      for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
        for (const entry of await listJson(curl, urlOf(folder))) {
          const path = folder + entry.name;
          items.set(path, itemOf(entry));
          if (entry.kind === "directory") folders.push(`${path}/`);
        }
      }
      return items;
    };
    const read = async (paths: readonly string[]): Promise<Map<string, string>> => {
      const folder = scratch("http");
      const config = paths.map((path, index) => `url = "${urlOf(path)}"\noutput = "${folder}/${index}"\n`);
      writeFileSync(`${folder}/config`, config.join(""));
      const words = ["--fail", "--silent", "--show-error", "--parallel", "--parallel-max", "8"];
      await run(curl, [...words, "--config", `${folder}/config`]);
      const numbered = await hashFiles(
        folder,
        paths.map((_, index) => String(index)),
      );
      return new Map(paths.map((path, index) => [path, numbered.get(String(index)) ?? ""]));
    };
    return { list, read };
  };
}

/** A folder's list, however many pages it has. */
async function listJson(curl: string, folder: string): Promise<JsonEntry[]> {
  const all: JsonEntry[] = [];
  for (let url: string | undefined = folder; url !== undefined;) {
    const words = ["--fail", "--silent", "--show-error", "--header", "accept: application/json", url];
    const { stdout } = await run(curl, words, { maxBuffer: 64 * MiB });
    const page = JSON.parse(stdout) as { entries: JsonEntry[]; next?: string | null };
    all.push(...page.entries);
    url = page.next === undefined || page.next === null ? undefined : new URL(page.next, folder).href;
  }
  return all;
}

/** `/fs` as rclone sees it: HTML lists, and a file for each link. */
export function rcloneHttpDoor({ url, reference, scratch }: Place): OpenDoor {
  return async (t) => {
    const rclone = requirePeer(t, "rclone");
    if (rclone === undefined) return undefined;
    const copy = async (folder: string): Promise<void> => {
      const words = [
        "--config",
        "",
        "--http-url",
        `${url}/fs/${reference.replace(":", "/")}/`,
        "--transfers",
        "8",
      ];
      const env = { PATH: process.env["PATH"], HOME: scratch("rclone-home") };
      await run(
        rclone,
        ["copy", ...words, "--create-empty-src-dirs", "--no-unicode-normalization", ":http:", folder],
        {
          env,
          maxBuffer: 64 * MiB,
        },
      );
    };
    return byFolder(copy, scratch("rclone-http"));
  };
}

/** Lists and reads by the hub's calls, in Python: gRPC, or REST. What it prints is read here. */
export function pythonDoor({ host, reference, scratch }: Place, protocol: "grpc" | "rest"): OpenDoor {
  return async (t) => {
    const python = requirePeer(t, "python3-grpc");
    const protoc = requirePeer(t, "protoc");
    if (requirePeer(t, "protobuf-include") === undefined || python === undefined || protoc === undefined)
      return undefined;
    const folder = scratch(protocol);
    const root = fileURLToPath(new URL("../..", import.meta.url));
    const descriptors = join(folder, "descriptors");
    const files = ["block/v1/api", "dataset/v1/api", "hub/v1/catalog"].map(
      (name) => `aetherfs/${name}.proto`,
    );
    const words = ["--include_imports", `--descriptor_set_out=${descriptors}`, "--proto_path=proto"];
    await run(protoc, [...words, "--proto_path=/usr/include", ...files], { cwd: root });
    const script = fileURLToPath(new URL("read_all.py", import.meta.url));
    const [name = "", tag = ""] = reference.split(":");
    const { stdout } = await run(python, ["-I", script, protocol, descriptors, host, name, tag], {
      maxBuffer: 64 * MiB,
    });
    const lines = JSON.parse(stdout) as Record<string, Item>;
    const items = new Map(Object.entries(lines));
    assert.ok(items.size > 0);
    return {
      // The SHA-256 there is of what was read, not of what was listed.
      list: async () => items,
      read: async (paths) => new Map(paths.map((path) => [path, items.get(path)?.sha256 ?? ""])),
    };
  };
}

/** `/s3` of the version's bucket, by boto3. */
export function s3Door({ url, reference }: Place): OpenDoor {
  return async (t) => {
    const python = requirePeer(t, "python3-boto3");
    if (python === undefined) return undefined;
    const script = fileURLToPath(new URL("read_all_s3.py", import.meta.url));
    const words = ["-I", script, `${url}/s3`, reference.replace(":", "--")];
    const { stdout } = await run(python, words, { maxBuffer: 64 * MiB });
    const items = new Map(Object.entries(JSON.parse(stdout) as Record<string, Item>));
    return {
      list: async () => items,
      read: async (paths) => new Map(paths.map((path) => [path, items.get(path)?.sha256 ?? ""])),
    };
  };
}

/**
 * NFS: folders by nfs-ls, files by nfs-cat. A client of ours reads where libnfs's URLs cannot say a name, since they have no escape for `?`; and
 * most of the many files of one folder, since each nfs-cat is a process.
 */
export function nfsDoor({ nfsPort, reference }: Place): OpenDoor {
  const top = `/${reference.replace(":", "/")}`;
  const urlOf = (path: string): string =>
    `nfs://127.0.0.1${top}/${path}?nfsport=${nfsPort}&mountport=${nfsPort}`;
  return async (t) => {
    const [ls, cat] = [requirePeer(t, "nfs-ls"), requirePeer(t, "nfs-cat")];
    if (ls === undefined || cat === undefined) return undefined;
    const client = await NfsClient.open(nfsPort);
    t.after(() => {
      client.close();
    });
    const root = await client.mount(top);
    const handleOf = (path: string): Promise<Buffer> =>
      client.lookup(root, ...path.split("/").filter((name) => name !== ""));
    const list = async (): Promise<Map<string, Item>> => {
      const items = new Map<string, Item>();
      const folders = [""];
      // nfs-ls -R takes a path of 16 folders for a loop.
      for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
        const found = folder.includes("?")
          ? await client.list(await handleOf(folder))
          : listedBy((await run(ls, [urlOf(folder)], { maxBuffer: 64 * MiB })).stdout);
        for (const { name, attributes } of found) {
          const path = `${folder}${name}`;
          if (attributes?.type === 2) folders.push(`${path}/`);
          items.set(path, itemOfType(attributes?.type ?? 0, attributes?.size ?? -1));
        }
      }
      return items;
    };
    const read = (paths: readonly string[]): Promise<Map<string, string>> =>
      readEach(paths, async (path) => {
        const isOurs = path.includes("?") || (path.startsWith("many/") && !path.endsWith("77"));
        const content = isOurs
          ? await readFile(client, await handleOf(path))
          : (await run(cat, [urlOf(path)], { encoding: "buffer", maxBuffer: 64 * MiB })).stdout;
        return createHash("sha256").update(content).digest("hex");
      });
    return { list, read };
  };
}

/** What nfs-ls prints: `-r--r--r--  1     0     0         4096 name`. */
function listedBy(
  stdout: string,
): { readonly name: string; readonly attributes: { readonly type: number; readonly size: number } }[] {
  return stdout
    .split("\n")
    .slice(0, -1)
    .map((line) => {
      const [, kind, size, name] = /^(.)\S+ +\d+ +\d+ +\d+ +(\d+) (.+)$/.exec(line) ?? [];
      assert.ok(kind !== undefined && name !== undefined, line);
      return { name, attributes: { type: kind === "d" ? 2 : kind === "l" ? 5 : 1, size: Number(size) } };
    });
}

function itemOfType(type: number, size: number): Item {
  if (type === 1) return { kind: "file", size };
  return { kind: type === 2 ? "directory" : "symlink" };
}

async function readFile(client: NfsClient, handle: Buffer): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let offset = 0, isEnd = false; !isEnd;) {
    const part = await client.read(handle, offset, MiB);
    parts.push(part.bytes);
    offset += part.bytes.byteLength;
    ({ isEnd } = part);
  }
  return Buffer.concat(parts);
}

/** Makes folders below `top`. */
export function scratchIn(top: string): (name: string) => string {
  return (name) => {
    const folder = join(top, name);
    mkdirSync(folder, { recursive: true });
    return folder;
  };
}
