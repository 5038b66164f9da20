/** MaintenanceAPI: what an operator asks of the store. proto/aetherfs/hub/v1/maintenance.proto */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { MethodImpl } from "@connectrpc/connect";
import type { Clock } from "../../base/clock.ts";
import { AetherError } from "../../base/errors.ts";
import type { PruneCount, PruneProgress, PruneResult } from "../../dataset/prune/contract.ts";
import type { PruneSettings, Pruner } from "../../dataset/prune/pruner.ts";
import {
  MaintenanceAPI,
  type PruneCountSchema,
  type PruneRequest,
  type PruneResponseSchema,
  type PruneResultSchema,
} from "../../gen/aetherfs/hub/v1/maintenance_pb.ts";
import { rpcService, type RpcService } from "../../rpc/rpc-service.ts";
import type { Services } from "../services.ts";
import { allowAdmin } from "./caller.ts";

/** Between two messages about one phase at least, and at most, so that nobody between takes the call for dead. */
const SILENCE_MS_MIN = 100;
const SILENCE_MS_MAX = 15_000;

type Answer = MessageInitShape<typeof PruneResponseSchema>;

/** Maintenance of a hub, for who may administer it. */
export function maintenanceService(services: Services, pruner: Pruner): RpcService {
  return rpcService(MaintenanceAPI, { prune: prune(services, pruner) });
}

function prune(services: Services, pruner: Pruner): MethodImpl<typeof MaintenanceAPI.method.prune> {
  return async function* (request, context) {
    const identity = await allowAdmin(services, context);
    const { stopping, engine } = services;
    const ended = new AbortController();
    const signal = AbortSignal.any([context.signal, stopping, ended.signal]);
    const latest = new Latest(engine.clock);
    const settings = { ...settingsOf(request), signal, onProgress: latest.tell };
    let result: PruneResult | undefined;
    const running = pruner.run(identity.name, settings).then((given) => {
      result = given;
    });
    running.then(latest.end, latest.end);
    try {
      for await (const progress of latest) yield { progress: progressOf(progress) };
      await running;
      if (result !== undefined) yield { result: resultOf(result) };
    } catch (error) {
      if (!stopping.aborted) throw error;
      throw new AetherError("HUB_UNAVAILABLE", "the hub stops: prune again, there or elsewhere", {
        cause: error,
      });
    } finally {
      ended.abort(new AetherError("CANCELLED", "the client went away"));
      // The next one may begin once this one has let go.
      await running.catch(() => undefined);
    }
  };
}

/** How far something is, for who cannot take every step of it: the newest state, now and then. */
class Latest implements AsyncIterable<PruneProgress> {
  readonly #clock: Clock;
  #progress: PruneProgress = { phase: "mark", done: 0 };
  #isNew = true;
  #isEnded = false;
  #wake: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  readonly tell = (progress: PruneProgress): void => {
    this.#progress = progress;
    this.#isNew = true;
    this.#wake?.();
  };

  readonly end = (): void => {
    this.#isEnded = true;
    this.#wake?.();
  };

  async *[Symbol.asyncIterator](): AsyncGenerator<PruneProgress> {
    let phase: string | undefined;
    while (!this.#isEnded) {
      // A phase is told of at once.
      if (this.#isNew && this.#progress.phase === phase) await this.#pause(SILENCE_MS_MIN, () => false);
      this.#isNew = false;
      ({ phase } = this.#progress);
      yield this.#progress;
      await this.#pause(SILENCE_MS_MAX, () => this.#isNew);
    }
  }

  /** So long, or until it ends, or there is what is waited for. */
  async #pause(ms: number, isOver: () => boolean): Promise<void> {
    const over = new AbortController();
    this.#wake = () => {
      if (this.#isEnded || isOver()) over.abort();
    };
    this.#wake();
    await this.#clock.sleep(ms, over.signal).catch(() => undefined);
    this.#wake = undefined;
  }
}

/** Errors: ARGUMENT_INVALID. */
function settingsOf(request: PruneRequest): PruneSettings {
  const { dryRun, graceMs, repackBelow, repackBytesMax, bytesPerSecond, waitMs } = request;
  if (repackBelow !== undefined && !(repackBelow >= 0 && repackBelow <= 1))
    throw new AetherError("ARGUMENT_INVALID", `repack_below is a share from 0 to 1, not ${repackBelow}`);
  if (bytesPerSecond === 0n) throw new AetherError("ARGUMENT_INVALID", "with 0 bytes a second nothing ends");
  return {
    dryRun,
    graceMs: numberOf(graceMs),
    repackBelow,
    repackBytesMax: numberOf(repackBytesMax),
    bytesPerSecond: numberOf(bytesPerSecond),
    waitMs: Number(waitMs),
  };
}

function numberOf(value: bigint | undefined): number | undefined {
  return value === undefined ? undefined : Number(value);
}

function progressOf({ phase, done }: PruneProgress): Answer["progress"] {
  return { phase, done: BigInt(done) };
}

function resultOf(result: PruneResult): MessageInitShape<typeof PruneResultSchema> {
  const { versions, kept, unusedBytes, removed, condemned, repacked, ripeInMs, holders, seconds } = result;
  const { blocks, blockBytes, newBytes } = repacked;
  return {
    versions: BigInt(versions),
    kept: countOf(kept),
    incomplete: BigInt(result.incomplete),
    expiredTags: BigInt(result.expiredTags),
    removedDatasets: BigInt(result.removedDatasets),
    unusedBytes: BigInt(unusedBytes),
    removed: countOf(removed),
    condemned: countOf(condemned),
    repacked: { blocks: BigInt(blocks), blockBytes: BigInt(blockBytes), newBytes: BigInt(newBytes) },
    ...(ripeInMs === undefined ? {} : { ripeInMs: BigInt(Math.ceil(ripeInMs)) }),
    holders: [...holders],
    seconds,
  };
}

function countOf({ blocks, blockBytes, others }: PruneCount): MessageInitShape<typeof PruneCountSchema> {
  return { blocks: BigInt(blocks), blockBytes: BigInt(blockBytes), others: BigInt(others) };
}
