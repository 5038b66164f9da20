/** A port where clients that know no other ask where NFS and MOUNT are. docs/nfs.md */
import { PORTMAP_VERSIONS, portmapPrograms, type MappedPort } from "./portmap-program.ts";
import { openRpcDatagrams } from "./rpc-datagrams.ts";
import { openRpcPort, type RpcPortOptions } from "./rpc-port.ts";
import { RpcPrograms, type CountCall } from "./rpc-programs.ts";

/** Other ports that are tried for both transports when any will do. */
const ATTEMPTS_MAX = 16;
/** What its answers hold is what they are: this is never used up. */
const HELD_BYTES_MAX = 65_536;

/** How it is reached, and what it tells of. */
export type PortmapOptions = Omit<RpcPortOptions, "programs" | "heldBytesMax" | "setting"> & {
  readonly mapped: MappedPort;
  readonly count: CountCall;
};

/** An open one, on TCP and UDP. */
export interface Portmap {
  readonly port: number;
  readonly close: (options: { readonly graceMs: number }) => Promise<void>;
}

/** Opens it. Errors: CONFIG_INVALID when the port cannot be had. */
export async function openPortmap(options: PortmapOptions): Promise<Portmap> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await openBoth(options);
    } catch (error) {
      // Which is free by TCP need not be by UDP.
      if (options.port !== 0 || attempt === ATTEMPTS_MAX) throw error;
    }
  }
}

async function openBoth({ mapped, count, ...options }: PortmapOptions): Promise<Portmap> {
  let ports: readonly MappedPort[] = [mapped];
  const programs = new RpcPrograms(
    portmapPrograms(() => ports),
    count,
    options.log,
  );
  const setting = "nfs_portmap_port";
  const tcp = await openRpcPort({ ...options, setting, programs, heldBytesMax: HELD_BYTES_MAX });
  const { address, port } = tcp;
  const own = { address, port, programs: PORTMAP_VERSIONS };
  ports = [{ ...own, transport: "tcp" }, { ...own, transport: "udp" }, mapped];
  try {
    const udp = await openRpcDatagrams({ ...options, setting, programs, address, port });
    return {
      port,
      close: async ({ graceMs }) => {
        await Promise.all([tcp.close({ graceMs }), udp.close()]);
      },
    };
  } catch (error) {
    await tcp.close({ graceMs: 0 });
    throw error;
  }
}
