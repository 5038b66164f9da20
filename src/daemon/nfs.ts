/** NFS of a hub, as its settings say. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { AddressRange } from "../base/address-range.ts";
import { AetherError } from "../base/errors.ts";
import { openNfs, type NfsPort } from "../serve/nfs/nfs.ts";
import type { CountCall } from "../serve/nfs/rpc-programs.ts";
import type { Services } from "../serve/services.ts";
import { FileTokens } from "./nfs-tokens.ts";

/** How a hub's NFS is reached. */
export interface NfsDoorOptions {
  /** 0: any that is free. */
  readonly port: number;
  /** Where portmap answers; 0: anywhere; undefined: nowhere. */
  readonly portmapPort: number | undefined;
  /** None: this machine's own. */
  readonly allowed: readonly AddressRange[];
  readonly tokensFile: string | undefined;
  readonly handleKeyFile: string | undefined;
}

const LOOPBACK: readonly AddressRange[] = [
  { address: "127.0.0.0", prefixBits: 8, family: "ipv4" },
  { address: "::1", prefixBits: 128, family: "ipv6" },
];
const KEY_BYTES_MIN = 16;

/** Opens it; `count` counts calls. Errors: CONFIG_INVALID. */
export async function openNfsDoor(
  services: Services,
  { port, portmapPort, allowed, tokensFile, handleKeyFile }: NfsDoorOptions,
  { host, isShared }: { readonly host: string | undefined; readonly isShared: boolean },
  count: CountCall,
): Promise<NfsPort> {
  const handleKey = handleKeyFile === undefined ? undefined : await readKey(handleKeyFile);
  const tokens = tokensFile === undefined ? undefined : await FileTokens.open(tokensFile, services.log);
  void tokens?.watch(services.engine.clock, services.stopping);
  const ranges = allowed.length === 0 ? LOOPBACK : allowed;
  const common = { host, isShared, port, portmapPort };
  return openNfs(services, { ...common, allowed: ranges, tokens, handleKey, count });
}

async function readKey(path: string): Promise<Uint8Array> {
  const data = { file: path };
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new AetherError("CONFIG_INVALID", `the key of NFS's handles ${path} cannot be read`, {
      data,
      cause,
    });
  });
  if (bytes.byteLength < KEY_BYTES_MIN)
    throw new AetherError(
      "CONFIG_INVALID",
      `the key of NFS's handles ${path} has less than ${KEY_BYTES_MIN} bytes: make one by \`openssl rand -out FILE 32\``,
      { data },
    );
  return createHash("sha256").update(bytes).digest();
}
