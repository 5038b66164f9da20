/** What NFS and MOUNT say of a call's end. RFC 1813 §2.6, appendix I */
import { codeOf, ERRORS } from "../../base/errors.ts";

/** Names and numbers, RFC 1813 §2.6: those of the error table, and those that are NFS's own. */
export const NFS_STATUS = {
  NFS3_OK: 0,
  NFS3ERR_PERM: 1,
  NFS3ERR_NOENT: 2,
  NFS3ERR_IO: 5,
  NFS3ERR_ACCES: 13,
  NFS3ERR_EXIST: 17,
  NFS3ERR_NOTDIR: 20,
  NFS3ERR_ISDIR: 21,
  NFS3ERR_INVAL: 22,
  NFS3ERR_FBIG: 27,
  NFS3ERR_NOSPC: 28,
  NFS3ERR_ROFS: 30,
  NFS3ERR_NAMETOOLONG: 63,
  NFS3ERR_STALE: 70,
  NFS3ERR_BADHANDLE: 10001,
  NFS3ERR_BAD_COOKIE: 10003,
  NFS3ERR_NOTSUPP: 10004,
  NFS3ERR_TOOSMALL: 10005,
  NFS3ERR_SERVERFAULT: 10006,
  NFS3ERR_JUKEBOX: 10008,
} as const;

/** A name of the table. */
export type NfsStatus = keyof typeof NFS_STATUS;

/** An end that only NFS has a word for: nothing is wrong with the hub. */
export class NfsError extends Error {
  override readonly name = "NfsError";
  readonly status: NfsStatus;

  constructor(status: NfsStatus) {
    super(status);
    this.status = status;
  }
}

/** What is said of anything thrown. */
export function statusOf(error: unknown): NfsStatus {
  if (error instanceof NfsError) return error.status;
  const name = ERRORS[codeOf(error)].nfs;
  return isStatus(name) ? name : "NFS3ERR_SERVERFAULT";
}

function isStatus(name: string): name is NfsStatus {
  return Object.hasOwn(NFS_STATUS, name);
}

/** Numbers of MOUNT, which has few of them. RFC 1813 §5.1.5 */
const MOUNT_STATUS: Partial<Record<NfsStatus, number>> = {
  NFS3_OK: 0,
  NFS3ERR_PERM: 1,
  NFS3ERR_NOENT: 2,
  NFS3ERR_IO: 5,
  NFS3ERR_ACCES: 13,
  NFS3ERR_NOTDIR: 20,
  NFS3ERR_INVAL: 22,
  NFS3ERR_NAMETOOLONG: 63,
  NFS3ERR_NOTSUPP: 10004,
};

/** The number that MOUNT says. */
export function mountStatusOf(status: NfsStatus): number {
  return MOUNT_STATUS[status] ?? NFS_STATUS.NFS3ERR_SERVERFAULT;
}
