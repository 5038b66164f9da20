/** Following a dataset of a hub. */
import { AetherError } from "../../base/errors.ts";
import type { EventRecord } from "../../format/record.ts";
import type { DatasetName } from "../../format/reference.ts";
import type { WatchOptions } from "../client.ts";
import { eventOf, reading } from "./hub-catalog.ts";
import type { HubConnection } from "./hub-connection.ts";

/**
 * The dataset's events, in order, each once. When the hub goes away and comes back, it goes on after the last event; with
 * none yet and no sequence wished for, what happened meanwhile is not told. Errors: those of the hub; HUB_UNAVAILABLE
 * when it stays away.
 */
export async function* watchHub(
  hub: HubConnection,
  name: DatasetName,
  options: WatchOptions,
): AsyncGenerator<EventRecord> {
  const { tag = "", untilNow = false, signal } = options;
  let sequence = options.sequence ?? 0;
  let events: AsyncIterator<EventRecord> | undefined;
  const open = (): AsyncIterator<EventRecord> => {
    const request = { name, sequence: BigInt(sequence), tag, untilNow };
    const stream = hub.catalog.watchEvents(request, signal === undefined ? {} : { signal });
    return read(hub, stream)[Symbol.asyncIterator]();
  };
  try {
    for (;;) {
      const next = await hub.call(signal, async () => {
        try {
          events ??= open();
          return await events.next();
        } catch (error) {
          events = undefined;
          throw error;
        }
      });
      if (next.done === true) {
        if (untilNow) return;
        throw new AetherError("HUB_UNAVAILABLE", `the hub ${hub.hub} ended the events: watch again`);
      }
      sequence = next.value.sequence + 1;
      yield next.value;
    }
  } finally {
    await events?.return?.();
  }
}

async function* read(
  hub: HubConnection,
  stream: AsyncIterable<Parameters<typeof eventOf>[0]>,
): AsyncGenerator<EventRecord> {
  for await (const event of stream) yield reading(hub.hub, () => eventOf(event));
}
