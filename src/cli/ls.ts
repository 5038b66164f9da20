import { matchesGlob } from "node:path";
import { AetherError } from "../base/errors.ts";
import type { Reference } from "../format/reference.ts";
import type { Client } from "../sdk/client.ts";
import { readReference, withClient, type Context } from "./context.ts";
import { humanBytes, humanCount, humanTime } from "./human.ts";

interface Line {
  readonly name: string;
  readonly tags: number;
  /** The tag that moved last, what it points at, and when. */
  readonly newest: {
    readonly tag: string;
    readonly files: number;
    readonly bytes: number;
    readonly time: string;
  } | null;
}

/** `aetherfs ls [GLOB]`. */
export async function run(context: Context, text?: string): Promise<void> {
  const { output } = context;
  const { references, glob } = splitHost(context, text);
  await withClient(context, { references }, async (client) => {
    const lines = datasets(context, client, glob);
    if (output.isJson) {
      await output.jsonList(lines);
      return;
    }
    const right = { isRight: true };
    const columns = [
      { head: "DATASET" },
      { head: "TAGS", ...right },
      { head: "NEWEST" },
      { head: "FILES", ...right },
      { head: "SIZE", ...right },
      { head: "MOVED" },
    ];
    await output.table(columns, rows(lines), "no datasets");
  });
}

/** A glob may stand behind a hub, as a name does: `host:port/@acme/*`, and `host:port/` for all of its datasets. */
function splitHost(
  context: Context,
  text: string | undefined,
): { readonly references: readonly Reference[]; readonly glob: string | undefined } {
  const [, host, rest = ""] =
    /^((?:localhost|[^/@*?[{]*[.:][^/@*?[{]*|\[[^/]*\][^/]*))\/(.*)$/.exec(text ?? "") ?? [];
  if (host === undefined) return { references: [], glob: text };
  return { references: [readReference(context, `${host}/any`)], glob: rest === "" ? undefined : rest };
}

async function* datasets(
  { signal }: Context,
  client: Client,
  glob: string | undefined,
): AsyncGenerator<Line> {
  let count = 0;
  for await (const name of client.listDatasets({ signal })) {
    if (glob !== undefined && name !== glob && !matchesGlob(name, glob)) continue;
    count += 1;
    let tags = 0;
    let newest: Line["newest"] = null;
    for await (const { tag, record } of client.listTags(name, { signal })) {
      tags += 1;
      const { files, bytes, time } = record;
      if (newest === null || time > newest.time) newest = { tag, files, bytes, time };
    }
    yield { name, tags, newest };
  }
  if (glob !== undefined && count === 0) {
    throw new AetherError("DATASET_NOT_FOUND", `no dataset's name is like ${glob}`, {
      data: { dataset: glob },
    });
  }
}

async function* rows(lines: AsyncIterable<Line>): AsyncGenerator<readonly string[]> {
  for await (const { name, tags, newest } of lines) {
    const { tag, files, bytes, time } = newest ?? { tag: "-", files: 0, bytes: 0, time: "-" };
    yield [name, humanCount(tags), tag, humanCount(files), humanBytes(bytes), humanTime(time)];
  }
}
