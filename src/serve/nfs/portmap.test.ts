import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { after, before, describe, it } from "node:test";
import { openNfsBed, type NfsBed } from "./testing/nfs-bed.ts";
import { RpcClient } from "./testing/rpc-client.ts";
import { XdrReader, XdrWriter } from "./xdr.ts";

const PORTMAP = 100000;
const [NFS, MOUNT] = [100003, 100005];
const [TCP, UDP] = [6, 17];
const [GETPORT, GETADDR, DUMP] = [3, 3, 4];
const nothing = new XdrWriter();

let bed: NfsBed;

before(async () => {
  bed = await openNfsBed();
});
after(() => bed.close());

/** A call and what came back, by TCP or UDP: whether it was accepted, the status, and the results. */
type Ask = (
  version: number,
  procedure: number,
  args: XdrWriter,
) => Promise<{ readonly status: number; readonly results: XdrReader }>;

const ways: readonly (readonly [string, (port: number) => Promise<Ask>])[] = [
  [
    "TCP",
    async (port) => {
      const client = await RpcClient.open(port);
      return async (version, procedure, args) => {
        const { isAccepted, status, results } = await client.call([PORTMAP, version, procedure], args);
        assert.ok(isAccepted);
        return { status, results };
      };
    },
  ],
  [
    "UDP",
    (port) =>
      Promise.resolve(async (version, procedure, args) => {
        const results = new XdrReader(
          await datagram(port, RpcClient.record(7, [PORTMAP, version, procedure], args).subarray(4)),
        );
        assert.deepEqual([results.uint32(), results.uint32(), results.uint32()], [7, 1, 0]);
        results.fixed(8);
        return { status: results.uint32(), results };
      }),
  ],
];

/** The first datagram that comes back. */
async function datagram(port: number, ...messages: readonly Buffer[]): Promise<Buffer> {
  const socket = createSocket("udp4");
  try {
    const answer = new Promise<Buffer>((resolve) => socket.once("message", resolve));
    for (const message of messages) socket.send(message, port, "127.0.0.1");
    return await answer;
  } finally {
    socket.close();
  }
}

function rpcb(program: number, version: number, netId: string): XdrWriter {
  return new XdrWriter().uint32(program).uint32(version).string(netId).string("").string("");
}

for (const [way, connect] of ways) {
  describe(`portmap by ${way}`, () => {
    it("tells where NFS and MOUNT are, as RFC 1833 has it", async () => {
      const port = await bed.listen({ portmapPort: 0 });
      const ask = await connect(port.portmapPort ?? 0);
      for (const version of [2, 3, 4]) assert.equal((await ask(version, 0, nothing)).status, 0);
      const getPort = async (...words: readonly number[]): Promise<number> => {
        const args = new XdrWriter();
        for (const word of [...words, 0]) args.uint32(word);
        const { status, results } = await ask(2, GETPORT, args);
        assert.equal(status, 0);
        return results.uint32();
      };
      assert.equal(await getPort(NFS, 3, TCP), port.port);
      assert.equal(await getPort(MOUNT, 3, TCP), port.port);
      assert.equal(await getPort(PORTMAP, 2, UDP), port.portmapPort);
      for (const other of [
        [NFS, 3, UDP],
        [NFS, 4, TCP],
        [MOUNT, 1, TCP],
        [100021, 4, TCP],
      ])
        assert.equal(await getPort(...other), 0, String(other));
      const universal = `127.0.0.1.${port.port >> 8}.${port.port & 255}`;
      const getAddress = async (version: number, args: XdrWriter): Promise<string | undefined> => {
        const { status, results } = await ask(version, GETADDR, args);
        assert.equal(status, 0);
        return results.string(100);
      };
      for (const version of [3, 4]) {
        assert.equal(await getAddress(version, rpcb(NFS, 3, "tcp")), universal);
        assert.equal(await getAddress(version, rpcb(MOUNT, 3, "tcp")), universal);
        assert.equal(await getAddress(version, rpcb(NFS, 3, "")), way === "TCP" ? universal : "");
        assert.equal(await getAddress(version, rpcb(NFS, 3, "udp")), "");
        assert.equal(await getAddress(version, rpcb(NFS, 4, "tcp")), "");
        assert.equal(await getAddress(version, rpcb(NFS, 3, "tcp6")), "");
      }
    });

    it("shows all of it, itself too", async () => {
      const { port, portmapPort = 0 } = await bed.listen({ portmapPort: 0 });
      const ask = await connect(portmapPort);
      const shown: number[][] = [];
      const { results } = await ask(2, DUMP, nothing);
      while (results.uint32() === 1)
        shown.push([results.uint32(), results.uint32(), results.uint32(), results.uint32()]);
      assert.deepEqual(shown, [
        ...[TCP, UDP].flatMap((protocol) => [2, 3, 4].map((own) => [PORTMAP, own, protocol, portmapPort])),
        [NFS, 3, TCP, port],
        [MOUNT, 3, TCP, port],
      ]);
      for (const version of [3, 4]) {
        const list = (await ask(version, DUMP, nothing)).results;
        const lines: string[] = [];
        while (list.uint32() === 1)
          lines.push(
            [list.uint32(), list.uint32(), list.string(99), list.string(99), list.string(99)].join(" "),
          );
        assert.equal(lines.length, 8);
        assert.equal(lines.at(-2), `${NFS} 3 tcp 127.0.0.1.${port >> 8}.${port & 255} superuser`);
      }
    });

    it("registers nobody, passes nothing on, and takes no arguments that are none", async () => {
      const { portmapPort = 0 } = await bed.listen({ portmapPort: 0 });
      const ask = await connect(portmapPort);
      for (const version of [2, 3, 4])
        for (const procedure of [1, 2, 5, 6, 9, 0xffff_ffff])
          assert.equal((await ask(version, procedure, rpcb(NFS, 3, "tcp"))).status, 3);
      assert.equal((await ask(2, GETPORT, nothing)).status, 4);
      assert.equal((await ask(3, GETADDR, rpcb(NFS, 3, "x".repeat(257)))).status, 4);
      const mismatch = await ask(5, 0, nothing);
      assert.deepEqual([mismatch.status, mismatch.results.uint32(), mismatch.results.uint32()], [2, 2, 4]);
    });

    it("on all addresses, names the one that the caller has reached", async () => {
      const { port, portmapPort = 0 } = await bed.listen({ host: undefined, portmapPort: 0 });
      const ask = await connect(portmapPort);
      const { results } = await ask(4, GETADDR, rpcb(NFS, 3, "tcp"));
      assert.equal(results.string(100), `127.0.0.1.${port >> 8}.${port & 255}`);
    });
  });
}

describe("portmap", () => {
  it("denies strangers by TCP; by UDP it sends them nothing, so that nobody else is sent it", async () => {
    const allowed = [{ address: "10.0.0.0", prefixBits: 8, family: "ipv4" }] as const;
    const { portmapPort = 0 } = await bed.listen({ allowed, portmapPort: 0 });
    const client = await RpcClient.open(portmapPort);
    const { isAccepted, status } = await client.call([PORTMAP, 2, DUMP], nothing);
    assert.deepEqual([isAccepted, status], [false, 1]);
    const socket = createSocket("udp4");
    const heard: Buffer[] = [];
    socket.on("message", (message) => heard.push(message));
    await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
    const call = RpcClient.record(1, [PORTMAP, 2, DUMP], nothing).subarray(4);
    await new Promise((resolve) => socket.send(call, portmapPort, "127.0.0.1", resolve));
    // A port that lets this address in answers what is sent after it.
    const other = await bed.listen({ portmapPort: 0 });
    const last = RpcClient.record(2, [PORTMAP, 2, 0], nothing).subarray(4);
    socket.send(last, other.portmapPort ?? 0, "127.0.0.1");
    while (heard.length === 0) await new Promise(setImmediate);
    assert.deepEqual(
      heard.map((message) => message.readUInt32BE(0)),
      [2],
    );
    socket.close();
  });

  it("answers after datagrams that are no calls", async () => {
    const { portmapPort = 0 } = await bed.listen({ portmapPort: 0 });
    const call = RpcClient.record(9, [PORTMAP, 2, 0], nothing).subarray(4);
    const hostile = Array.from({ length: call.byteLength }, (_, length) => call.subarray(0, length));
    const answer = await datagram(portmapPort, ...hostile, Buffer.alloc(1400, 0xff), call);
    assert.equal(answer.readUInt32BE(0), 9);
  });

  it("whose port is taken, is not opened, and nor is NFS", async () => {
    const { port } = await bed.listen();
    await assert.rejects(bed.listen({ portmapPort: port }), /--nfs_portmap_port/);
  });
});
