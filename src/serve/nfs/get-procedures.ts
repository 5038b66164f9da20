/** Looking at one thing: GETATTR, LOOKUP, ACCESS, READLINK, READ. RFC 1813 §3.3.1, §3.3.3 to §3.3.6 */
import type { ByteRange } from "../../base/byte-range.ts";
import { KiB, MiB } from "../../base/limits.ts";
import { NfsError } from "./nfs-status.ts";
import { isDirectory, type EntryPlace, type Place } from "./nodes.ts";
import type { NfsService } from "./nfs-service.ts";
import { KEPT_BYTES_MAX } from "./record-reader.ts";
import { inRoom, type RpcCaller, type RpcProcedure, type RpcTail } from "./rpc-programs.ts";
import { zerosAfter, type XdrReader, type XdrWriter } from "./xdr.ts";

/** Bytes that one READ gives at most. */
export const READ_BYTES_MAX = MiB;
/** So few are copied: they may lie in a piece that is many times as long, and would keep it until they were sent. */
const COPIED_BYTES_MAX = 64 * KiB;

const [ACCESS_READ, ACCESS_LOOKUP, ACCESS_EXECUTE] = [0x01, 0x02, 0x20];
const MODE_EXECUTE = 0o111;

type GetName = "getattr" | "lookup" | "access" | "readlink" | "read";

/** By their names. */
export function getProcedures(nfs: NfsService): Readonly<Record<GetName, RpcProcedure>> {
  return {
    getattr: nfs.procedure("GETATTR", 0, async (args, results) => {
      nfs.writeAttributes(results, await nfs.visit(args));
      return undefined;
    }),
    lookup: nfs.procedure("LOOKUP", 1, async (args, results) => {
      const directory = await nfs.visit(args);
      // A name that is not UTF-8 is none of the tree's.
      const met = await nfs.lookup(directory, args.string(KEPT_BYTES_MAX) ?? "");
      results.opaque(met.handle);
      nfs.writeOptionalAttributes(results, met);
      nfs.writeOptionalAttributes(results, directory);
      return undefined;
    }),
    access: nfs.procedure("ACCESS", 1, async (args, results) => {
      const visited = await nfs.visit(args);
      const wanted = args.uint32();
      nfs.writeOptionalAttributes(results, visited);
      results.uint32(wanted & allowedOf(visited.place));
      return undefined;
    }),
    readlink: nfs.procedure("READLINK", 1, async (args, results) => {
      const visited = await nfs.visit(args);
      const { place } = visited;
      const entry = place.kind === "entry" ? place.found.entry : undefined;
      if (entry?.kind !== "symlink") throw new NfsError("NFS3ERR_INVAL");
      nfs.writeOptionalAttributes(results, visited);
      results.string(entry.target);
      return undefined;
    }),
    read: nfs.procedure("READ", 1, (args, results, caller) => read(nfs, args, results, caller)),
  };
}

function allowedOf(place: Place): number {
  if (isDirectory(place)) return ACCESS_READ | ACCESS_LOOKUP | ACCESS_EXECUTE;
  const isProgram = place.kind === "entry" && (place.found.entry.mode & MODE_EXECUTE) !== 0;
  return isProgram ? ACCESS_READ | ACCESS_EXECUTE : ACCESS_READ;
}

async function read(
  nfs: NfsService,
  args: XdrReader,
  results: XdrWriter,
  caller: RpcCaller,
): Promise<RpcTail | undefined> {
  const visited = await nfs.visit(args);
  const { place } = visited;
  const [offset, count] = [args.uint64(), args.uint32()];
  if (isDirectory(place)) throw new NfsError("NFS3ERR_ISDIR");
  const entry = place.kind === "entry" ? place.found.entry : undefined;
  if (place.kind !== "entry" || entry?.kind !== "file") throw new NfsError("NFS3ERR_INVAL");
  const start = offset < BigInt(entry.size) ? Number(offset) : entry.size;
  const end = Math.min(start + Math.min(count, READ_BYTES_MAX), entry.size);
  const bytes = end - start;
  const writeHead = (): void => {
    nfs.writeOptionalAttributes(results, visited);
    results
      .uint32(bytes)
      .boolean(end === entry.size)
      .uint32(bytes);
  };
  if (bytes <= COPIED_BYTES_MAX)
    return inRoom(caller, bytes, async () => {
      const content = bytes === 0 ? undefined : await copied(nfs, place, { start, end }, caller);
      writeHead();
      if (content !== undefined) results.fixed(content);
    });
  const tail = await hold(nfs, place, { start, end }, caller);
  writeHead();
  return tail;
}

/** A short range of a file, which stays as it is: nobody waits for it to be sent, so that it keeps no more memory than it has bytes. */
async function copied(
  nfs: NfsService,
  place: EntryPlace,
  range: ByteRange,
  caller: RpcCaller,
): Promise<Uint8Array> {
  const { tree, places } = nfs.parts;
  const file = await places.file(place);
  const whole = await tree.whole(file, caller);
  if (whole !== undefined) return whole.subarray(range.start, range.end);
  const { parts, release } = await tree.hold(file, range, caller);
  const bytes = Buffer.concat(parts);
  release(true);
  return bytes;
}

/** A range of a file, padded. */
async function hold(
  nfs: NfsService,
  place: EntryPlace,
  range: ByteRange,
  caller: RpcCaller,
): Promise<RpcTail> {
  const { tree, places } = nfs.parts;
  const leave = await caller.room(range.end - range.start);
  try {
    const held = await tree.hold(await places.file(place), range, caller);
    return {
      parts: [...held.parts, zerosAfter(range.end - range.start)],
      release: (isSent) => {
        held.release(isSent);
        leave();
      },
    };
  } catch (error) {
    leave();
    throw error;
  }
}
