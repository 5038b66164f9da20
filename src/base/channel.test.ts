import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { Channel } from "./channel.ts";

async function received<T>(channel: Channel<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of channel) items.push(item);
  return items;
}

test("channel, any items and capacity, hands all of them on in order", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer()), fc.integer({ min: 1, max: 5 }), async (items, capacity) => {
      const channel = new Channel<number>(capacity);
      const reading = received(channel);
      for (const item of items) await channel.send(item);
      channel.close();
      assert.deepEqual(await reading, items);
    }),
  );
});

test("channel, nobody reading, lets the producer get no further than its capacity", async () => {
  const channel = new Channel<number>(2);
  let sent = 0;
  const producing = (async () => {
    for (; sent < 5; sent++) await channel.send(sent);
    channel.close();
  })();
  for (let turns = 0; turns < 20; turns++) await turn();
  assert.equal(sent, 2);
  assert.deepEqual(await received(channel), [0, 1, 2, 3, 4]);
  await producing;
});

test("channel, consumer fails, rejects the waiting producer with the same error", async () => {
  const channel = new Channel<number>(1);
  const error = new Error("consumer");
  await channel.send(1);
  const waiting = channel.send(2);
  channel.fail(error);
  channel.fail(new Error("later"));
  await assert.rejects(waiting, error);
  await assert.rejects(channel.send(3), error);
});

test("channel, producer fails, rejects the waiting consumer with the same error", async () => {
  const channel = new Channel<number>(1);
  const reading = received(channel);
  const error = new Error("producer");
  channel.fail(error);
  await assert.rejects(reading, error);
});
