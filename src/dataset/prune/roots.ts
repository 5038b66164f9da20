/** The versions that stay. */
import type { Digest } from "../../format/digest.ts";
import type { DatasetName } from "../../format/reference.ts";
import type { CallOptions } from "../../store/block-store.ts";
import { history, listDatasets, requireDataset } from "../datasets.ts";
import type { Engine } from "../engine.ts";

/** Every version that the history of a tag names since the tag was last removed; the same may come several times. */
export async function* liveVersions(
  engine: Engine,
  options: CallOptions,
): AsyncGenerator<{ readonly version: Digest; readonly name: DatasetName; readonly domain: string }> {
  for await (const name of listDatasets(engine, options)) {
    const { domain } = await requireDataset(engine, name, options);
    for await (const tag of engine.store.datasets.listTags(name, options)) {
      for await (const record of history(engine, name, tag, options)) {
        // What came before a removal was given up with it.
        if (record.state === "deleted") break;
        yield { version: record.digest, name, domain };
      }
    }
  }
}
