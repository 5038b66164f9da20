/** What `aetherfs run` makes of its settings. */
import { pathToFileURL } from "node:url";
import { AetherError } from "../base/errors.ts";
import type { Config } from "../config/schema.ts";

/** Settings that the first AetherFS has and this one does not fulfil yet, with the value that asks for nothing. */
const UNSUPPORTED = [
  ["agentEnable", "agent_enable", false],
  ["agentShutdownEnable", "agent_shutdown_enable", false],
  ["webEnable", "web_enable", false],
  ["authType", "auth_type", "none"],
] as const;

/** Refuses what is asked for and not there: a hub without it would be another. Errors: FEATURE_UNSUPPORTED. */
export function refuseUnsupported(config: Config): void {
  for (const [name, flag, off] of UNSUPPORTED) {
    if (config[name] === off) continue;
    throw new AetherError("FEATURE_UNSUPPORTED", `--${flag} is not supported yet: leave it out`);
  }
}

/** The address of the store that a hub serves: --store, else what the storage settings say. Errors: CONFIG_INVALID. */
export function storeAddressOf(config: Config): string {
  if (config.store !== undefined) return config.store;
  if (config.storageDriver === "memory") return "memory:";
  if (config.storageDriver === "s3") return s3AddressOf(config);
  if (config.storageFilePath === undefined) {
    throw new AetherError("CONFIG_INVALID", "there is no HOME to keep data in: give --storage_file_path DIR");
  }
  return pathToFileURL(config.storageFilePath).href;
}

function s3AddressOf({ s3Bucket: bucket, s3Prefix: prefix = "" }: Config): string {
  if (bucket === undefined) {
    throw new AetherError("CONFIG_INVALID", "--storage_driver s3 wants --storage_s3_bucket BUCKET");
  }
  const path = prefix.replace(/^\/+|\/+$/g, "");
  return `s3://${bucket}${path === "" ? "" : `/${path}`}`;
}
