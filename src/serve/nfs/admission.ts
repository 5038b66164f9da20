/** Which addresses are let in; of those that are not, the log tells once. */
import type { BlockList } from "node:net";
import type { Log } from "../../base/log.ts";

/** Addresses that are refused and were told of in the log: each once while it is among the latest. */
const REFUSED_MAX = 1000;

/** Says of an address whether it is let in. */
export class Admission {
  readonly #allowed: BlockList;
  readonly #log: Log;
  readonly #refused = new Set<string>();

  constructor(allowed: BlockList, log: Log) {
    this.#allowed = allowed;
    this.#log = log;
  }

  /** `address` as a socket has it; one of IPv4 may look like one of IPv6. */
  admits(address: string, isIPv6: boolean): boolean {
    const isAllowed = this.#allowed.check(address, isIPv6 ? "ipv6" : "ipv4");
    if (!isAllowed) this.#tellOnce(address);
    return isAllowed;
  }

  #tellOnce(address: string): void {
    if (this.#refused.has(address)) return;
    this.#refused.add(address);
    for (const oldest of this.#refused) {
      if (this.#refused.size <= REFUSED_MAX) break;
      this.#refused.delete(oldest);
    }
    this.#log.warn({ address }, "a client of NFS is refused: --nfs_allow does not name its address");
  }
}
