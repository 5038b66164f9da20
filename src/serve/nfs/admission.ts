/** Which addresses are let in, and what the log says of those that are not. */
import type { AddressList } from "./address-list.ts";
import type { RareWarnings } from "./rare-warnings.ts";

/** Says of an address whether it is let in. */
export class Admission {
  readonly #allowed: AddressList;
  readonly #warnings: RareWarnings;

  constructor(allowed: AddressList, warnings: RareWarnings) {
    this.#allowed = allowed;
    this.#warnings = warnings;
  }

  /** `address` as a socket has it. */
  admits(address: string): boolean {
    const isAllowed = this.#allowed.has(address);
    if (!isAllowed)
      this.#warnings.warn(
        `address ${address}`,
        { address },
        "a client of NFS is refused: --nfs_allow does not name its address",
      );
    return isAllowed;
  }
}
