/** OpenStack Swift with its S3 interface, which knows no conditional writes: one copy, on one folder. Needs no root. */
import { mkdirSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import type { Peer } from "../peers.ts";
import { freePorts, withAttempts, type Daemons } from "./daemons.ts";
import type { S3Server } from "./s3-server.ts";

/** The programs that it takes. */
export const SWIFT_PEERS = [
  "swift-proxy-server",
  "swift-account-server",
  "swift-container-server",
  "swift-object-server",
  "memcached",
] as const satisfies readonly Peer[];

const KINDS = ["account", "container", "object"] as const;
type Ports = Readonly<Record<(typeof KINDS)[number] | "proxy" | "cache", number>>;

/** Swift's own tool makes one ring a process, and Python takes long to start. */
const MAKE_RINGS = `
import sys
from swift.common.ring import RingBuilder
for kind, port in zip(sys.argv[2::2], sys.argv[3::2]):
    builder = RingBuilder(6, 1, 1)
    builder.add_dev(dict(region=1, zone=1, ip="127.0.0.1", port=int(port), device="d1", weight=1, meta=""))
    builder.rebalance()
    builder.get_ring().save(sys.argv[1] + "/" + kind + ".ring.gz")
`;

/** Starts one, which takes some seconds and 260 MB of memory. Stop it, whatever happens. */
export function startSwift(): Promise<S3Server> {
  return withAttempts("swift", async (daemons) => {
    const [account = 0, container = 0, object = 0, proxy = 0, cache = 0] = await freePorts(5);
    const ports = { account, container, object, proxy, cache };
    writeConfigs(daemons.folder, ports);
    const rings = KINDS.flatMap((kind) => [kind, String(ports[kind])]);
    await daemons.run("/usr/bin/python3", "-c", MAKE_RINGS, daemons.folder, ...rings);
    const memcached = ["memcached", "-u", userInfo().username, "-l", "127.0.0.1", "-m", "64"];
    daemons.start("memcached", ...memcached, "-p", String(cache));
    for (const kind of [...KINDS, "proxy"]) startOne(daemons, kind);
    const endpoint = `http://127.0.0.1:${proxy}`;
    await daemons.answers(`${endpoint}/healthcheck`);
    for (const kind of KINDS) await daemons.answers(`http://127.0.0.1:${ports[kind]}/healthcheck`);
    const credentials = { accessKeyId: "test:tester", secretAccessKey: "testing" };
    return { endpoint, region: "us-east-1", credentials, stop: () => daemons.stop() };
  });
}

function startOne(daemons: Daemons, kind: string): void {
  daemons.start(kind, `swift-${kind}-server`, join(daemons.folder, `${kind}-server.conf`));
}

function writeConfigs(folder: string, ports: Ports): void {
  mkdirSync(join(folder, "devices/d1"), { recursive: true });
  const hash = "[swift-hash]\nswift_hash_path_suffix = test\nswift_hash_path_prefix = test\n";
  writeFileSync(join(folder, "swift.conf"), `${hash}[storage-policy:0]\nname = one\ndefault = yes\n`);
  for (const kind of KINDS) {
    const app = `[app:${kind}-server]\nuse = egg:swift#${kind}\n[filter:healthcheck]\nuse = egg:swift#healthcheck\n`;
    const pipeline = `[pipeline:main]\npipeline = healthcheck ${kind}-server\n`;
    writeFileSync(join(folder, `${kind}-server.conf`), `${common(folder, ports[kind])}${pipeline}${app}`);
  }
  writeFileSync(
    join(folder, "proxy-server.conf"),
    `${common(folder, ports.proxy)}${proxyConfig(ports.cache)}`,
  );
}

/** No workers: each server is one process, without children. */
function common(folder: string, port: number): string {
  return `[DEFAULT]
bind_ip = 127.0.0.1
bind_port = ${port}
workers = 0
swift_dir = ${folder}
devices = ${folder}/devices
mount_check = false
user = ${userInfo().username}
log_level = WARNING
`;
}

function proxyConfig(cachePort: number): string {
  const filters = [
    "catch_errors",
    "gatekeeper",
    "healthcheck",
    "listing_formats",
    "bulk",
    "copy",
    "slo",
    "dlo",
  ];
  const plain = filters.map((name) => `[filter:${name}]\nuse = egg:swift#${name}\n`).join("");
  return `[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats bulk s3api tempauth copy slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
s3_acl = false
auth_pipeline_check = false
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:${cachePort}
${plain}`;
}
