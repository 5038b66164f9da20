import type { Log } from "../base/log.ts";
import { runProgram } from "../serve/fuse/program.ts";

/**
 * Tells systemd that the service is ready, when it asked for that (sd_notify(3)): by its own program, since Node has no datagrams over
 * Unix sockets. `socket` is the environment's NOTIFY_SOCKET. Never rejects.
 */
export async function tellReady(socket: string | undefined, log: Log): Promise<void> {
  if (socket === undefined) return;
  const environment = { NOTIFY_SOCKET: socket };
  const { code, said } = await runProgram("systemd-notify", ["--ready"], { environment });
  if (code !== 0) log.warn({ said }, "systemd is not told that the mount is there");
}
