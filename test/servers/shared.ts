/** S3 servers as tests get them: started when the first test of a file asks, ended after its last. */
import { after } from "node:test";
import { peer, requirePeer, type Peer } from "../peers.ts";
import { MINIO_PEERS, startMinio } from "./minio.ts";
import { RADOSGW_PEERS, startRadosgw } from "./radosgw.ts";
import type { S3Server } from "./s3-server.ts";
import { startSwift, SWIFT_PEERS } from "./swift.ts";

/** A process that is over is gone long before. */
const LINGER_MS = 30_000;

/** Ends a process whose tests are over, should something keep it, and tells what: the runner alone would wait for minutes, and say nothing. */
function endSoon(): void {
  setTimeout(() => {
    const kept = process.getActiveResourcesInfo().join(", ");
    console.error(`${process.argv[1] ?? ""}: ended ${LINGER_MS} ms after its server, kept by: ${kept}`);
    process.exit();
  }, LINGER_MS).unref();
}

/** One server for all tests of this process. */
export class SharedServer {
  readonly #peers: readonly Peer[];
  readonly #start: () => Promise<S3Server>;
  #started: Promise<S3Server> | undefined;

  constructor(peers: readonly Peer[], start: () => Promise<S3Server>) {
    this.#peers = peers;
    this.#start = start;
    after(async () => {
      const server = await this.#started?.catch(() => undefined);
      await server?.stop();
      if (server !== undefined) endSoon();
    });
  }

  /** Whether its programs are there. Without them, have one test call `require`, which says what is missing. */
  get isThere(): boolean {
    return this.#peers.every((name) => peer(name) !== undefined);
  }

  /** For a test that is pointless without the server: as requirePeer, for all its programs. */
  require(test: { skip: (reason: string) => void }): boolean {
    return this.#peers.every((name) => requirePeer(test, name) !== undefined);
  }

  /** The server, which the first call starts. */
  get(): Promise<S3Server> {
    return (this.#started ??= this.#start());
  }
}

/** Ceph's S3 server, which keeps to conditions of writes. */
export const radosgw = new SharedServer(RADOSGW_PEERS, startRadosgw);
/** MinIO, which keeps to them too. */
export const minio = new SharedServer(MINIO_PEERS, startMinio);
/** Swift's, which refuses them. */
export const swift = new SharedServer(SWIFT_PEERS, startSwift);
