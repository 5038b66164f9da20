/** Records of the first AetherFS's interface: where its blocks lie, and versions as such blocks. docs/format.md §8.6 */
import { PATH_BYTES_MAX } from "../base/limits.ts";
import { digestFromHex, formatDigest, type Digest } from "./digest.ts";
import { AetherError } from "../base/errors.ts";
import { encodeRecord, RecordMembers } from "./record-members.ts";
import { parseDatasetName, type DatasetName } from "./reference.ts";

/** Bytes of a view's record at most. */
const VIEW_BYTES_MAX = 64 * 1024 * 1024;
/** Pieces of one uploaded block. */
const UPLOAD_PIECES_MAX = 2048;
/** Those who uploaded one block, and versions that have it, as far as they are noted. */
export const HOLDERS_MAX = 16;
export const PLACES_MAX = 16;
/** Ways to see one version as blocks. */
export const LAYOUTS_MAX = 8;
/** Blocks and files of one layout. */
export const VIEW_BLOCKS_MAX = 500_000;
export const VIEW_FILES_MAX = 200_000;

/** A piece of an uploaded block: a raw frame of one of our blocks. */
export interface UploadPiece {
  readonly block: Digest;
  /** Where the frame begins in the block. */
  readonly offset: number;
  readonly chunk: Digest;
  readonly bytes: number;
}

/** A block that was uploaded, and lies apart until it is published. */
export interface UploadedBlock {
  /** The lease that keeps its pieces. */
  readonly lease: string;
  /** Who uploaded it: nobody else is told that it is there. */
  readonly holders: readonly string[];
  readonly pieces: readonly UploadPiece[];
}

/** A version that has a block. */
export interface BlockPlace {
  readonly dataset: DatasetName;
  readonly version: Digest;
}

/** Where a block lies. */
export interface SignatureRecord {
  /** The signature's 32 bytes. */
  readonly signature: Digest;
  readonly bytes: number;
  readonly upload: UploadedBlock | null;
  /** The newest last. */
  readonly places: readonly BlockPlace[];
}

/** A version as a stream of files, one after another, cut into blocks of one size. */
export interface Layout {
  readonly blockBytes: number;
  /** The files in the stream's order; null: in byte order of path. */
  readonly files: readonly string[] | null;
  /** The blocks' signatures. */
  readonly blocks: readonly Digest[];
}

/** The ways in which a version is seen. */
export interface ViewRecord {
  readonly version: Digest;
  /** The one that is shown comes last. */
  readonly layouts: readonly Layout[];
}

/** The bytes of a signature's record. */
export function encodeSignature(record: SignatureRecord): Uint8Array {
  const { upload, places } = record;
  const pieces = upload?.pieces.map((piece) => ({
    ...piece,
    block: formatDigest(piece.block),
    chunk: formatDigest(piece.chunk),
  }));
  return encodeRecord("signature", {
    signature: record.signature,
    bytes: record.bytes,
    uploads: upload === null ? [] : [{ ...upload, pieces }],
    places: places.map(({ dataset, version }) => ({ dataset, version: formatDigest(version) })),
  });
}

/** Reads a signature's record. Errors: OBJECT_INVALID, FORMAT_UNSUPPORTED. */
export function decodeSignature(bytes: Uint8Array): SignatureRecord {
  const members = RecordMembers.decode("signature", bytes);
  const [upload = null] = members.items("uploads", 1, (item) => ({
    lease: item.text("lease", 64),
    holders: item.texts("holders", HOLDERS_MAX),
    pieces: item.items("pieces", UPLOAD_PIECES_MAX, (piece) => ({
      block: piece.digest("block"),
      offset: piece.count("offset"),
      chunk: piece.digest("chunk"),
      bytes: piece.count("bytes"),
    })),
  }));
  return {
    signature: members.parsed("signature", parseHex),
    bytes: members.count("bytes"),
    upload,
    places: members.items("places", PLACES_MAX, (item) => ({
      dataset: item.parsed("dataset", parseDatasetName),
      version: item.digest("version"),
    })),
  };
}

/** The bytes of a view's record. Errors: LIMIT_EXCEEDED. */
export function encodeView({ version, layouts }: ViewRecord): Uint8Array {
  const bytes = encodeRecord("view", { version: formatDigest(version), layouts });
  if (bytes.byteLength <= VIEW_BYTES_MAX) return bytes;
  throw new AetherError("LIMIT_EXCEEDED", "the dataset has too many files or blocks to be seen as blocks");
}

/** Reads a view's record. Errors: OBJECT_INVALID, FORMAT_UNSUPPORTED. */
export function decodeView(bytes: Uint8Array): ViewRecord {
  const members = RecordMembers.decode("view", bytes, VIEW_BYTES_MAX);
  return {
    version: members.digest("version"),
    layouts: members.items("layouts", LAYOUTS_MAX, (item) => ({
      blockBytes: item.count("blockBytes"),
      files: item.isNull("files") ? null : item.texts("files", VIEW_FILES_MAX, PATH_BYTES_MAX),
      blocks: item.texts("blocks", VIEW_BLOCKS_MAX).map(parseHex),
    })),
  };
}

function parseHex(text: string): Digest {
  const digest = digestFromHex(text);
  if (digest !== undefined) return digest;
  throw new AetherError(
    "OBJECT_INVALID",
    "a view record is malformed: a signature has 64 lower-case hex digits",
  );
}
