/** A RADOS gateway, which is Ceph's S3 server, on a cluster of one monitor and one store in memory. Needs no root. */
import { randomUUID } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Peer } from "../peers.ts";
import { freePorts, withAttempts, type Daemons } from "./daemons.ts";
import type { S3Server } from "./s3-server.ts";

/** The programs that it takes. */
export const RADOSGW_PEERS = ["ceph-mon", "ceph-osd", "radosgw", "ceph"] as const satisfies readonly Peer[];

const CREDENTIALS = { accessKeyId: "AKTEST", secretAccessKey: "SKTEST" };
/** Each of them may do anything. */
const CLIENTS = ["client.admin", "client.rgw.a", "osd.0"];
const MEMORY_BYTES = 4 * 2 ** 30;

/** Starts one, which takes some seconds and 140 MB of memory. Stop it, whatever happens. */
export function startRadosgw(): Promise<S3Server> {
  return withAttempts("radosgw", async (daemons) => {
    const [port = 0, monitorPort = 0] = await freePorts(2);
    await startCluster(daemons, port, monitorPort);
    const { accessKeyId, secretAccessKey } = CREDENTIALS;
    const keys = ["--access-key", accessKeyId, "--secret", secretAccessKey];
    const user = ["--uid", "test", "--display-name", "Test", "--max-buckets", "0"];
    await daemons.run("radosgw-admin", ...ofConfig(daemons), "user", "create", ...user, ...keys);
    daemons.start("radosgw", "radosgw", ...ofConfig(daemons), "-n", "client.rgw.a", "-f");
    const endpoint = `http://127.0.0.1:${port}`;
    await daemons.answers(endpoint);
    return { endpoint, region: "us-east-1", credentials: CREDENTIALS, stop: () => daemons.stop() };
  });
}

async function startCluster(daemons: Daemons, port: number, monitorPort: number): Promise<void> {
  const { folder } = daemons;
  const [cluster, disk] = [randomUUID(), randomUUID()];
  const address = `[v2:127.0.0.1:${monitorPort}]`;
  mkdirSync(join(folder, "osd"));
  writeFileSync(join(folder, "ceph.conf"), configOf(folder, cluster, address, port));
  await makeKeys(daemons);
  const map = ["--create", "--fsid", cluster, "--addv", "a", address, join(folder, "monmap")];
  await daemons.run("monmaptool", ...map);
  const config = ofConfig(daemons);
  const monitor = ["ceph-mon", ...config, "-i", "a"];
  await daemons.run(
    ...monitor,
    "--mkfs",
    "--monmap",
    join(folder, "monmap"),
    "--keyring",
    join(folder, "keyring"),
  );
  daemons.start("ceph-mon", ...monitor, "-f");
  const store = ["ceph-osd", ...config, "-i", "0"];
  await Promise.all([
    daemons.run(...store, "--mkfs", "--osd-uuid", disk),
    daemons.run("ceph", ...config, "osd", "new", disk),
  ]);
  daemons.start("ceph-osd", ...store, "-f");
}

async function makeKeys(daemons: Daemons): Promise<void> {
  const keyring = join(daemons.folder, "keyring");
  await daemons.run("ceph-authtool", "-C", keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *");
  for (const name of CLIENTS) {
    const allowed = ["--cap", "mon", "allow *", "--cap", "osd", "allow *"];
    await daemons.run("ceph-authtool", keyring, "--gen-key", "-n", name, ...allowed);
  }
}

function ofConfig(daemons: Daemons): string[] {
  return ["-c", join(daemons.folder, "ceph.conf")];
}

/** Without copies, warnings, logs and sockets; without `tcp_nodelay` small answers take 40 ms. */
function configOf(folder: string, cluster: string, monitor: string, port: number): string {
  return `[global]
fsid = ${cluster}
mon_initial_members = a
mon_host = ${monitor}
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
keyring = ${folder}/keyring
auth_allow_insecure_global_id_reclaim = true
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
paxos_propose_interval = 0.05
run_dir = ${folder}
admin_socket =
log_file =
[mon]
mon_data = ${folder}/mon
mon_data_avail_warn = 1
mon_data_avail_crit = 1
[osd]
osd_data = ${folder}/osd
osd_objectstore = memstore
memstore_device_bytes = ${MEMORY_BYTES}
[client.rgw.a]
rgw_frontends = beast endpoint=127.0.0.1:${port} tcp_nodelay=1
rgw_thread_pool_size = 32
rgw_enable_usage_log = false
`;
}
