import type { Resolved } from "../dataset/resolve.ts";
import { entries, getEntry, listFolder, type PlacedEntry } from "../dataset/version/entries.ts";
import type { Version } from "../dataset/version/version.ts";
import { formatChunking } from "../format/chunking.ts";
import { formatDigest } from "../format/digest.ts";
import type { Entry, FileTime } from "../format/entry.ts";
import { readReference, withClient, type Context } from "./context.ts";
import { humanBytes, humanCount, humanTime, printable } from "./human.ts";
import type { Output } from "./output.ts";

/** `aetherfs show REF [PATH]`. */
export async function run(context: Context, text: string, path?: string): Promise<void> {
  const { output, signal } = context;
  const reference = readReference(context, text);
  await withClient(context, { references: [reference] }, async (client) => {
    const resolved = await client.resolve(reference, { signal });
    const version = await client.openVersion(resolved.name, resolved.version, { signal });
    const shown = flatten(await entriesAt(version, path, signal));
    if (output.isJson) await printJson(output, resolved, version, shown);
    else await printText(output, resolved, version, path === undefined, shown);
  });
}

/** All entries, those of a folder, or the one that is no folder. */
async function entriesAt(
  version: Version,
  path: string | undefined,
  signal: AbortSignal,
): Promise<AsyncIterable<readonly PlacedEntry[]>> {
  if (path === undefined) return entries(version, { signal });
  const folder = path.replace(/\/+$/, "");
  if (folder === "") return listFolder(version, "", { signal });
  const found = await getEntry(version, folder);
  return found.entry.kind === "directory" ? listFolder(version, folder, { signal }) : only([found]);
}

async function* only<T>(item: T): AsyncGenerator<T> {
  yield item;
}

async function* flatten(batches: AsyncIterable<readonly PlacedEntry[]>): AsyncGenerator<Entry> {
  for await (const batch of batches) {
    for (const { entry } of batch) yield entry;
  }
}

async function printJson(
  output: Output,
  { name, tag }: Resolved,
  version: Version,
  shown: AsyncIterable<Entry>,
): Promise<void> {
  const { files, directories, symlinks, bytes } = version.root;
  const digest = formatDigest(version.digest);
  const chunking = formatChunking(version.root.chunking);
  const head = JSON.stringify({
    name,
    tag: tag ?? null,
    digest,
    chunking,
    files,
    directories,
    symlinks,
    bytes,
  });
  await output.write(`${head.slice(0, -1)},"entries":`);
  await output.jsonList(objects(shown));
  await output.lines("}");
}

async function* objects(shown: AsyncIterable<Entry>): AsyncGenerator {
  for await (const entry of shown) {
    const { path, kind } = entry;
    const mode = modeOf(entry);
    const mtime = timeOf(entry.mtime);
    if (entry.kind === "file")
      yield { path, kind, size: entry.size, mode, mtime, digest: formatDigest(entry.digest) };
    else if (entry.kind === "symlink") yield { path, kind, mode, mtime, target: entry.target };
    else yield { path, kind, mode, mtime };
  }
}

async function printText(
  output: Output,
  { name, tag }: Resolved,
  { root, digest }: Version,
  isWhole: boolean,
  shown: AsyncIterable<Entry>,
): Promise<void> {
  if (isWhole) {
    const counts = [
      `${humanCount(root.files)} files`,
      `${humanCount(root.directories)} folders`,
      `${humanCount(root.symlinks)} symlinks`,
    ];
    await output.lines(
      `version   ${formatDigest(digest)}`,
      `name      ${tag === undefined ? name : `${name}:${tag}`}`,
      `holds     ${counts.join(", ")}; ${humanBytes(root.bytes)}`,
      `chunking  ${formatChunking(root.chunking)}`,
      "",
    );
  }
  const columns = [{ head: "MODE" }, { head: "SIZE", isRight: true }, { head: "MODIFIED" }, { head: "PATH" }];
  await output.table(columns, rows(shown), "no entries");
}

async function* rows(shown: AsyncIterable<Entry>): AsyncGenerator<readonly string[]> {
  for await (const entry of shown) {
    const size = entry.kind === "file" ? humanBytes(entry.size) : "-";
    const path = printable(entry.path);
    const name =
      entry.kind === "directory"
        ? `${path}/`
        : entry.kind === "symlink"
          ? `${path} -> ${printable(entry.target)}`
          : path;
    yield [modeOf(entry), size, humanTime(timeOf(entry.mtime)), name];
  }
}

function modeOf({ mode }: Entry): string {
  return mode.toString(8).padStart(4, "0");
}

/** Milliseconds that a Date can hold, either way from 1970 (ECMA-262 §21.4.1.1). */
const DATE_MS_MAX = 8.64e15;

/** RFC 3339 with nanoseconds where there are any; seconds since 1970 for times that no calendar holds. */
function timeOf({ seconds, nanos }: FileTime): string {
  if (Math.abs(seconds) * 1000 > DATE_MS_MAX) return `@${seconds}`;
  const text = new Date(seconds * 1000).toISOString();
  const fraction = nanos === 0 ? "" : `.${String(nanos).padStart(9, "0").replace(/0+$/, "")}`;
  return text.replace(/\.\d+Z$/, `${fraction}Z`);
}
