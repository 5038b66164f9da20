/** MinIO, one server on one folder. Debian has no package of it: tests run on it where `minio` is on the PATH. */
import { join } from "node:path";
import type { Peer } from "../peers.ts";
import { freePorts, withAttempts } from "./daemons.ts";
import type { S3Server } from "./s3-server.ts";

/** The programs that it takes. */
export const MINIO_PEERS = ["minio"] as const satisfies readonly Peer[];

const CREDENTIALS = { accessKeyId: "AKTESTMINIO", secretAccessKey: "SKTESTMINIO" };

/** Starts one, which takes a second and 150 MB of memory. Stop it, whatever happens. */
export function startMinio(): Promise<S3Server> {
  return withAttempts("minio", async (daemons) => {
    const [port = 0] = await freePorts(1);
    const { accessKeyId, secretAccessKey } = CREDENTIALS;
    const settings = [
      `MINIO_ROOT_USER=${accessKeyId}`,
      `MINIO_ROOT_PASSWORD=${secretAccessKey}`,
      "MINIO_BROWSER=off",
    ];
    const address = `127.0.0.1:${port}`;
    daemons.start(
      "minio",
      "env",
      ...settings,
      "minio",
      "server",
      "--address",
      address,
      join(daemons.folder, "data"),
    );
    const endpoint = `http://${address}`;
    await daemons.answers(`${endpoint}/minio/health/ready`);
    return { endpoint, credentials: CREDENTIALS, stop: () => daemons.stop() };
  });
}
