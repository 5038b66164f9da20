/** What an operation read from the store, in bytes. Counters only grow. */
export class Traffic {
  /** Manifest objects, pages' frames and plans. */
  manifestBytes = 0;
  /** Frames of chunks, with the gaps between them that were read too. */
  chunkBytes = 0;

  get fetchedBytes(): number {
    return this.manifestBytes + this.chunkBytes;
  }
}
