/** Looking at one thing: GETATTR, LOOKUP, ACCESS, READLINK, READ. RFC 1813 §3.3.1, §3.3.3 to §3.3.6 */
import { MiB } from "../../base/limits.ts";
import { NfsError } from "./nfs-status.ts";
import { isDirectory, type EntryPlace, type Place } from "./nodes.ts";
import type { NfsService } from "./nfs-service.ts";
import type { RpcCaller, RpcProcedure, RpcTail } from "./rpc-programs.ts";
import { zerosAfter, type XdrReader, type XdrWriter } from "./xdr.ts";

/** Bytes that one READ gives at most. */
export const READ_BYTES_MAX = MiB;
/** Bytes of a name or path that are looked at: longer ones are none. */
const PATH_ARGUMENT_MAX = 4096;

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
      const met = await nfs.lookup(directory, args.string(PATH_ARGUMENT_MAX) ?? "");
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
  const content = bytes === 0 ? undefined : await nfs.parts.places.small(place, entry);
  const isHeld = bytes > 0 && content === undefined;
  const tail = isHeld ? await hold(nfs, place, { start, end }, caller) : undefined;
  nfs.writeOptionalAttributes(results, visited);
  results
    .uint32(bytes)
    .boolean(end === entry.size)
    .uint32(bytes);
  if (content !== undefined) results.fixed(content.subarray(start, end));
  return tail;
}

/** A range of a file, padded. */
async function hold(
  nfs: NfsService,
  place: EntryPlace,
  range: { readonly start: number; readonly end: number },
  caller: RpcCaller,
): Promise<RpcTail> {
  const { tree, places } = nfs.parts;
  const { entry, start } = place.found;
  if (entry.kind !== "file") throw new NfsError("NFS3ERR_INVAL");
  const leave = await caller.room(range.end - range.start);
  try {
    const top = await places.topOf(place);
    const held = await tree.hold({ ...top, kind: "file", entry, start }, range);
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
