/** How servers of TCP come to listen, and what is said when they cannot. */
import type { AddressInfo, Server } from "node:net";
import { must } from "../base/assert.ts";
import { AetherError, errnoOf } from "../base/errors.ts";

/** Where to listen. */
export interface ListenPlace {
  /** undefined: all addresses of the machine. */
  readonly host: string | undefined;
  /** 0: any that is free. */
  readonly port: number;
  /** The flag that names the port, without its dashes, for who has to name another one. */
  readonly setting?: string;
  /** Whether other processes of the same user may listen there too: the system gives each connection to one of them (SO_REUSEPORT). */
  readonly isShared?: boolean | undefined;
}

/** Has the server listen; the address that it has then. Errors: CONFIG_INVALID when the port cannot be had. */
export async function listen(server: Server, place: ListenPlace): Promise<AddressInfo> {
  const { host, port, isShared = false } = place;
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host, port, reusePort: isShared }, () => {
        server.off("error", reject);
        resolve();
      });
    });
  } catch (cause) {
    throw cannotListen(place, cause);
  }
  const address = must(server.address(), "it listens");
  if (typeof address === "string") throw new Error("assertion failed: it listens on a TCP port");
  return address;
}

/** Why a port cannot be had. CONFIG_INVALID */
export function cannotListen({ host, port, setting }: ListenPlace, cause: unknown): AetherError {
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: "something listens there already: choose another port",
    ENOTSUP: "ports cannot be shared on this system: leave --port_shared out",
    EACCES: "that is not allowed: choose a port above 1023",
    EADDRNOTAVAIL: "this machine does not have that address: see --bind",
    ENOTFOUND: "that is no address of this machine: see --bind",
  };
  const why = reasons[errnoOf(cause) ?? ""] ?? String(cause);
  const flag = setting === undefined ? "" : ` (--${setting})`;
  const where = host === undefined ? String(port) : `${host}:${port}`;
  return new AetherError("CONFIG_INVALID", `cannot listen on ${where}${flag}: ${why}`, {
    data: { port },
    cause,
  });
}
