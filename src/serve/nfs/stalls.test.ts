/** Clients that hold what others need: connections, and memory for answers. */
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { MiB } from "../../base/limits.ts";
import { steppedClock } from "../../base/testing/stepped-clock.ts";
import { LOOK_MS } from "./rpc-connection.ts";
import { NULL_PROCEDURE } from "./rpc-programs.ts";
import { bytesProcedure, openRpcBed, PROGRAM, VERSION, type RpcBed } from "./testing/rpc-bed.ts";
import { RpcClient } from "./testing/rpc-client.ts";
import { XdrWriter } from "./xdr.ts";

/** Ten minutes. */
const IDLE_LOOKS = 40;
const nothing = new XdrWriter();

interface Bed extends RpcBed {
  /** Has the port look at its connections, so many times. */
  readonly look: (times?: number) => Promise<void>;
}

async function open(t: TestContext, allowedAddress?: string): Promise<Bed> {
  const { clock, step } = steppedClock(LOOK_MS);
  const place = allowedAddress === undefined ? {} : { allowedAddress };
  const bed = await openRpcBed(t, [NULL_PROCEDURE, bytesProcedure], { ...place, clock });
  const look = async (times = 1): Promise<void> => {
    for (let done = 0; done < times; done++) await step();
  };
  return { ...bed, look };
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise(setImmediate);
}

describe("a client", () => {
  it("that takes no answers, is ended, though it goes on asking", async (t) => {
    const { port, connect, look } = await open(t);
    const client = await connect();
    client.socket.pause();
    for (let call = 0; call < 32; call++)
      client.socket.write(RpcClient.record(9000 + call, [PROGRAM, VERSION, 1], new XdrWriter().uint32(MiB)));
    await until(() => port.load().exchanges === 32);
    for (let round = 0; port.load().connections > 0; round++) {
      assert.ok(round < 10, "it holds what others need");
      const { receivedBytes } = port.load();
      client.socket.write(RpcClient.record(round, [PROGRAM, VERSION, 0], nothing));
      await until(() => port.load().receivedBytes > receivedBytes);
      await look();
      await new Promise(setImmediate);
    }
    const other = await connect();
    for (let call = 0; call < 20; call++)
      assert.equal((await other.call([PROGRAM, VERSION, 1], new XdrWriter().uint32(MiB))).status, 0);
  });

  it("that sends a call in single bytes, is ended", async (t) => {
    const { port, connect, look } = await open(t);
    const client = await connect();
    client.socket.write(Buffer.from([0x80, 0, 0, 40]));
    for (let round = 0; port.load().connections > 0; round++) {
      assert.ok(round < 10, "it holds a connection");
      const { receivedBytes } = port.load();
      client.socket.write(Buffer.alloc(1));
      await until(() => port.load().receivedBytes > receivedBytes);
      await look();
      await new Promise(setImmediate);
    }
  });

  it("that asks for nothing, is ended after ten minutes, and not while it asks", async (t) => {
    const { port, connect, look } = await open(t);
    const [idle, asking] = [await connect(), await connect()];
    const closed = new Promise((resolve) => idle.socket.once("close", resolve));
    for (let round = 0; round < 3; round++) {
      assert.equal(port.load().connections, 2);
      await look(IDLE_LOOKS / 4);
      assert.equal((await asking.call([PROGRAM, VERSION, 0], nothing)).status, 0);
    }
    await look(IDLE_LOOKS / 2);
    await closed;
    assert.equal((await asking.call([PROGRAM, VERSION, 0], nothing)).status, 0);
  });

  it("that waits for an answer, is not ended", async (t) => {
    const { port, connect, look } = await open(t);
    const [holding, waiting] = [await connect(), await connect()];
    // A connection holds half of what all may; two hold all.
    for (const client of [holding, await connect()]) {
      client.socket.pause();
      for (let call = 0; call < 16; call++)
        client.socket.write(RpcClient.record(call, [PROGRAM, VERSION, 1], new XdrWriter().uint32(MiB)));
    }
    await until(() => port.load().exchanges === 32);
    const answer = waiting.call([PROGRAM, VERSION, 1], new XdrWriter().uint32(MiB));
    await until(() => port.load().exchanges === 33);
    await look(4);
    assert.equal((await answer).status, 0);
  });
});

describe("strangers", () => {
  it("who ask for nothing, are ended soon, and do not keep each other out for ever", async (t) => {
    const { port, connect, look } = await open(t, "10.0.0.1");
    const crowd = await Promise.all(Array.from({ length: 80 }, connect));
    await until(() => crowd.filter(({ socket }) => socket.destroyed).length === 16);
    assert.equal(port.load().connections, 64);
    // Who came just before a look has time to ask.
    await look();
    assert.equal(port.load().connections, 64);
    await look();
    await until(() => port.load().connections === 0);
    const { isAccepted } = await (await connect()).call([PROGRAM, VERSION, 0], nothing);
    assert.equal(isAccepted, false);
  });
});
