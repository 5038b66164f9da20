import { matchesGlob } from "node:path";
import { AetherError } from "../base/errors.ts";
import { listDatasets, listTags } from "../dataset/datasets.ts";
import type { Engine } from "../dataset/engine.ts";
import { withEngine, type Context } from "./context.ts";
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
export async function run(context: Context, glob?: string): Promise<void> {
  const { output } = context;
  await withEngine(context, { create: false }, async (engine) => {
    const lines = datasets(context, engine, glob);
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

async function* datasets(
  { signal }: Context,
  engine: Engine,
  glob: string | undefined,
): AsyncGenerator<Line> {
  let count = 0;
  for await (const name of listDatasets(engine, { signal })) {
    if (glob !== undefined && name !== glob && !matchesGlob(name, glob)) continue;
    count += 1;
    let tags = 0;
    let newest: Line["newest"] = null;
    for await (const { tag, record } of listTags(engine, name, { signal })) {
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
