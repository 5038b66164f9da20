/** What the file system is like: FSSTAT, FSINFO, PATHCONF. RFC 1813 §3.3.18 to §3.3.20 */
import { KiB } from "../../base/limits.ts";
import { READ_BYTES_MAX } from "./get-procedures.ts";
import { NAME_BYTES_MAX } from "./nfs-tree.ts";
import type { NfsService } from "./nfs-service.ts";
import type { Place } from "./nodes.ts";
import type { RpcProcedure } from "./rpc-programs.ts";

const READ_MULTIPLE = 4 * KiB;
/** Nothing is written, but a client that has no size for it may take a bad one. */
const WRITE_BYTES = 32 * KiB;
const LIST_BYTES = 64 * KiB;
const FILE_BYTES_MAX = 2n ** 63n - 1n;
/** There are symbolic links, and PATHCONF is the same everywhere. */
const [HAS_SYMLINKS, IS_HOMOGENEOUS] = [0x02, 0x08];

/** By their names. */
export function infoProcedures(
  nfs: NfsService,
): Readonly<Record<"fsstat" | "fsinfo" | "pathconf", RpcProcedure>> {
  return {
    fsstat: nfs.procedure("FSSTAT", 1, async (args, results) => {
      const visited = await nfs.visit(args);
      const { bytes, items } = await sizesOf(nfs, visited.place);
      nfs.writeOptionalAttributes(results, visited);
      results.uint64(bytes).uint64(0n).uint64(0n).uint64(items).uint64(0n).uint64(0n).uint32(0);
      return undefined;
    }),
    fsinfo: nfs.procedure("FSINFO", 1, async (args, results) => {
      const visited = await nfs.visit(args);
      nfs.writeOptionalAttributes(results, visited);
      results.uint32(READ_BYTES_MAX).uint32(READ_BYTES_MAX).uint32(READ_MULTIPLE);
      results.uint32(WRITE_BYTES).uint32(WRITE_BYTES).uint32(READ_MULTIPLE).uint32(LIST_BYTES);
      results
        .uint64(FILE_BYTES_MAX)
        .uint32(0)
        .uint32(1)
        .uint32(HAS_SYMLINKS | IS_HOMOGENEOUS);
      return undefined;
    }),
    pathconf: nfs.procedure("PATHCONF", 1, async (args, results) => {
      const visited = await nfs.visit(args);
      nfs.writeOptionalAttributes(results, visited);
      results.uint32(1).uint32(NAME_BYTES_MAX);
      results.boolean(true).boolean(true).boolean(false).boolean(true);
      return undefined;
    }),
  };
}

/** Of a version: its files together. Above versions nobody counts. */
async function sizesOf(
  { parts }: NfsService,
  place: Place,
): Promise<{ readonly bytes: bigint; readonly items: bigint }> {
  if (place.kind === "root" || place.kind === "scope" || place.kind === "dataset")
    return { bytes: 0n, items: 0n };
  const { root } =
    place.kind === "entry"
      ? (await parts.places.topOf(place)).version
      : (await parts.places.open(place)).top.version;
  return { bytes: BigInt(root.bytes), items: BigInt(root.files + root.directories + root.symlinks) };
}
