/** Blocks that were uploaded and are not published yet: they lie apart, as raw frames of blocks of their own. docs/decisions/0007 */
import { must } from "../../base/assert.ts";
import { AetherError } from "../../base/errors.ts";
import { GiB, MiB } from "../../base/limits.ts";
import { digestBytes, digestFromBytes, digestOf, type Digest } from "../../format/digest.ts";
import { CODECS } from "../../format/frame.ts";
import {
  HOLDERS_MAX,
  type SignatureRecord,
  type UploadedBlock,
  type UploadPiece,
} from "../../format/view-record.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { Engine } from "../engine.ts";
import { Gate } from "../../store/layers/gate.ts";
import { BlockPacker } from "../ingest/block-packer.ts";
import { formatSignature, BlockSigner } from "./signature.ts";
import { changeSignature } from "./signatures.ts";

/** The largest block that is taken. */
const UPLOAD_BYTES_MAX = GiB;
/** No scope can be named so: nothing deduplicates against what was not published. */
const DOMAIN = "~uploads";
const PIECE_BYTES = MiB;
/** Blocks of ours that an upload becomes; it holds about two in memory. */
const PACKED_BYTES = 4 * MiB;
const UPLOAD_MEMORY_BYTES = 2 * PACKED_BYTES;
/** The part of the memory that uploads have, and uploads that wait for some. */
const MEMORY_SHARE = 8;
const WAITERS_MAX = 256;
/** How long an uploaded block waits to be published, or uploaded again. */
const TTL_SECONDS = 24 * 60 * 60;

/** What the uploader says of a block. */
export interface DeclaredBlock {
  readonly signature: Digest;
  readonly bytes: number;
  readonly holder: string;
}

/** Takes blocks, as many at a time as memory allows. */
export class Uploads {
  readonly #engine: Engine;
  readonly #gate: Gate;

  constructor(engine: Engine) {
    this.#engine = engine;
    const bytesMax = Math.max(UPLOAD_MEMORY_BYTES, Math.floor(engine.memoryBytes / MEMORY_SHARE));
    this.#gate = new Gate({ callsMax: WAITERS_MAX, bytesMax, waitersMax: WAITERS_MAX });
  }

  /**
   * Takes a block: held to its declared size and signature, durable when it resolves, kept for a day or until it is
   * published. Errors: LIMIT_EXCEEDED; ARGUMENT_INVALID when size or signature are others; STORE_UNAVAILABLE when too many
   * wait; those of the store.
   */
  take(declared: DeclaredBlock, parts: AsyncIterable<Uint8Array>, options: CallOptions = {}): Promise<void> {
    const task = (): Promise<void> => takeUpload(this.#engine, declared, parts, options);
    return this.#gate.run(UPLOAD_MEMORY_BYTES, task, options.signal);
  }
}

async function takeUpload(
  engine: Engine,
  declared: DeclaredBlock,
  parts: AsyncIterable<Uint8Array>,
  options: CallOptions,
): Promise<void> {
  if (declared.bytes > UPLOAD_BYTES_MAX) {
    throw new AetherError("LIMIT_EXCEEDED", `a block has at most ${UPLOAD_BYTES_MAX} bytes`, {
      data: { limit: UPLOAD_BYTES_MAX },
    });
  }
  const upload = new Upload(engine, declared, options);
  try {
    await upload.take(parts);
  } catch (error) {
    await upload.giveUp();
    throw error;
  }
}

/** Whether all pieces are there; then they stay for another day. */
export async function renewUpload(
  engine: Engine,
  { lease, holders, pieces }: UploadedBlock,
  options: CallOptions = {},
): Promise<boolean> {
  const blocks = [...new Set(pieces.map(({ block }) => block))];
  for (const block of blocks) {
    if ((await engine.store.blocks.stat(block, options)) === undefined) return false;
  }
  await putLease(engine, lease, must(holders[0], "somebody uploaded it"), blocks, options);
  return true;
}

/** Bytes `start` to `end` of an uploaded block, verified. Errors: OBJECT_MISSING, OBJECT_CORRUPT, those of the store. */
export async function* readUpload(
  { store }: Pick<Engine, "store">,
  { pieces }: UploadedBlock,
  start: number,
  end: number,
  options: CallOptions = {},
): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (const { block, offset, chunk, bytes } of pieces) {
    const [from, to] = [Math.max(start - at, 0), Math.min(end - at, bytes)];
    at += bytes;
    if (from >= to) continue;
    const piece = await store.blocks.read(block, { start: offset, end: offset + bytes }, options);
    if (digestOf(piece) !== chunk)
      throw new AetherError("OBJECT_CORRUPT", "an uploaded block does not match its digest");
    yield piece.subarray(from, to);
  }
}

function putLease(
  { store, clock }: Engine,
  id: string,
  holder: string,
  blocks: readonly Digest[],
  options: CallOptions,
): Promise<void> {
  const nowMs = clock.nowMs();
  const created = new Date(nowMs).toISOString();
  // Whoever uploads it again does not know the last beat: any other one is a sign of life.
  const beat = Math.floor(nowMs / 1000);
  return store.datasets.putLease(
    { id, holder, created, ttlSeconds: TTL_SECONDS, beat, blocks, versions: [], epoch: null },
    options,
  );
}

/** One block on its way in. */
class Upload {
  readonly #engine: Engine;
  readonly #declared: DeclaredBlock;
  readonly #options: CallOptions;
  readonly #lease: string;
  readonly #packer = new BlockPacker(DOMAIN, PACKED_BYTES);
  readonly #signer = new BlockSigner();
  readonly #piece = Buffer.allocUnsafe(PIECE_BYTES);
  readonly #blocks: Digest[] = [];
  readonly #pieces: UploadPiece[] = [];
  #pieceBytes = 0;
  #bytes = 0;

  constructor(engine: Engine, declared: DeclaredBlock, options: CallOptions) {
    this.#engine = engine;
    this.#declared = declared;
    this.#options = options;
    this.#lease = engine.random.id();
  }

  async take(parts: AsyncIterable<Uint8Array>): Promise<void> {
    const { signature, bytes } = this.#declared;
    for await (const part of parts) {
      this.#bytes += part.byteLength;
      if (this.#bytes > bytes) throw this.#differs(`has more than the ${bytes} bytes`);
      this.#signer.update(part);
      await this.#add(part);
    }
    if (this.#bytes < bytes) throw this.#differs(`has ${this.#bytes} bytes, not the ${bytes}`);
    const actual = this.#signer.finish();
    if (actual !== signature)
      throw this.#differs(`has the signature ${formatSignature(actual)}, not the one`);
    await this.#packPiece();
    await this.#sealAndStore();
    const { blocks, datasets } = this.#engine.store;
    await blocks.flush(this.#options);
    let former: string | undefined;
    const change = (record: SignatureRecord | undefined): SignatureRecord => {
      former = record?.upload?.lease;
      return this.#recordAfter(record);
    };
    await changeSignature(datasets, signature, change, this.#options);
    await datasets.flush(this.#options);
    if (former !== undefined) await datasets.removeLease(former, this.#options);
  }

  /** The claim goes; what was stored nobody refers to. */
  async giveUp(): Promise<void> {
    await this.#engine.store.datasets.removeLease(this.#lease).catch(() => undefined);
  }

  async #add(part: Uint8Array): Promise<void> {
    for (let at = 0; at < part.byteLength;) {
      const taken = part.subarray(at, at + PIECE_BYTES - this.#pieceBytes);
      this.#piece.set(taken, this.#pieceBytes);
      this.#pieceBytes += taken.byteLength;
      at += taken.byteLength;
      if (this.#pieceBytes === PIECE_BYTES) await this.#packPiece();
    }
  }

  async #packPiece(): Promise<void> {
    const bytes = this.#pieceBytes;
    if (bytes === 0) return;
    this.#pieceBytes = 0;
    const piece = this.#piece.subarray(0, bytes);
    if (this.#packer.isFull(bytes)) await this.#sealAndStore();
    const chunk = digestOf(piece);
    const frame = { base: undefined, depth: 0, decodeBytes: 0, isPage: false };
    const info = { codec: CODECS.raw, storedBytes: bytes, digests: digestBytes(chunk), lengths: [bytes] };
    this.#packer.add({ ...info, ...frame }, piece);
  }

  async #sealAndStore(): Promise<void> {
    const sealed = this.#packer.seal();
    if (sealed === undefined) return;
    const { digest: block, frames, offsets } = sealed;
    this.#blocks.push(block);
    await putLease(this.#engine, this.#lease, this.#declared.holder, this.#blocks, this.#options);
    await this.#engine.store.blocks.put(block, sealed.parts, this.#options);
    for (const [index, { digests, storedBytes }] of frames.entries()) {
      const offset = must(offsets[index], "each frame has its place");
      this.#pieces.push({ block, offset, chunk: digestFromBytes(digests), bytes: storedBytes });
    }
    this.#packer.recycle(sealed);
  }

  #recordAfter(record: SignatureRecord | undefined): SignatureRecord {
    const { signature, bytes, holder } = this.#declared;
    const others = record?.upload?.holders.filter((other) => other !== holder) ?? [];
    const holders = [holder, ...others].slice(0, HOLDERS_MAX);
    const upload = { lease: this.#lease, holders, pieces: this.#pieces };
    return { signature, bytes, upload, places: record?.places ?? [] };
  }

  #differs(why: string): AetherError {
    return new AetherError("ARGUMENT_INVALID", `the block ${why} that was declared`, {
      data: { signature: formatSignature(this.#declared.signature) },
    });
  }
}
