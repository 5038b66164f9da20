/** MOUNT version 3: which handle to begin with. RFC 1813 appendix I */
import { MiB } from "../../base/limits.ts";
import { mountStatusOf, statusOf } from "./nfs-status.ts";
import { isDirectory, type Place } from "./nodes.ts";
import { parseExportPath } from "./export-path.ts";
import { NfsError } from "./nfs-status.ts";
import type { NfsService } from "./nfs-service.ts";
import { AUTH_NONE, AUTH_SYS } from "./rpc.ts";
import {
  inRoom,
  NULL_PROCEDURE,
  type RpcCaller,
  type RpcProcedure,
  type RpcProgram,
} from "./rpc-programs.ts";
import type { XdrReader, XdrWriter } from "./xdr.ts";

/** Numbers of the program. */
const MOUNT_PROGRAM = { number: 100005, version: 3 } as const;

/** RFC 1813 §5.1.1: MNTPATHLEN */
const PATH_BYTES_MAX = 1024;
/** Mounts that DUMP shows, the newest, and directories that EXPORT does: clients do not tell reliably that they have gone. */
const MOUNTS_MAX = 1000;
const EXPORTS_MAX = 1000;
/** What such an answer takes, about. */
const LIST_BYTES = MiB;

/** The program; `groups`: the addresses that are let in, for EXPORT. */
export function mountProgram(nfs: NfsService, groups: readonly string[]): RpcProgram {
  const mounts = new Mounts();
  const procedures: RpcProcedure[] = [
    NULL_PROCEDURE,
    { name: "MNT", run: (args, results, caller) => mount(nfs, mounts, args, results, caller) },
    {
      name: "DUMP",
      run: async (_args, results, caller) => {
        const { needsToken } = nfs.parts.visitors;
        const tail = await inRoom(caller, LIST_BYTES, () => {
          for (const [address, path] of mounts.all) {
            // Without a token nobody is told which datasets there are: others' mounts say it.
            if (needsToken && address !== caller.address) continue;
            results.boolean(true).string(address).string(path);
          }
          results.boolean(false);
        });
        return { status: "OK", tail };
      },
    },
    {
      name: "UMNT",
      run: (args, _results, { address }) => {
        mounts.remove(address, parseExportPath(args.string(PATH_BYTES_MAX) ?? "").shown);
        return { status: "OK" };
      },
    },
    {
      name: "UMNTALL",
      run: (_args, _results, { address }) => {
        mounts.removeAll(address);
        return { status: "OK" };
      },
    },
    {
      name: "EXPORT",
      run: async (_args, results, caller) => {
        const tail = await inRoom(caller, LIST_BYTES, () => exports(nfs, groups, results));
        return { status: "OK", tail };
      },
    },
  ];
  return { ...MOUNT_PROGRAM, procedures };
}

async function mount(
  nfs: NfsService,
  mounts: Mounts,
  args: XdrReader,
  results: XdrWriter,
  { address }: RpcCaller,
): Promise<{ readonly status: string }> {
  const { visitors, warnings, log } = nfs.parts;
  // One that is not UTF-8 leads nowhere.
  const { secret, segments, shown: path } = parseExportPath(args.string(PATH_BYTES_MAX) ?? "/\0");
  try {
    const visitor = await visitors.bySecret(secret);
    let place: Place = { kind: "root" };
    for (const name of segments) place = await nfs.parts.places.lookup(visitor, place, name);
    if (!isDirectory(place)) throw new NfsError("NFS3ERR_NOTDIR");
    results.uint32(0).opaque(nfs.handleOf(place, visitor));
    results.uint32(2).uint32(AUTH_SYS).uint32(AUTH_NONE);
    mounts.add(address, path);
    log.info({ address, path, visitor: visitor.name }, "mounted by NFS");
    return { status: "MNT3_OK" };
  } catch (error) {
    const status = statusOf(error);
    nfs.tell("MNT", error);
    warnings.warn(`mount ${address}`, { address, path, status }, "a mount by NFS was refused");
    results.uint32(mountStatusOf(status));
    return { status: status.replace("NFS3", "MNT3") };
  }
}

/** Where clients may begin: the datasets only where everybody may see them. */
async function exports(nfs: NfsService, groups: readonly string[], results: XdrWriter): Promise<void> {
  const write = (path: string): void => {
    results.boolean(true).string(path);
    for (const group of groups) results.boolean(true).string(group);
    results.boolean(false);
  };
  write("/");
  write("/mount");
  const { visitors, tree } = nfs.parts;
  if (!visitors.needsToken) {
    const { caller } = await visitors.bySecret(undefined);
    let count = 0;
    for await (const name of tree.datasets(caller)) {
      if (++count > EXPORTS_MAX) break;
      write(`/${name}`);
    }
  }
  results.boolean(false);
}

/** Who mounted what, as far as clients said. */
class Mounts {
  readonly #mounts = new Map<string, readonly [string, string]>();

  get all(): Iterable<readonly [string, string]> {
    return this.#mounts.values();
  }

  add(address: string, path: string): void {
    const key = `${address} ${path}`;
    this.#mounts.delete(key);
    this.#mounts.set(key, [address, path]);
    for (const oldest of this.#mounts.keys()) {
      if (this.#mounts.size <= MOUNTS_MAX) return;
      this.#mounts.delete(oldest);
    }
  }

  remove(address: string, path: string): void {
    this.#mounts.delete(`${address} ${path}`);
  }

  removeAll(address: string): void {
    for (const [key, [own]] of this.#mounts) if (own === address) this.#mounts.delete(key);
  }
}
