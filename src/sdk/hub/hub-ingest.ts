/** The way into a hub's store. */
import { AetherError } from "../../base/errors.ts";
import type { TagReference } from "../../dataset/contract.ts";
import type { Ingest, IngestSession, IngestStart, SessionOptions } from "../../dataset/ingest/ingest.ts";
import { parseChunking } from "../../format/chunking.ts";
import { DIGEST_BYTES, digestBytes, digestFromBytes, type Digest } from "../../format/digest.ts";
import type { CallOptions } from "../../store/block-store.ts";
import { DrySession } from "./dry-session.ts";
import type { HubConnection } from "./hub-connection.ts";
import { HubSession } from "./hub-session.ts";
import type { SentChunks } from "./sent-chunks.ts";

/** Opens what was sent to a hub's store, by its id. */
type OpenSent = (storeId: string) => Promise<SentChunks | undefined>;

/** Sessions on a hub: with the same contract as those on a store. */
export class HubIngest implements Ingest {
  readonly folder = undefined;
  readonly #hub: HubConnection;
  readonly #openSent: OpenSent;
  #storeId = "";
  #predecessors: readonly Digest[] = [];

  /** `openSent` opens what was sent to a store before; undefined: nothing is kept of it. */
  constructor(hub: HubConnection, openSent: OpenSent) {
    this.#hub = hub;
    this.#openSent = openSent;
  }

  async prepare(tags: readonly TagReference[], { signal }: CallOptions = {}): Promise<IngestStart> {
    const call = signal === undefined ? {} : { signal };
    const request = { tags: tags.map(({ name, tag }) => ({ name, tag })) };
    const answer = await this.#hub.call(signal, () => this.#hub.ingest.prepare(request, call));
    const { storeId, chunking } = answer;
    this.#storeId = storeId;
    const predecessors = answer.predecessors.map((bytes) => {
      if (bytes.byteLength === DIGEST_BYTES) return digestFromBytes(bytes);
      throw new AetherError(
        "INTERNAL",
        `the hub ${this.#hub.hub} named a version with ${bytes.byteLength} bytes`,
      );
    });
    this.#predecessors = predecessors;
    const heads = answer.heads.map(Number);
    return { storeId, chunking: chunking === "" ? undefined : parseChunking(chunking), predecessors, heads };
  }

  async begin(session: SessionOptions, { signal }: CallOptions = {}): Promise<IngestSession> {
    const call = signal === undefined ? {} : { signal };
    const { tags, publisher, blockBytes = 0, dryRun = false, reference } = session;
    const request = {
      tags: tags.map(({ name, tag }) => ({ name, tag })),
      publisher,
      blockBytes: BigInt(blockBytes),
      dryRun,
      reference: new Uint8Array(reference === undefined ? [] : digestBytes(reference)),
    };
    const answer = await this.#hub.call(signal, () => this.#hub.ingest.begin(request, call));
    const { session: id, ttlSeconds, bodyBytesMax, takesManifests } = answer;
    const begun = { id, ttlSeconds, bodyBytesMax, takesManifests, predecessors: this.#predecessors };
    const sent = await this.#openSent(this.#storeId);
    return dryRun ? new DrySession(this.#hub, begun, sent) : new HubSession(this.#hub, begun, sent);
  }
}
