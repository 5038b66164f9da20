/** Checking and mending a store that a client would work on. */
import { openEngine, type LocalOptions } from "../daemon/local.ts";
import type { VerifyStoreOptions, VerifyStoreResult } from "../dataset/scrub/contract.ts";
import type { HealResult } from "../dataset/scrub/heal.ts";
import type { Client } from "./client.ts";

/** What a check found, and what became of it when there was something to heal from. */
export interface CheckedStore {
  readonly found: VerifyStoreResult;
  readonly healed: HealResult | undefined;
}

/**
 * Checks the store at an address; from `healFrom`, a client of another store or a hub, stores anew what is damaged. Errors: those of
 * openStore and of both stores; what is wrong with the content is in the result.
 */
export async function checkStore(
  local: LocalOptions,
  options: VerifyStoreOptions,
  healFrom?: Client,
): Promise<CheckedStore> {
  const { verifyStore } = await import("../dataset/scrub/verify-store.ts");
  const { engine, close } = await openEngine(local);
  try {
    const found = await verifyStore(engine, options);
    if (healFrom === undefined || found.faultCount + found.lostCount === 0)
      return { found, healed: undefined };
    const { healStore } = await import("../dataset/scrub/heal.ts");
    const call = options.signal === undefined ? {} : { signal: options.signal };
    const healed = await healStore(engine, found, (name) => healFrom.copyEngine(name), call);
    return { found, healed };
  } finally {
    await close();
  }
}
