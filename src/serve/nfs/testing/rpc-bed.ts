import type { TestContext } from "node:test";
import { systemClock, type Clock } from "../../../base/clock.ts";
import { MiB } from "../../../base/limits.ts";
import { SILENT_LOG } from "../../../base/log.ts";
import { AddressList } from "../address-list.ts";
import { RareWarnings } from "../rare-warnings.ts";
import { openRpcPort, type RpcPort } from "../rpc-port.ts";
import { RpcPrograms, type RpcProcedure } from "../rpc-programs.ts";
import { RpcClient } from "./rpc-client.ts";

/** The program that a bed's port has. */
export const PROGRAM = 77;
/** Its version. */
export const VERSION = 3;

/** For tests: answers so many bytes, which take room. */
export const bytesProcedure: RpcProcedure = {
  name: "BYTES",
  run: async (args, results, caller) => {
    const count = args.uint32();
    const leave = await caller.room(count);
    results.uint32(count);
    return { status: "OK", tail: { parts: [Buffer.alloc(count, 1)], release: leave } };
  },
};

/** For tests: a port, and clients of it. */
export interface RpcBed {
  readonly port: RpcPort;
  readonly connect: () => Promise<RpcClient>;
}

/** Opens a port with these procedures, by their numbers; it and its clients are closed after the test. */
export async function openRpcBed(
  t: TestContext,
  procedures: readonly (RpcProcedure | undefined)[],
  {
    allowedAddress = "127.0.0.1",
    clock = systemClock,
  }: { readonly allowedAddress?: string; readonly clock?: Clock } = {},
): Promise<RpcBed> {
  const allowed = new AddressList([{ address: allowedAddress, prefixBits: 32, family: "ipv4" }]);
  const program = { number: PROGRAM, version: VERSION, procedures };
  const port = await openRpcPort({
    host: "127.0.0.1",
    port: 0,
    programs: new RpcPrograms([program], () => () => undefined, SILENT_LOG),
    allowed,
    warnings: new RareWarnings(clock, SILENT_LOG),
    heldBytesMax: 16 * MiB,
    clock,
    log: SILENT_LOG,
  });
  t.after(() => port.close({ graceMs: 0 }));
  const connect = async (): Promise<RpcClient> => {
    const client = await RpcClient.open(port.port);
    t.after(() => {
      client.close();
    });
    return client;
  };
  return { port, connect };
}
