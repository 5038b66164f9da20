/** The settings of NFS. docs/nfs.md */
import { isIP } from "node:net";
import type { AddressRange } from "../base/address-range.ts";
import { flag, list, optional, same, single } from "./setting.ts";
import { parseCount } from "./values.ts";

const PORT_MAX = 65_535;
const NFS_PORT = 2049;
const commands = ["run"];

/** `10.0.0.0/8`, `fd00::/8`, or one address; of link-local ones also `fe80::%eth0/64`. */
function parseAddressRange(text: string): AddressRange {
  const [zoned = "", bits, ...rest] = text.split("/");
  const [address = "", zone] = zoned.split("%");
  const version = isIP(zoned);
  if (version === 0 || rest.length > 0) throw new Error("it is no range of addresses, such as 10.0.0.0/8");
  const bitsMax = version === 6 ? 128 : 32;
  const prefixBits = bits === undefined ? bitsMax : parseCount(bits, 0, bitsMax);
  return { address, prefixBits, family: version === 6 ? "ipv6" : "ipv4", zone };
}

/** What `aetherfs run` takes for NFS. */
export const NFS_SETTINGS = {
  nfsEnable: flag({ flag: "nfs_enable", commands, help: "serve NFS version 3, read-only" }),
  nfsPort: single(
    {
      flag: "nfs_port",
      placeholder: "N",
      commands,
      fallback: String(NFS_PORT),
      help: "the port of NFS and MOUNT; 0: any that is free",
    },
    (text) => parseCount(text, 0, PORT_MAX),
    () => NFS_PORT,
  ),
  nfsPortmapPort: optional(
    {
      flag: "nfs_portmap_port",
      placeholder: "N",
      commands,
      help: "the port where a portmap of the hub's own tells where NFS and MOUNT are, by TCP and UDP: 111 for clients that ask there; 0: any that is free; when not given, nowhere",
    },
    (text) => parseCount(text, 0, PORT_MAX),
  ),
  nfsAllow: list(
    {
      flag: "nfs_allow",
      placeholder: "RANGE",
      commands,
      help: "addresses that NFS is for, such as 10.0.0.0/8; when not given, those of this machine alone (127.0.0.0/8, ::1)",
    },
    parseAddressRange,
  ),
  nfsTokensFile: optional(
    {
      flag: "nfs_tokens_file",
      placeholder: "FILE",
      commands,
      help: "tokens of which one must begin the path that is mounted, as /~SECRET/name/tag",
    },
    same,
  ),
  nfsHandleKeyFile: optional(
    {
      flag: "nfs_handle_key_file",
      placeholder: "FILE",
      commands,
      help: "a secret that authenticates NFS's file handles, the same for all hubs of a store; when not given, one that the store keeps",
    },
    same,
  ),
} as const;
