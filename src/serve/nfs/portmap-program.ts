/** Portmap and rpcbind: where NFS and MOUNT are, and nothing else. RFC 1833 */
import { isIPv6 } from "node:net";
import { bareAddress } from "./address-list.ts";
import type { RpcCaller, RpcProcedure, RpcProgram } from "./rpc-programs.ts";
import type { XdrReader, XdrWriter } from "./xdr.ts";

/** §3.1: version 2 has numbers of ports. §2.1: versions 3 and 4 have addresses, and what is done here is the same in both. */
const PORTMAP_PROGRAM = 100000;
const [PORTMAP, RPCBIND_3, RPCBIND_4] = [2, 3, 4];
/** Numbers of protocols. §3.1 */
const PROTOCOLS = { tcp: 6, udp: 17 } as const;
/** Bytes of an address, the name of a transport, or an owner in the arguments; longer ones are none. */
const TEXT_BYTES_MAX = 256;
const OWNER = "superuser";

/** A port that answers for programs, by the name of its transport. */
export interface MappedPort {
  readonly transport: keyof typeof PROTOCOLS;
  /** The address that it listens on, which may be that of all. */
  readonly address: string;
  readonly port: number;
  readonly programs: readonly Pick<RpcProgram, "number" | "version">[];
}

/** One line of what is told. */
interface Mapping extends Omit<MappedPort, "programs"> {
  readonly program: number;
  readonly version: number;
  /** The transport and the form of its addresses. §2.1 */
  readonly netId: string;
}

/** The programs that tell where `ports` are, and their own ports, which are known once they listen. */
export function portmapPrograms(ports: () => readonly MappedPort[]): RpcProgram[] {
  const versions = [PORTMAP, RPCBIND_3, RPCBIND_4];
  return versions.map((version) => ({
    number: PORTMAP_PROGRAM,
    version,
    procedures: version === PORTMAP ? portmapProcedures(ports) : rpcbindProcedures(ports),
  }));
}

/** What the portmapper says of itself. */
export const PORTMAP_VERSIONS: MappedPort["programs"] = [PORTMAP, RPCBIND_3, RPCBIND_4].map((version) => ({
  number: PORTMAP_PROGRAM,
  version,
}));

function nothing(): { readonly status: string } {
  return { status: "OK" };
}

/** SET, UNSET and CALLIT are not there: nobody registers here, and no call is passed on. §3.2 */
function portmapProcedures(ports: () => readonly MappedPort[]): (RpcProcedure | undefined)[] {
  const getPort: RpcProcedure = {
    name: "PMAPPROC_GETPORT",
    run: (args, results) => {
      const [program, version, protocol] = [args.uint32(), args.uint32(), args.uint32()];
      args.uint32();
      const found = mappingsOf(ports()).find(
        (one) => one.program === program && one.version === version && PROTOCOLS[one.transport] === protocol,
      );
      results.uint32(found?.port ?? 0);
      return { status: "OK" };
    },
  };
  const dump: RpcProcedure = {
    name: "PMAPPROC_DUMP",
    run: (_args, results) => {
      for (const { program, version, transport, netId, port } of mappingsOf(ports())) {
        // Here the form of addresses has no name.
        if (netId !== transport) continue;
        results.boolean(true).uint32(program).uint32(version).uint32(PROTOCOLS[transport]).uint32(port);
      }
      results.boolean(false);
      return { status: "OK" };
    },
  };
  return [{ name: "PMAPPROC_NULL", run: nothing }, undefined, undefined, getPort, dump];
}

/** As portmapProcedures(); nor is there what turns addresses into others, or counts. §2.2.1 */
function rpcbindProcedures(ports: () => readonly MappedPort[]): (RpcProcedure | undefined)[] {
  const dump: RpcProcedure = {
    name: "RPCBPROC_DUMP",
    run: (_args, results) => {
      for (const { program, version, netId, address, port } of mappingsOf(ports())) {
        results.boolean(true).uint32(program).uint32(version).string(netId);
        results.string(universalAddress(address, port)).string(OWNER);
      }
      results.boolean(false);
      return { status: "OK" };
    },
  };
  const getAddress: RpcProcedure = {
    name: "RPCBPROC_GETADDR",
    run: (args, results, caller) => getAddressOf(mappingsOf(ports()), args, results, caller),
  };
  return [{ name: "RPCBPROC_NULL", run: nothing }, undefined, undefined, getAddress, dump];
}

/**
 * The RFC has the transport of the question count, and not the one that it names. Clients name the one that they mean and some ask by
 * UDP for TCP, so here the name counts where there is one.
 */
function getAddressOf(
  mappings: readonly Mapping[],
  args: XdrReader,
  results: XdrWriter,
  { ownAddress, transport }: RpcCaller,
): { readonly status: string } {
  const [program, version] = [args.uint32(), args.uint32()];
  const named = args.string(TEXT_BYTES_MAX) ?? "";
  args.opaque(TEXT_BYTES_MAX);
  args.opaque(TEXT_BYTES_MAX);
  const own = bareAddress(ownAddress);
  const netId = named === "" ? `${transport}${isIPv6(own) ? "6" : ""}` : named;
  const found = mappings.find(
    (one) => one.program === program && one.version === version && one.netId === netId,
  );
  // Where it listens on all addresses, the one that the caller has reached is one of them.
  const isReached = own !== "" && isIPv6(own) === netId.endsWith("6");
  const address = found && isUnspecified(found.address) && isReached ? own : found?.address;
  results.string(found === undefined || address === undefined ? "" : universalAddress(address, found.port));
  return { status: "OK" };
}

function mappingsOf(ports: readonly MappedPort[]): Mapping[] {
  return ports.flatMap(({ transport, address, port, programs }) => {
    const six = { netId: `${transport}6`, address };
    // "::" takes connections of both.
    const netIds =
      address === "::"
        ? [{ netId: transport, address: "0.0.0.0" }, six]
        : [isIPv6(address) ? six : { netId: transport, address }];
    return netIds.flatMap((one) =>
      programs.map(({ number, version }) => ({ transport, port, ...one, program: number, version })),
    );
  });
}

function isUnspecified(address: string): boolean {
  return address === "::" || address === "0.0.0.0";
}

/** An address with the two bytes of its port as decimals. RFC 5665 §5.2.3 */
function universalAddress(address: string, port: number): string {
  return `${address}.${port >> 8}.${port & 0xff}`;
}
