/** Versions of many chunks, by the project's own writer: chunks of a few bytes, so that pages are what there is. */
import { must } from "../../base/assert.ts";
import { DEFAULT_CHUNKING } from "../../format/chunking.ts";
import { digestOf, type Digest } from "../../format/digest.ts";
import { CODECS } from "../../format/frame.ts";
import type { Engine } from "../engine.ts";
import { withLocalIngest } from "../ingest/local-ingest.ts";
import { ManifestWriter } from "../push/manifest-writer.ts";
import { PageStage } from "../push/page-stage.ts";
import { openVersion } from "../version/version.ts";
import { BED_TAG } from "./push-bed.ts";

/** Bytes of each chunk. */
export const TINY_BYTES = 256;
const BATCH = 4096;

/** What publishManyChunks stores. */
export interface ManyChunks {
  readonly chunks: number;
  /** Files, of about as many chunks each, named `d/` and seven digits. */
  readonly files: number;
  /** Which chunks are others than in edition 0: those whose number has this remainder by the second. */
  readonly edition: number;
  /** The version before. */
  readonly reference?: Digest | undefined;
}

/** The bytes of a chunk, which are another chunk's in no edition. */
export function tinyChunk(number: number, edition: number): Uint8Array {
  const bytes = Buffer.alloc(TINY_BYTES);
  bytes.writeUInt32LE(number);
  bytes.writeUInt32LE(isChanged(number, edition) ? edition : 0, 4);
  return bytes;
}

/** Each edition changes a chunk here and there: one of some 20,000. */
function isChanged(number: number, edition: number): boolean {
  return edition > 0 && number % 20_011 === 7;
}

/** Publishes it as the bed's tag, and gives the version. */
export async function publishManyChunks(
  engine: Engine,
  { chunks, files, edition, reference }: ManyChunks,
): Promise<Digest> {
  const { ingest } = withLocalIngest(engine);
  const tags = [BED_TAG];
  const session = await ingest.begin({ tags, publisher: "test", reference });
  const old = reference === undefined ? undefined : await openVersion(engine, reference);
  const manifest = new ManifestWriter(DEFAULT_CHUNKING, new PageStage(engine, session, old));
  const perFile = Math.ceil(chunks / files);
  manifest.addEntry({ path: "d", kind: "directory", mode: 0o755 }, { seconds: 1_700_000_000, nanos: 0 });
  for (let first = 0; first < chunks; first += BATCH) {
    const numbers = Array.from({ length: Math.min(BATCH, chunks - first) }, (_, index) => first + index);
    const all = numbers.map((number) => tinyChunk(number, edition));
    const items = all.map((bytes) => ({ digest: digestOf(bytes), length: TINY_BYTES }));
    const missing = await session.missing(items.map(({ digest }) => digest));
    const frames = items.flatMap((item, index) =>
      missing[index] === true
        ? [{ codec: CODECS.raw, chunks: [item], stored: must(all[index], "one each"), base: undefined }]
        : [],
    );
    await session.put(frames);
    for (const [index, item] of items.entries()) {
      manifest.addChunk(item);
      const number = first + index;
      if (number % perFile !== 0) continue;
      const size = Math.min(perFile, chunks - number) * TINY_BYTES;
      const path = `d/${String(number / perFile).padStart(7, "0")}`;
      const seconds = 1_700_000_000 + number + edition;
      manifest.addEntry(
        { path, kind: "file", mode: 0o644, size, digest: item.digest },
        { seconds, nanos: 0 },
      );
    }
    await manifest.drain({});
  }
  const { rootBytes: root, inlinePages } = await manifest.finish({});
  const publication = {
    root,
    inlinePages,
    base: undefined,
    tags,
    publisher: "test",
    message: "",
    labels: {},
  };
  return (await session.publish(publication)).version;
}
