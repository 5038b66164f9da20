/** Frames and versions made by hand, for tests of what a hub takes. */
import { digestBytes, digestOf, type Digest } from "../../format/digest.ts";
import type { FileTime } from "../../format/entry.ts";
import { CODECS, encodeDelta, encodePlain } from "../../format/frame.ts";
import { encodeRoot } from "../../format/manifest.ts";
import { ChunkTreeBuilder, EntryTreesBuilder } from "../../format/tree.ts";
import type { ReceivedFrame } from "../ingest/sessions.ts";
import { TEST_CHUNKING } from "./version-builder.ts";

const NO_TIME: FileTime = { seconds: 0, nanos: 0 };

/** The chunk, alone in a frame. */
export function plainFrame(chunk: Uint8Array): ReceivedFrame {
  const { codec, stored } = encodePlain(chunk, 3);
  const digests = digestBytes(digestOf(chunk));
  return { codec, digests, lengths: [chunk.byteLength], stored, base: undefined };
}

/** The chunk against the whole of another. */
export function deltaFrame(chunk: Uint8Array, base: Uint8Array): ReceivedFrame {
  return {
    codec: CODECS.delta,
    digests: digestBytes(digestOf(chunk)),
    lengths: [chunk.byteLength],
    stored: encodeDelta(chunk, base, 3).stored,
    base: { digests: digestBytes(digestOf(base)), offset: 0, bytes: base.byteLength },
  };
}

/** Root and pages of a version with one file, which has these chunks. */
export function fileVersion(chunks: readonly Uint8Array[]): {
  readonly version: Digest;
  readonly root: Uint8Array;
  readonly inlinePages: readonly Uint8Array[];
} {
  const inlinePages: Uint8Array[] = [];
  const emit = ({ bytes }: { readonly bytes: Uint8Array }): void => {
    inlinePages.push(bytes);
  };
  const trees = new EntryTreesBuilder(emit);
  const content = Buffer.concat(chunks);
  const file = { path: "file", kind: "file", mode: 0o644, size: content.byteLength } as const;
  trees.add({ ...file, digest: digestOf(content) }, NO_TIME);
  const list = new ChunkTreeBuilder(emit);
  for (const chunk of chunks) list.add({ digest: digestOf(chunk), length: chunk.byteLength });
  const counts = { files: 1, directories: 0, symlinks: 0, bytes: content.byteLength };
  const root = encodeRoot({
    chunking: TEST_CHUNKING,
    ...counts,
    ...trees.finish(),
    chunks: list.finish(),
  });
  return { version: digestOf(root), root, inlinePages };
}
