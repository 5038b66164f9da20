/** Programs of others that tests and benches measure AetherFS against, and what a test does when one is missing. */
import assert from "node:assert/strict";
import { accessSync, constants, existsSync, statSync } from "node:fs";
import { delimiter, join } from "node:path";

/** Program → the Debian package that has it. `.ci/run` installs them all. */
export const PEERS = {
  restic: "restic",
  borg: "borgbackup",
  casync: "casync",
  rsync: "rsync",
  zstd: "zstd",
  protoc: "protobuf-compiler",
  curl: "curl",
  openssl: "openssl",
  nginx: "nginx",
  caddy: "caddy",
  rclone: "rclone",
  h2load: "nghttp2-client",
  wrk: "wrk",
  chromium: "chromium",
  tar: "tar",
  zip: "zip",
  unzip: "unzip",
  zsh: "zsh",
  fish: "fish",
  bsdtar: "libarchive-tools",
  python3: "python3",
  "python3-grpc": "python3-grpcio",
  "protobuf-include": "libprotobuf-dev",
  "ceph-mon": "ceph-mon",
  "ceph-osd": "ceph-osd",
  radosgw: "radosgw",
  ceph: "ceph-common",
  "swift-proxy-server": "swift-proxy",
  "swift-account-server": "swift-account",
  "swift-container-server": "swift-container",
  "swift-object-server": "swift-object",
  memcached: "memcached",
  "aws-cli": "awscli",
  "python3-boto3": "python3-boto3",
  "nfs-ls": "libnfs-utils",
  "nfs-cat": "libnfs-utils",
  "nfs-cp": "libnfs-utils",
  rpcinfo: "rpcbind",
  ip: "iproute2",
  s3cmd: "s3cmd",
  s3fs: "s3fs",
  cadaver: "cadaver",
  xmllint: "libxml2-utils",
  fusermount3: "fuse3",
  "systemd-notify": "systemd",
  apache2: "apache2-bin",
} as const;

/** Programs that Debian does not have → how to come by them. Tests run with them where they are, and otherwise say that they did not. */
export const EXTRA_PEERS = { minio: "go install github.com/minio/minio@latest" } as const;

/** Of a peer that is no program: a file that it brings, and the program that makes use of it. */
const MODULES: Partial<Record<string, { readonly file: string; readonly program: string }>> = {
  "python3-grpc": { file: "/usr/lib/python3/dist-packages/grpc/__init__.py", program: "/usr/bin/python3" },
  // Found where Debian puts it: others of that name may stand before it on the PATH.
  "aws-cli": { file: "/usr/bin/aws", program: "/usr/bin/python3" },
  "python3-boto3": { file: "/usr/lib/python3/dist-packages/boto3/__init__.py", program: "/usr/bin/python3" },
  "protobuf-include": { file: "/usr/include/google/protobuf/descriptor.proto", program: "/usr/bin/protoc" },
};

/** A program of Debian's. */
export type DebianPeer = keyof typeof PEERS;

/** A program of the tables. */
export type Peer = DebianPeer | keyof typeof EXTRA_PEERS;

/** What marks a missing peer in the reason of a skip: the runner's summary counts these. */
export const PEER_MISSING = "peer missing: ";

type Environment = Readonly<Record<string, string | undefined>>;

/** The absolute path of a peer's program on the PATH of `environment`, or undefined. */
export function peer(name: Peer, environment: Environment = process.env): string | undefined {
  const module = MODULES[name];
  if (module !== undefined) {
    return existsSync(module.file) && isProgram(module.program) ? module.program : undefined;
  }
  const folders = (environment["PATH"] ?? "").split(delimiter).filter((folder) => folder.startsWith("/"));
  return folders.map((folder) => join(folder, name)).find(isProgram);
}

/**
 * As peer, for a test that is pointless without it: when the program is missing the test is skipped with the reason,
 * and must return; with AETHERFS_TEST_PEERS=required it fails instead, if Debian has it.
 */
export function requirePeer(
  test: { skip: (reason: string) => void },
  name: Peer,
  environment: Environment = process.env,
): string | undefined {
  const path = peer(name, environment);
  if (path !== undefined) return path;
  if (name in EXTRA_PEERS) {
    test.skip(`${PEER_MISSING}${name} (${EXTRA_PEERS[name as keyof typeof EXTRA_PEERS]})`);
    return undefined;
  }
  const reason = `${PEER_MISSING}${name} (Debian package ${PEERS[name as DebianPeer]})`;
  if (environment["AETHERFS_TEST_PEERS"] === "required") assert.fail(reason);
  test.skip(reason);
  return undefined;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
