/**
 * NFS of a hub, met by Linux's own client in a machine that qemu emulates: `npm run test:kernel-nfs`. Not among `npm test`, since it wants
 * qemu and packages from Debian's archive.
 */
import assert from "node:assert/strict";
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { temporaryFolder } from "../../src/dataset/testing/folder.ts";
import { startHubProcess, type HubProcess } from "../hub/hub-process.ts";
import { writeAwkward, type Item } from "../interfaces/awkward.ts";
import { LAUNCHER, environmentIn } from "../program.ts";

const run = promisify(execFile);
const HERE = fileURLToPath(new URL("./", import.meta.url));
const TIMEOUT_MS = 600_000;

/** Program → the Debian package that has it. */
const WANTED = {
  "qemu-system-x86_64": "qemu-system-x86",
  busybox: "busybox-static",
  "mount.nfs": "nfs-common",
  modprobe: "kmod",
  cpio: "cpio",
  "apt-get": "apt",
};

test("Linux's NFS client, reads every file, is refused every change, follows a tag, and survives a hub that is killed", async (t) => {
  const missing = Object.entries(WANTED).filter(([name]) => !isThere(name));
  assert.deepEqual(
    missing.map(([, name]) => name),
    [],
    "install these Debian packages",
  );
  const temporary = temporaryFolder();
  const { path: folder } = temporary;
  t.after(() => {
    temporary.remove();
  });
  await run("bash", [join(HERE, "build-guest.sh"), join(folder, "guest")]);
  const source = join(folder, "source");
  mkdirSync(source);
  const items = writeAwkward(source);
  const bed = await HubBed.open(join(folder, "home"));
  t.after(() => bed.close());
  await bed.push("awkward:v1", source);
  await bed.turn("first");
  writeScript(join(folder, "overlay"), items, bed.nfsPort);
  await boot(folder, bed);
});

function isThere(name: string): boolean {
  const folders = [...(process.env["PATH"] ?? "").split(":"), "/sbin", "/usr/sbin"];
  return folders.some((folder) => existsSync(join(folder, name)));
}

/** A hub that can be killed, and comes back on the same port of NFS. */
class HubBed {
  readonly #home: string;
  #hub: HubProcess;

  private constructor(home: string, hub: HubProcess) {
    this.#home = home;
    this.#hub = hub;
  }

  static async open(home: string): Promise<HubBed> {
    return new HubBed(home, await startHub(home, 0));
  }

  get nfsPort(): number {
    return Number(this.#hub.log.find(({ msg }) => msg === "ready")?.["nfsPort"]);
  }

  async push(tag: string, source: string): Promise<void> {
    const env = { ...environmentIn(this.#home), HUB: this.#hub.host };
    await run(LAUNCHER, ["push", "-t", tag, source], { env });
  }

  /** Says it in the file that the guest looks at. */
  async turn(word: string): Promise<void> {
    const folder = join(this.#home, "turn");
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "turn"), word);
    await this.push("step:latest", folder);
  }

  async killAndRestart(): Promise<void> {
    const { nfsPort } = this;
    await this.close();
    this.#hub = await startHub(this.#home, nfsPort);
  }

  async close(): Promise<void> {
    this.#hub.kill("SIGKILL");
    await this.#hub.ended;
  }
}

function startHub(home: string, nfsPort: number): Promise<HubProcess> {
  return startHubProcess({ home, words: ["--nfs_enable", "--nfs_port", String(nfsPort)] });
}

/** What is laid over the guest's file system. */
function writeScript(folder: string, items: ReadonlyMap<string, Item>, port: number): void {
  mkdirSync(join(folder, "run"), { recursive: true });
  const sums: string[] = [];
  const links: string[] = [];
  for (const [path, { kind, sha256 = "", target = "" }] of items) {
    // busybox takes names as they are: no escape for backslashes.
    if (kind === "file") sums.push(`${sha256}  ${path}\n`);
    if (kind === "symlink") links.push(`${path}\t${target}\n`);
  }
  writeFileSync(join(folder, "run/sums"), sums.join(""));
  writeFileSync(join(folder, "run/links"), links.join(""));
  const values = `PORT=${port}\nEXPORT=/awkward/v1\nCOUNT=${items.size}\n`;
  writeFileSync(join(folder, "run/script.sh"), values + readFileSync(join(HERE, "guest.sh"), "utf8"));
}

/** Boots the guest, does what it waits for, and checks how it ends. */
async function boot(folder: string, bed: HubBed): Promise<void> {
  // The kernel takes archives one after another for one file system.
  const pack =
    "find . | cpio --create --format=newc --quiet | gzip -1 | cat ../guest/initrd.gz - > ../initrd";
  await run("bash", ["-c", pack], { cwd: join(folder, "overlay") });
  assert.ok(statSync(join(folder, "initrd")).size > 0);
  const machine = ["-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "512", "-nodefaults"];
  const console = ["-no-reboot", "-display", "none", "-serial", "stdio", "-monitor", "none"];
  const network = ["-netdev", "user,id=n0,ipv6=off", "-device", "virtio-net-pci,netdev=n0,romfile="];
  const kernel = ["-kernel", join(folder, "guest/vmlinuz"), "-initrd", join(folder, "initrd")];
  const command = "console=ttyS0 quiet loglevel=3 panic=-1 mitigations=off nokaslr random.trust_cpu=on";
  const child = spawn(
    "qemu-system-x86_64",
    [...machine, ...console, ...network, "-device", "virtio-rng-pci", ...kernel, "-append", command],
    { stdio: ["ignore", "pipe", "inherit"], timeout: TIMEOUT_MS, killSignal: "SIGKILL" },
  );
  const lines = await follow(child, async (line) => {
    if (line === "SAY wait second") await bed.turn("second");
    if (line === "SAY wait third") {
      await bed.killAndRestart();
      await bed.turn("third");
    }
  });
  assert.ok(lines.includes("GUEST exit 0"), lines.slice(-40).join("\n"));
  for (const said of ["sums", "refused", "saw second", "saw third"]) assert.ok(lines.includes(`SAY ${said}`));
}

/** Gives each line to `act`, one after another; resolves with all when the guest has ended. */
async function follow(child: ChildProcess, act: (line: string) => Promise<void>): Promise<string[]> {
  assert.ok(child.stdout !== null);
  const lines: string[] = [];
  for await (const text of createInterface({ input: child.stdout })) {
    const line = text.replaceAll("\r", "").trim();
    lines.push(line);
    if (line.startsWith("SAY") || line.startsWith("GUEST"))
      process.stderr.write(`${Math.round(process.uptime())} s: ${line}\n`);
    await act(line);
  }
  return lines;
}
