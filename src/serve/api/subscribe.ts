/** DatasetAPI.Subscribe: what tags point at, now and whenever they move. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HandlerContext, MethodImpl } from "@connectrpc/connect";
import { Channel } from "../../base/channel.ts";
import { AetherError, codeOf } from "../../base/errors.ts";
import { watchEvents } from "../../dataset/events.ts";
import { resolve } from "../../dataset/resolve.ts";
import type { Digest } from "../../format/digest.ts";
import { parseTag, type DatasetName } from "../../format/reference.ts";
import type {
  DatasetAPI,
  DatasetSchema,
  SubscribeRequest,
  SubscribeResponseSchema,
} from "../../gen/aetherfs/dataset/v1/api_pb.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { Services } from "../services.ts";
import { allow } from "./caller.ts";

/** Tags that one call follows at a time. */
const TAGS_MAX = 64;

/** Shows a version of a dataset. */
export type ShowVersion = (
  name: DatasetName,
  version: Digest,
  options: CallOptions,
) => Promise<MessageInitShape<typeof DatasetSchema>>;

type Answer = MessageInitShape<typeof SubscribeResponseSchema>;

/**
 * A tag that is asked for is answered at once when it points at a version, and again after each move; one that is
 * cancelled is not answered any more. The call ends when the caller has nothing more to ask and every tag is cancelled, or
 * when the caller goes.
 */
export function subscribe(
  services: Services,
  show: ShowVersion,
): MethodImpl<typeof DatasetAPI.method.subscribe> {
  return async function* (requests, context) {
    const subscriptions = new Subscriptions(services, show, context);
    void subscriptions.take(requests);
    try {
      yield* subscriptions.answers;
    } finally {
      subscriptions.end();
    }
  };
}

class Subscriptions {
  /** One waits for the consumer, so that a slow one holds the followers up and no memory is taken. */
  readonly answers = new Channel<Answer>(1);
  readonly #services: Services;
  readonly #show: ShowVersion;
  readonly #context: HandlerContext;
  readonly #followed = new Map<string, AbortController>();
  readonly #ended = new AbortController();
  #takesMore = true;

  constructor(services: Services, show: ShowVersion, context: HandlerContext) {
    this.#services = services;
    this.#show = show;
    this.#context = context;
    const { stopping } = services;
    const options = { once: true, signal: this.#ended.signal };
    context.signal.addEventListener(
      "abort",
      () => {
        this.#fail(context.signal.reason);
      },
      options,
    );
    stopping.addEventListener(
      "abort",
      () => {
        this.#fail(stopped());
      },
      options,
    );
    if (stopping.aborted) this.#fail(stopped());
  }

  /** Follows what is asked for. Never rejects: answers do. */
  async take(requests: AsyncIterable<SubscribeRequest>): Promise<void> {
    try {
      for await (const request of requests) await this.#takeOne(request);
      this.#takesMore = false;
      this.#closeWhenDone();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Nobody waits for answers any more. */
  end(): void {
    this.#fail(new AetherError("CANCELLED", "the call has ended"));
  }

  async #takeOne({ tag, cancel }: SubscribeRequest): Promise<void> {
    if (tag === undefined)
      throw new AetherError("ARGUMENT_INVALID", "say which dataset, and which tag of it");
    const { name } = await allow(this.#services, this.#context, "read", tag.name);
    const version = parseTag(tag.version);
    const key = `${name}:${version}`;
    if (cancel) {
      this.#followed.get(key)?.abort();
      this.#followed.delete(key);
      return;
    }
    if (this.#followed.has(key)) return;
    if (this.#followed.size === TAGS_MAX) {
      throw new AetherError("LIMIT_EXCEEDED", `one call follows at most ${TAGS_MAX} tags: make another call`);
    }
    const ended = new AbortController();
    this.#followed.set(key, ended);
    this.#follow(name, version, ended.signal).catch((error: unknown) => {
      if (!ended.signal.aborted) this.#fail(error);
    });
  }

  async #follow(name: DatasetName, tag: ReturnType<typeof parseTag>, signal: AbortSignal): Promise<void> {
    const { engine } = this.#services;
    // The events begin before the tag is looked at: a move in between is answered twice rather than never.
    const sequence = (await engine.store.datasets.lastEvent(name, { signal })) + 1;
    const events = watchEvents(engine, name, { sequence, tag, signal });
    let last = await this.#current(name, tag, signal);
    if (last !== undefined) await this.#answer(name, tag, last, signal);
    for await (const { state, digest } of events) {
      const isGone = state === "deleted";
      if (!isGone && digest !== last) await this.#answer(name, tag, digest, signal);
      last = isGone ? undefined : digest;
    }
  }

  async #current(
    name: DatasetName,
    tag: ReturnType<typeof parseTag>,
    signal: AbortSignal,
  ): Promise<Digest | undefined> {
    try {
      const reference = { host: undefined, name, tag, digest: undefined };
      return (await resolve(this.#services.engine, reference, { signal })).version;
    } catch (error) {
      if (codeOf(error) === "TAG_NOT_FOUND") return undefined;
      throw error;
    }
  }

  async #answer(name: DatasetName, tag: string, version: Digest, signal: AbortSignal): Promise<void> {
    const dataset = await this.#show(name, version, { signal });
    signal.throwIfAborted();
    await this.answers.send({ tag: { name, version: tag }, dataset });
  }

  #closeWhenDone(): void {
    if (!this.#takesMore && this.#followed.size === 0) this.answers.close();
  }

  #fail(error: unknown): void {
    this.#ended.abort();
    this.answers.fail(error);
    for (const ended of this.#followed.values()) ended.abort();
    this.#followed.clear();
  }
}

function stopped(): AetherError {
  return new AetherError("HUB_UNAVAILABLE", "the hub stops: subscribe again, there or elsewhere");
}
