/** Leads plans to where frames lie now. docs/format.md §7, §9.1 */
import { codeOf } from "../../base/errors.ts";
import type { Digest } from "../../format/digest.ts";
import { encodePlan, type Plan, type PlanFrame } from "../../format/plan.ts";
import type { CallOptions } from "../../store/block-store.ts";
import type { Engine } from "../engine.ts";
import { TaskGroup } from "../task-group.ts";
import { readPlan, wholePlan } from "../version/load-plan.ts";
import { Traffic } from "../version/traffic.ts";
import type { LivePlan, LiveSet } from "./live-set.ts";

/** Plans that are rewritten at the same time. */
const PARALLEL_MAX = 8;
/** Times that a plan is written anew because somebody else changed it meanwhile. */
const TRIES_MAX = 8;

/** Where a frame lies. */
export interface FramePlace {
  readonly block: Digest;
  readonly offset: number;
}

/** Where frames of old blocks lie now. */
export class MovedFrames {
  readonly #blocks = new Map<Digest, Map<number, FramePlace>>();

  /** Tells of a frame that began at `offset` of `block`. */
  add(block: Digest, offset: number, to: FramePlace): void {
    const places = this.#blocks.get(block) ?? new Map<number, FramePlace>();
    this.#blocks.set(block, places.set(offset, to));
  }

  /** The frame, where it lies now; undefined when it was not moved. */
  find(frame: PlanFrame): PlanFrame | undefined {
    const place = this.#blocks.get(frame.block)?.get(frame.offset);
    return place && { ...frame, ...place };
  }
}

/** Rewrites the plans that lead to blocks whose frames were moved. */
export class PlanMover {
  readonly #engine: Engine;
  readonly #live: LiveSet;
  readonly #victims: ReadonlySet<Digest>;
  readonly #moved: MovedFrames;
  readonly #stuck = new Set<Digest>();
  /** Plans that are rewritten: who is in terms of one of them need not say what it says. */
  readonly #rewritten = new Set<string>();

  constructor(engine: Engine, live: LiveSet, victims: ReadonlySet<Digest>, moved: MovedFrames) {
    this.#engine = engine;
    this.#live = live;
    this.#victims = victims;
    this.#moved = moved;
  }

  /**
   * Rewrites them all, a few at a time, `before` each. Gives the blocks that a plan still leads to: it was changed meanwhile,
   * to frames that nobody needed before. Errors: those of the store, and of reading plans.
   */
  async run(options: CallOptions, before: () => Promise<void>): Promise<ReadonlySet<Digest>> {
    const plans = [...this.#live.plansOf(this.#victims)];
    for (const plan of plans) this.#rewritten.add(idOf(plan));
    const tasks = new TaskGroup(PARALLEL_MAX);
    try {
      for (const plan of plans) {
        await before();
        await tasks.add(() => this.#rewrite(plan, options));
      }
      await tasks.finish();
    } finally {
      await tasks.settle();
    }
    return this.#stuck;
  }

  async #rewrite(live: LivePlan, options: CallOptions): Promise<void> {
    const { datasets } = this.#engine.store;
    const where = { ...options, domain: live.domain };
    let left: readonly Digest[] = [];
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const found = await datasets.getPlan(live.key, where);
      if (found === undefined) return;
      const plan = await this.#newPlan(found.value, options);
      left = plan?.left ?? [];
      if (plan === undefined || left.length > 0) break;
      try {
        await datasets.putPlan(live.key, encodePlan(plan.plan), found.revision, where);
        return;
      } catch (error) {
        if (codeOf(error) !== "OBJECT_CONFLICT") throw error;
        left = [...this.#victims];
      }
    }
    for (const block of left) this.#stuck.add(block);
  }

  /** The plan as it should be, and the old blocks that it leads to all the same; undefined: it is as it should be. */
  async #newPlan(
    bytes: Uint8Array,
    options: CallOptions,
  ): Promise<{ readonly plan: Plan; readonly left: readonly Digest[] } | undefined> {
    const loading = { ...options, traffic: new Traffic() };
    const { datasets } = this.#engine.store;
    const short = await readPlan(datasets, bytes, loading);
    const whole = await wholePlan(datasets, short, loading);
    const old = whole.frames.filter(({ block }) => this.#victims.has(block));
    if (old.length === 0) return undefined;
    // Where its base's plan is not rewritten, nobody else will say where these frames lie.
    const keepsBase =
      short.base !== undefined && this.#rewritten.has(idOf({ key: short.base.key, domain: undefined }));
    const from = keepsBase ? short : whole;
    const left = old.filter((frame) => this.#moved.find(frame) === undefined).map(({ block }) => block);
    const frames = from.frames.map((frame) => this.#moved.find(frame) ?? frame);
    if (left.length === 0 && keepsBase && !from.frames.some((frame) => this.#victims.has(frame.block)))
      return undefined;
    return { plan: { ...from, frames }, left };
  }
}

function idOf({ key, domain }: LivePlan): string {
  return domain === undefined ? key : `${key} ${domain}`;
}
