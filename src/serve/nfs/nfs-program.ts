/** NFS version 3, for reading. RFC 1813 §3 */
import { getProcedures } from "./get-procedures.ts";
import { infoProcedures } from "./info-procedures.ts";
import { listProcedures } from "./list-procedures.ts";
import { NFS_STATUS } from "./nfs-status.ts";
import type { NfsService } from "./nfs-service.ts";
import { NULL_PROCEDURE, type RpcProcedure, type RpcProgram } from "./rpc-programs.ts";

/** Numbers of the program. */
const NFS_PROGRAM = { number: 100003, version: 3 } as const;

/** Words of wcc_data that says nothing: no attributes before, none after. */
const WCC_WORDS = 2;

/** The program. What would change something is answered with NFS3ERR_ROFS, whatever its arguments. */
export function nfsProgram(nfs: NfsService): RpcProgram {
  const { getattr, lookup, access, readlink, read } = getProcedures(nfs);
  const { readdir, readdirplus } = listProcedures(nfs);
  const { fsstat, fsinfo, pathconf } = infoProcedures(nfs);
  const procedures = [
    NULL_PROCEDURE,
    getattr,
    refused("SETATTR", WCC_WORDS),
    lookup,
    access,
    readlink,
    read,
    refused("WRITE", WCC_WORDS),
    refused("CREATE", WCC_WORDS),
    refused("MKDIR", WCC_WORDS),
    refused("SYMLINK", WCC_WORDS),
    refused("MKNOD", WCC_WORDS),
    refused("REMOVE", WCC_WORDS),
    refused("RMDIR", WCC_WORDS),
    refused("RENAME", 2 * WCC_WORDS),
    // The file's attributes come first.
    refused("LINK", 1 + WCC_WORDS),
    readdir,
    readdirplus,
    fsstat,
    fsinfo,
    pathconf,
    refused("COMMIT", WCC_WORDS),
  ];
  return { ...NFS_PROGRAM, procedures };
}

function refused(name: string, words: number): RpcProcedure {
  return {
    name,
    run: (_args, results) => {
      results.uint32(NFS_STATUS.NFS3ERR_ROFS);
      for (let word = 0; word < words; word++) results.uint32(0);
      return { status: "NFS3ERR_ROFS" };
    },
  };
}
