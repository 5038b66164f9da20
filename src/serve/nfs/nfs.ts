/** NFS version 3 and MOUNT on one port. docs/nfs.md */
import { hash } from "node:crypto";
import type { MountTokens } from "../../auth/mount-tokens.ts";
import type { AddressRange } from "../../base/address-range.ts";
import { MiB } from "../../base/limits.ts";
import type { Services } from "../services.ts";
import { AddressList } from "./address-list.ts";
import { openHandleKey } from "./handle-key.ts";
import { Handles } from "./handles.ts";
import { mountProgram } from "./mount-program.ts";
import { nfsProgram } from "./nfs-program.ts";
import { NfsService } from "./nfs-service.ts";
import { NfsTree } from "./nfs-tree.ts";
import { openPortmap } from "./portmap.ts";
import { RareWarnings } from "./rare-warnings.ts";
import { openRpcPort, type RpcPort } from "./rpc-port.ts";
import { RpcPrograms, type CountCall } from "./rpc-programs.ts";
import { Visitors } from "./visitors.ts";

/** The share of the engine's memory that answers under way may hold. */
const HELD_SHARE = 1 / 4;
const HELD_BYTES_MIN = 16 * MiB;

/** How NFS is reached, and by whom. */
export interface NfsOptions {
  /** undefined: all addresses of the machine. */
  readonly host: string | undefined;
  /** 0: any that is free. */
  readonly port: number;
  /** Other processes may listen on it too. */
  readonly isShared: boolean;
  /** Where portmap answers, by TCP and UDP; 0: anywhere; undefined: nowhere. */
  readonly portmapPort?: number | undefined;
  readonly allowed: readonly AddressRange[];
  /** undefined: who is let in needs none. */
  readonly tokens: MountTokens | undefined;
  /** What handles are authenticated with; undefined: the store's secret. */
  readonly handleKey: Uint8Array | undefined;
  readonly count: CountCall;
}

/** NFS's port, and portmap's where it was wanted. */
export interface NfsPort extends RpcPort {
  readonly portmapPort: number | undefined;
}

/** Opens the ports. Errors: CONFIG_INVALID; those of openHandleKey. */
export async function openNfs(
  services: Pick<Services, "engine" | "tree" | "access" | "log" | "stopping">,
  options: NfsOptions,
): Promise<NfsPort> {
  const { engine, tree, access, log, stopping: signal } = services;
  const { host, port, isShared, portmapPort, tokens, count } = options;
  const { clock, memoryBytes, store, random } = engine;
  const { datasets } = store;
  const handleKey = options.handleKey ?? (await openHandleKey({ datasets, random, log, signal }));
  const { id } = datasets.store;
  const warnings = new RareWarnings(clock, log);
  const nfs = new NfsService({
    tree,
    places: new NfsTree({ tree, clock, memoryBytes }),
    handles: new Handles(handleKey),
    visitors: new Visitors(access, tokens),
    fsid: hash("sha256", `aetherfs nfs fsid ${id}`, "buffer").readBigUInt64BE(0),
    clock,
    memoryBytes,
    warnings,
    log,
  });
  const groups = options.allowed.map(groupOf);
  const programs = [nfsProgram(nfs), mountProgram(nfs, groups)];
  const heldBytesMax = Math.max(memoryBytes * HELD_SHARE, HELD_BYTES_MIN);
  const common = { host, isShared, allowed: new AddressList(options.allowed), warnings, clock, log };
  const own = await openRpcPort({
    ...common,
    port,
    setting: "nfs_port",
    programs: new RpcPrograms(programs, count, log),
    heldBytesMax,
  });
  if (portmapPort === undefined) return { ...own, portmapPort };
  const mapped = { transport: "tcp", address: own.address, port: own.port, programs } as const;
  const portmap = await openPortmap({ ...common, port: portmapPort, mapped, count }).catch(
    async (error: unknown) => {
      await own.close({ graceMs: 0 });
      throw error;
    },
  );
  return {
    ...own,
    portmapPort: portmap.port,
    close: async (closing) => {
      await Promise.all([portmap.close(closing), own.close(closing)]);
    },
  };
}

/** A range as clients show it. */
function groupOf({ address, prefixBits, zone }: AddressRange): string {
  return `${address}${zone === undefined ? "" : `%${zone}`}/${prefixBits}`;
}
