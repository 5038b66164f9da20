/** What every procedure of NFS and MOUNT works with, and how it ends. */
import type { Clock } from "../../base/clock.ts";
import { codeOf, ERRORS } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Tree } from "../../vfs/tree.ts";
import { writeAttributes, type AttributeFacts } from "./attributes.ts";
import { HANDLE_BYTES_MAX, tokenIdIn, type Handles } from "./handles.ts";
import { KnownPlaces, type KnownPlace } from "./known-places.ts";
import { NFS_STATUS, NfsError, statusOf } from "./nfs-status.ts";
import type { NfsTree } from "./nfs-tree.ts";
import { handlePlaceOf, type Place, type TagName } from "./nodes.ts";
import type { RareWarnings } from "./rare-warnings.ts";
import type { RpcCaller, RpcProcedure, RpcTail } from "./rpc-programs.ts";
import type { NamedVisitor, Visitors } from "./visitors.ts";
import { XdrError, type XdrReader, type XdrWriter } from "./xdr.ts";

/** The parts of the interface. They hold no state of one call. */
export interface NfsParts {
  readonly tree: Tree;
  readonly places: NfsTree;
  readonly handles: Handles;
  readonly visitors: Visitors;
  readonly fsid: bigint;
  readonly clock: Clock;
  readonly memoryBytes: number;
  /** For what clients can provoke. */
  readonly warnings: RareWarnings;
  readonly log: Log;
}

/** A handle's place, and who came with it. */
export interface Visited {
  readonly place: Place;
  readonly visitor: NamedVisitor;
  /** The handle; it holds as long as the message that it came in. */
  readonly handle: Buffer;
  /** fattr3, where it is at hand. */
  readonly attributes: Buffer | undefined;
}

/** A place, the handle to give of it, and fattr3 where it is at hand. */
export type Met = Omit<Visited, "visitor">;

/** Reads handles, and makes procedures. */
export class NfsService {
  readonly parts: NfsParts;
  readonly #known: KnownPlaces;

  constructor(parts: NfsParts) {
    this.parts = parts;
    this.#known = new KnownPlaces(parts.memoryBytes);
  }

  /** What attributes are written with. */
  get facts(): AttributeFacts {
    return { fsid: this.parts.fsid, nowMs: this.parts.clock.nowMs() };
  }

  /**
   * What the next argument, a handle, names. Errors: NFS3ERR_BADHANDLE when this hub, or another of its store, did not make it, _ACCES
   * when its token is not known any more, _STALE when nothing is there any more; those of the tree.
   */
  async visit(args: XdrReader): Promise<Visited> {
    const { handles, visitors, places } = this.parts;
    const bytes = args.opaque(HANDLE_BYTES_MAX);
    const known = this.#known.at(bytes);
    if (known !== undefined) {
      const visitor = await visitors.byDigest(known.secret);
      await places.expectThere(visitor, known.place);
      return { ...known, visitor };
    }
    const handle = handles.decode(bytes, (id) => visitors.secretsOf(id));
    if (handle === undefined) {
      const isUnknownToken = tokenIdIn(bytes) !== 0 && visitors.secretsOf(tokenIdIn(bytes)).length === 0;
      throw new NfsError(visitors.needsToken && isUnknownToken ? "NFS3ERR_ACCES" : "NFS3ERR_BADHANDLE");
    }
    const visitor = await visitors.byDigest(handle.secret);
    const place = await places.at(visitor, handle.place);
    return { ...this.#met(place, bytes, handle.secret), visitor };
  }

  /** What lies in the directory under a name. Errors: those of NfsTree.lookup. */
  async lookup(directory: Visited, name: string): Promise<Met> {
    const { place: from, visitor, handle } = directory;
    const known = this.#known.in(handle, from, name);
    if (known !== undefined) return known;
    const place = await this.parts.places.lookup(visitor, from, name);
    const met = this.#met(place, this.handleOf(place, visitor), visitor.secret);
    // Above versions names come and go.
    if (isKnown(met) && from.kind !== "dataset") this.#known.keepName(handle, from, name, met);
    return met;
  }

  #met(place: Place, handle: Buffer, secret: Uint8Array | undefined): Met | KnownPlace {
    if (place.kind !== "entry" && place.kind !== "version") return { place, handle, attributes: undefined };
    return this.#known.keep(place, { handle, secret }, (attributes) => {
      writeAttributes(attributes, place, this.facts);
    });
  }

  /** Writes fattr3. */
  writeAttributes(results: XdrWriter, { place, attributes }: Pick<Met, "place" | "attributes">): void {
    if (attributes === undefined) writeAttributes(results, place, this.facts);
    else results.fixed(attributes);
  }

  /** Writes post_op_attr. */
  writeOptionalAttributes(results: XdrWriter, met: Pick<Met, "place" | "attributes">): void {
    results.boolean(true);
    this.writeAttributes(results, met);
  }

  /** The handle of a place, as the visitor gets it. */
  handleOf(place: Place | TagName, { secret }: NamedVisitor): Buffer {
    return this.parts.handles.encode(handlePlaceOf(place), secret);
  }

  /**
   * A procedure: `run` writes what follows NFS3_OK, or throws; then the status is written, and as many zeros as the results of a
   * failure have words: attributes that are not there.
   */
  procedure(
    name: string,
    failureWords: number,
    run: (args: XdrReader, results: XdrWriter, caller: RpcCaller) => Promise<RpcTail | undefined>,
  ): RpcProcedure {
    return {
      name,
      run: async (args, results, caller) => {
        const start = results.length;
        try {
          results.uint32(NFS_STATUS.NFS3_OK);
          const tail = await run(args, results, caller);
          return tail === undefined ? { status: "NFS3_OK" } : { status: "NFS3_OK", tail };
        } catch (error) {
          if (error instanceof XdrError) throw error;
          const status = statusOf(error);
          if (!caller.signal.aborted) this.tell(name, error);
          results.cut(start);
          results.uint32(NFS_STATUS[status]);
          for (let word = 0; word < failureWords; word++) results.uint32(0);
          return { status };
        }
      },
    };
  }

  /** Logs what is not the client's fault. */
  tell(procedure: string, error: unknown): void {
    if (error instanceof NfsError) return;
    const { log } = this.parts;
    const { http, retry } = ERRORS[codeOf(error)];
    const facts = { procedure, err: error };
    // From here on it is not the client's fault. RFC 9110 §15.6
    if (http >= 500) log[retry ? "warn" : "error"](facts, "a call of NFS could not be answered");
  }
}

function isKnown(met: Met | KnownPlace): met is KnownPlace {
  return "secret" in met;
}
