import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import fc from "fast-check";
import { MiB } from "../../base/limits.ts";
import { recordMark } from "./record-reader.ts";
import type { RpcPort } from "./rpc-port.ts";
import { NULL_PROCEDURE, type RpcProcedure } from "./rpc-programs.ts";
import { bytesProcedure, openRpcBed, PROGRAM, VERSION } from "./testing/rpc-bed.ts";
import { RpcClient } from "./testing/rpc-client.ts";
import { XdrWriter } from "./xdr.ts";

/** Answers a number when the test lets it. */
class Held {
  readonly numbers: number[] = [];
  readonly #waiting = new Map<number, () => void>();

  readonly procedure: RpcProcedure = {
    name: "HELD",
    run: async (args, results) => {
      const number = args.uint32();
      this.numbers.push(number);
      await new Promise<void>((resolve) => this.#waiting.set(number, resolve));
      results.uint32(number);
      return { status: "OK" };
    },
  };

  let(number: number): void {
    this.#waiting.get(number)?.();
    this.#waiting.delete(number);
  }
}

const broken: RpcProcedure = {
  name: "BROKEN",
  run: () => {
    throw new Error("broken");
  },
};

async function open(t: TestContext, held = new Held()): Promise<{ port: RpcPort; client: RpcClient }> {
  const procedures = [NULL_PROCEDURE, held.procedure, bytesProcedure, undefined, broken];
  const { port, connect } = await openRpcBed(t, procedures);
  return { port, client: await connect() };
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise(setImmediate);
}

const nothing = new XdrWriter();

describe("calls", () => {
  it("to what is not there, hear what is missing, as RFC 5531 §9 has it", async (t) => {
    const { client } = await open(t);
    assert.deepEqual((await client.call([PROGRAM, VERSION, 0], nothing)).status, 0);
    assert.equal((await client.call([PROGRAM + 1, VERSION, 0], nothing)).status, 1);
    const mismatch = await client.call([PROGRAM, 4, 0], nothing);
    assert.deepEqual([mismatch.status, mismatch.results.uint32(), mismatch.results.uint32()], [2, 3, 3]);
    for (const procedure of [3, 5, 0xffff_ffff])
      assert.equal((await client.call([PROGRAM, VERSION, procedure], nothing)).status, 3);
    assert.equal((await client.call([PROGRAM, VERSION, 1], nothing)).status, 4);
    assert.equal((await client.call([PROGRAM, VERSION, 4], nothing)).status, 5);
  });

  it("of another RPC, or with credentials that nobody here can check, are denied", async (t) => {
    const { client } = await open(t);
    const record = RpcClient.record(1001, [PROGRAM, VERSION, 0], nothing);
    record.writeUInt32BE(3, 12);
    const other = client.answer(1001);
    client.socket.write(record);
    const { isAccepted, status, results } = await other;
    assert.deepEqual([isAccepted, status, results.uint32(), results.uint32()], [false, 0, 2, 2]);
    const gss = RpcClient.record(1002, [PROGRAM, VERSION, 0], nothing);
    gss.writeUInt32BE(6, 28);
    const denied = client.answer(1002);
    client.socket.write(gss);
    const reply = await denied;
    assert.deepEqual([reply.isAccepted, reply.status, reply.results.uint32()], [false, 1, 2]);
  });

  it("with credentials or a verifier that are too long, or longer than the message, are denied, and others go on", async (t) => {
    const { client } = await open(t);
    const denied = async (flavors: XdrWriter): Promise<unknown> => {
      const xid = 2000 + flavors.length;
      const message = new XdrWriter().uint32(0).uint32(xid).uint32(0).uint32(2);
      message.uint32(PROGRAM).uint32(VERSION).uint32(0).fixed(flavors.bytes);
      message.setUint32(0, recordMark(message.length - 4));
      const answered = client.answer(xid);
      client.socket.write(message.bytes);
      const { isAccepted, status, results } = await answered;
      return [isAccepted, status, results.uint32()];
    };
    const [badCredentials, badVerifier] = [1, 3];
    const none = (): XdrWriter => new XdrWriter().uint32(0).uint32(0);
    const long = new XdrWriter().uint32(1).opaque(Buffer.alloc(401)).uint32(0).uint32(0);
    assert.deepEqual(await denied(long), [false, 1, badCredentials]);
    assert.deepEqual(await denied(none().uint32(0).opaque(Buffer.alloc(404))), [false, 1, badVerifier]);
    const huge = new XdrWriter().uint32(1).opaque(Buffer.alloc(100_000)).uint32(0).uint32(0);
    assert.deepEqual(await denied(huge), [false, 1, badCredentials]);
    assert.deepEqual(await denied(new XdrWriter().uint32(1).uint32(400)), [false, 1, badCredentials]);
    assert.deepEqual(await denied(none()), [false, 1, badVerifier]);
    assert.equal((await client.call([PROGRAM, VERSION, 0], nothing)).status, 0);
  });

  it("of one connection, are answered as each is done, in any order", async (t) => {
    const held = new Held();
    const { client } = await open(t, held);
    const answers: number[] = [];
    const calls = [0, 1, 2, 3, 4].map(async (number) => {
      const { results } = await client.call([PROGRAM, VERSION, 1], new XdrWriter().uint32(number));
      answers.push(results.uint32());
    });
    await until(() => held.numbers.length === 5);
    for (const number of [3, 1, 4, 0, 2]) {
      held.let(number);
      await until(() => answers.includes(number));
    }
    await Promise.all(calls);
    assert.deepEqual(answers, [3, 1, 4, 0, 2]);
  });

  it("beyond those that a connection may have under way, wait; of another connection they do not", async (t) => {
    const held = new Held();
    const { port, client } = await open(t, held);
    const calls = Array.from({ length: 500 }, (_, number) =>
      client.call([PROGRAM, VERSION, 1], new XdrWriter().uint32(number)),
    );
    await until(() => held.numbers.length === 64);
    const other = await RpcClient.open(port.port);
    t.after(() => {
      other.close();
    });
    assert.equal((await other.call([PROGRAM, VERSION, 0], nothing)).status, 0);
    assert.equal(held.numbers.length, 64);
    for (let number = 0; number < 500; number++) {
      await until(() => held.numbers.includes(number));
      held.let(number);
    }
    assert.equal((await Promise.all(calls)).length, 500);
    assert.ok(port.load().exchanges === 0 && port.load().connections === 2);
  });

  it("in one byte a fragment and a write, are understood", async (t) => {
    const { client } = await open(t);
    const message = RpcClient.record(5, [PROGRAM, VERSION, 0], nothing).subarray(4);
    const answered = client.answer(5);
    for (const [index, byte] of message.entries()) {
      const isLast = index === message.byteLength - 1;
      client.socket.write(Buffer.from([isLast ? 0x80 : 0, 0, 0, 1, byte]));
    }
    assert.equal((await answered).status, 0);
  });

  it("whose answers nobody takes, hold no more than a connection may", async (t) => {
    const { port, client } = await open(t);
    client.socket.pause();
    for (let call = 0; call < 64; call++)
      client.socket.write(RpcClient.record(9000 + call, [PROGRAM, VERSION, 2], new XdrWriter().uint32(MiB)));
    await until(() => port.load().exchanges === 64);
    const other = await RpcClient.open(port.port);
    t.after(() => {
      other.close();
    });
    for (let call = 0; call < 20; call++)
      assert.equal((await other.call([PROGRAM, VERSION, 2], new XdrWriter().uint32(MiB))).status, 0);
    const answers = Array.from({ length: 64 }, (_, call) => client.answer(9000 + call));
    client.socket.resume();
    for (const { status } of await Promise.all(answers)) assert.equal(status, 0);
  });
});

describe("streams of hostile bytes", () => {
  it("are refused, or understood, and others are served meanwhile", async (t) => {
    const { port, client } = await open(t);
    const call = RpcClient.record(7, [PROGRAM, VERSION, 1], new XdrWriter().uint32(1));
    const mutated = fc
      .array(fc.tuple(fc.nat(call.byteLength - 1), fc.nat(255)), { minLength: 1, maxLength: 6 })
      .map((changes) => {
        const bytes = Buffer.from(call);
        for (const [at, byte] of changes) bytes[at] = byte;
        return bytes;
      });
    const stream = fc.oneof(
      fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
      mutated,
    );
    await fc.assert(
      fc.asyncProperty(stream, async (hostile) => {
        const own = await RpcClient.open(port.port);
        own.socket.removeAllListeners("data");
        own.socket.end(hostile);
        assert.equal((await client.call([PROGRAM, VERSION, 0], nothing)).status, 0);
        own.close();
      }),
      { numRuns: 200 },
    );
  });

  it("with a record that is too long, or no call, end their connection alone", async (t) => {
    const { port, client } = await open(t);
    const reply = RpcClient.record(1, [PROGRAM, VERSION, 0], nothing);
    reply.writeUInt32BE(1, 8);
    const mark = Buffer.alloc(4);
    mark.writeUInt32BE(recordMark(64 * MiB));
    const short = Buffer.from([0x80, 0, 0, 2, 1, 1]);
    for (const hostile of [mark, reply, short]) {
      const own = await RpcClient.open(port.port);
      const closed = new Promise((resolve) => own.socket.once("close", resolve));
      own.socket.write(hostile);
      await closed;
    }
    assert.equal((await client.call([PROGRAM, VERSION, 0], nothing)).status, 0);
  });
});

describe("a port that closes", () => {
  it("answers what is under way, and takes nothing new", async (t) => {
    const held = new Held();
    const { port, client } = await open(t, held);
    const answer = client.call([PROGRAM, VERSION, 1], new XdrWriter().uint32(1));
    await until(() => held.numbers.length === 1);
    const closed = port.close({ graceMs: 60_000 });
    held.let(1);
    assert.equal((await answer).status, 0);
    await closed;
    await assert.rejects(RpcClient.open(port.port), /ECONNREFUSED/);
  });
});
