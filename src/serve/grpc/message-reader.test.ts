import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { describe, it } from "node:test";
import { Code, type ConnectError } from "@connectrpc/connect";
import fc from "fast-check";
import type { Clock } from "../../base/clock.ts";
import { systemClock } from "../../base/clock.ts";
import { readMessages } from "./message-reader.ts";
import { MessageRoom, MessageRooms } from "./message-room.ts";

const BYTES_MAX = 200_000;

function frame(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.byteLength, 1);
  return Buffer.concat([prefix, message]);
}

function roomOf(rooms: MessageRooms): MessageRoom {
  return new MessageRoom(rooms, new AbortController().signal);
}

function messagesOf(body: Readable, room: MessageRoom): AsyncGenerator<Uint8Array, void> {
  return readMessages(body, { encoding: undefined, bytesMax: BYTES_MAX, room });
}

async function nextBytes(messages: AsyncGenerator<Uint8Array, void>): Promise<number | undefined> {
  const next = await messages.next();
  return next.done === true ? undefined : next.value.byteLength;
}

/** A clock whose sleeps end at once. */
const hasty: Clock = { ...systemClock, sleep: () => Promise.resolve() };

describe("messages of a request", () => {
  it("cut anywhere, come as they were sent", async () => {
    const property = fc.asyncProperty(
      fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 20 }),
      async (messages, cuts) => {
        const bytes = Buffer.concat(messages.map(frame));
        const parts: Buffer[] = [];
        for (let at = 0, turn = 0; at < bytes.byteLength; turn++) {
          const size = cuts[turn % cuts.length] ?? 1;
          parts.push(bytes.subarray(at, at + size));
          at += size;
        }
        const room = roomOf(new MessageRooms(BYTES_MAX, systemClock));
        const read: Buffer[] = [];
        for await (const message of messagesOf(Readable.from(parts), room)) read.push(Buffer.from(message));
        assert.deepEqual(
          read,
          messages.map((message) => Buffer.from(message)),
        );
      },
    );
    await fc.assert(property, { numRuns: 100 });
  });

  it("ending within a prefix or a message, are refused", async () => {
    for (const cut of [1, 4, 5, 8]) {
      const body = Readable.from([frame(Buffer.from("abcdef")).subarray(0, cut)]);
      const messages = messagesOf(body, roomOf(new MessageRooms(BYTES_MAX, systemClock)));
      await assert.rejects(messages.next(), { code: Code.InvalidArgument });
    }
  });

  it("of many calls, are received only while there is room for them, in turn", async () => {
    const rooms = new MessageRooms(BYTES_MAX, systemClock);
    const large = frame(Buffer.alloc(150_000));
    const first = messagesOf(Readable.from([large]), roomOf(rooms));
    assert.equal(await nextBytes(first), 150_000);
    const second = nextBytes(messagesOf(Readable.from([large]), roomOf(rooms)));
    const small = messagesOf(Readable.from([frame(Buffer.alloc(10))]), roomOf(rooms));
    assert.equal(await nextBytes(small), 10);
    const state = await Promise.race([second.then(() => "received"), Promise.resolve("waits")]);
    assert.equal(state, "waits");
    await first.next();
    assert.equal(await second, 150_000);
  });

  it(
    "of a call that has ended, give back the room that they had or waited for",
    { timeout: 20_000 },
    async () => {
      const rooms = new MessageRooms(BYTES_MAX, systemClock);
      const large = frame(Buffer.alloc(150_000));
      const room = roomOf(rooms);
      await messagesOf(Readable.from([large]), room).next();
      const ended = new AbortController();
      const waiting = new MessageRoom(rooms, ended.signal);
      const second = messagesOf(Readable.from([large]), waiting).next();
      await new Promise(setImmediate);
      room.close();
      waiting.close();
      ended.abort(new Error("it is over"));
      await second.catch(() => undefined);
      const third = messagesOf(Readable.from([large]), roomOf(rooms));
      assert.equal(await nextBytes(third), 150_000);
    },
  );

  it("too slow to come, are given up", async () => {
    const body = new Readable({ read: () => undefined });
    body.push(frame(Buffer.alloc(150_000)).subarray(0, 100_000));
    try {
      const messages = messagesOf(body, roomOf(new MessageRooms(BYTES_MAX, hasty)));
      await assert.rejects(
        messages.next(),
        (error) => (error as ConnectError).code === Code.DeadlineExceeded,
      );
    } finally {
      body.destroy();
    }
  });
});
