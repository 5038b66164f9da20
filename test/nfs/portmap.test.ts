/** Portmap of a hub at port 111, in a network of its own, met by rpcinfo, and by libnfs that is told no ports. Needs root. */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { it, type TestContext } from "node:test";
import { promisify } from "node:util";
import { temporaryFolder } from "../../src/dataset/testing/folder.ts";
import { startHubProcess } from "../hub/hub-process.ts";
import { requirePeer } from "../peers.ts";
import { LAUNCHER, environmentIn } from "../program.ts";

const run = promisify(execFile);
const PORTMAP_PORT = "111";

/** The words before a command that run it in a network where nothing else is. */
async function openNetwork(t: TestContext, ip: string): Promise<string[]> {
  const holder = spawn("unshare", ["--net", "sh", "-c", `${ip} link set lo up && echo up && exec sleep 600`]);
  t.after(() => holder.kill("SIGKILL"));
  await new Promise((resolve, reject) => {
    holder.stdout.once("data", resolve);
    holder.once("exit", (code) => {
      reject(new Error(`no network namespace: ${code}`));
    });
  });
  return ["nsenter", `--net=/proc/${holder.pid}/ns/net`];
}

it("rpcinfo and libnfs, find NFS and MOUNT by portmap", async (t) => {
  const [rpcinfo, ls, ip] = [requirePeer(t, "rpcinfo"), requirePeer(t, "nfs-ls"), requirePeer(t, "ip")];
  if (rpcinfo === undefined || ls === undefined || ip === undefined) return;
  if (process.getuid?.() !== 0) {
    t.skip("a network namespace needs root");
    return;
  }
  const within = await openNetwork(t, ip);
  const temporary = temporaryFolder();
  t.after(() => {
    temporary.remove();
  });
  const ask = async (...words: readonly string[]): Promise<string> => {
    const [program = "", ...args] = [...within, ...words];
    const env = environmentIn(temporary.path);
    return (await run(program, args, { timeout: 60_000, env })).stdout;
  };
  const hub = await startHubProcess({
    home: temporary.path,
    within,
    words: ["--nfs_enable", "--nfs_port", "0", "--nfs_portmap_port", PORTMAP_PORT],
  });
  t.after(async () => {
    hub.kill("SIGKILL");
    await hub.ended;
  });
  const nfsPort = String(hub.log.find(({ msg }) => msg === "ready")?.["nfsPort"]);
  const linesOf = (text: string): string[] =>
    text.split("\n").map((line) => line.trim().replace(/\s+/g, " "));
  const shown = linesOf(await ask(rpcinfo, "-p", "127.0.0.1"));
  for (const line of [`100003 3 tcp ${nfsPort} nfs`, `100005 3 tcp ${nfsPort} mountd`])
    assert.ok(shown.includes(line), shown.join("\n"));
  assert.ok(shown.includes(`100000 4 udp ${PORTMAP_PORT} portmapper`));
  const all = linesOf(await ask(rpcinfo, "127.0.0.1"));
  const universal = `127.0.0.1.${Number(nfsPort) >> 8}.${Number(nfsPort) & 255}`;
  assert.ok(all.includes(`100003 3 tcp ${universal} nfs superuser`), all.join("\n"));
  // What was told is true: these call the program where it is said to be.
  assert.match(await ask(rpcinfo, "-t", "127.0.0.1", "100003", "3"), /version 3 ready and waiting/);
  assert.match(await ask(rpcinfo, "-T", "tcp", "127.0.0.1", "mountd", "3"), /version 3 ready and waiting/);
  assert.match(await ask(rpcinfo, "-u", "127.0.0.1", "portmapper", "2"), /version 2 ready and waiting/);
  await assert.rejects(ask(rpcinfo, "-u", "127.0.0.1", "100003", "3"));

  const source = join(temporary.path, "source");
  mkdirSync(source);
  writeFileSync(join(source, "file"), "small");
  await ask(LAUNCHER, "push", "-t", `${hub.host}/set:latest`, source);
  assert.match(await ask(ls, "nfs://127.0.0.1/set/latest"), / 5 file\n/);
});
