/** Plans in terms of another version's, or page's: short ones, and how they are completed. docs/format.md §7.1 */
import { AetherError } from "../base/errors.ts";
import {
  ELSEWHERE,
  type Plan,
  type PlanBase,
  type PlanFrame,
  type PlanPlace,
  type PlanSource,
} from "./plan.ts";

/**
 * The same plan (one that needs no other), without what `basePlan` (another such) says of the base: items that lie in the same
 * place, and the sources of deltas that stand there one after another.
 */
export function shortenPlan(plan: Plan, base: PlanBase, basePlan: Plan): Plan {
  const keyOf = (from: Plan, { frame, offset }: PlanPlace): string => {
    const lies = from.frames[frame];
    return `${lies?.block ?? ""}:${lies?.offset ?? 0}:${offset}`;
  };
  const keys = basePlan.places.map((place) => keyOf(basePlan, place));
  const numbers = new Map(keys.map((key, index) => [key, index] as const).reverse());
  const elsewhere = (sources: readonly PlanSource[]): PlanSource[] | undefined => {
    const first = sources[0] && numbers.get(keyOf(plan, sources[0]));
    if (first === undefined) return undefined;
    const isRun = sources.every((source, index) => keys[first + index] === keyOf(plan, source));
    return isRun
      ? sources.map((source, index) => ({ ...source, frame: ELSEWHERE, offset: first + index }))
      : undefined;
  };
  const short = new FrameList(plan.frames, elsewhere);
  const places = plan.places.map((place) => {
    const number = numbers.get(keyOf(plan, place));
    if (number !== undefined) return { frame: ELSEWHERE, offset: number };
    return { frame: short.add(place.frame), offset: place.offset };
  });
  return { covers: plan.covers, frames: short.frames, places, base };
}

/** The whole of a short plan; `basePlan` is the whole one of its base. Errors: OBJECT_INVALID. */
export function completePlan(plan: Plan, basePlan: Plan): Plan {
  const frames = new FrameList(basePlan.frames, () => undefined);
  const whole: PlanFrame[] = frames.frames;
  const lieIn = (offset: number): PlanPlace => {
    const place = placeOf(basePlan, offset);
    return { frame: frames.add(place.frame), offset: place.offset };
  };
  const own: number[] = [];
  for (const frame of plan.frames) {
    const delta = frame.delta && {
      ...frame.delta,
      sources: frame.delta.sources.map((source) => ({
        ...source,
        ...(source.frame === ELSEWHERE ? lieIn(source.offset) : { frame: own[source.frame] ?? ELSEWHERE }),
      })),
    };
    const depth = delta?.depth ?? 0;
    if (delta?.sources.some((source) => (whole[source.frame]?.delta?.depth ?? 0) >= depth) === true)
      throw invalid("a delta lies on no lower frame of its base's plan");
    own.push(whole.push({ ...frame, delta }) - 1);
  }
  const places = plan.places.map(({ frame, offset }) =>
    frame === ELSEWHERE ? lieIn(offset) : { frame: own[frame] ?? ELSEWHERE, offset },
  );
  return { covers: plan.covers, frames: whole, places };
}

/** Frames taken over from another list as they are needed, bases first. */
class FrameList {
  readonly frames: PlanFrame[] = [];
  readonly #from: readonly PlanFrame[];
  readonly #elsewhere: (sources: readonly PlanSource[]) => readonly PlanSource[] | undefined;
  readonly #taken = new Map<number, number>();

  /** `elsewhere` gives the sources of a delta that need not be taken over. */
  constructor(
    from: readonly PlanFrame[],
    elsewhere: (sources: readonly PlanSource[]) => readonly PlanSource[] | undefined,
  ) {
    this.#from = from;
    this.#elsewhere = elsewhere;
  }

  /** The number in this list of a frame of the other. Frames stand behind their bases, so this ends. */
  add(number: number): number {
    const known = this.#taken.get(number);
    if (known !== undefined) return known;
    const frame = this.#from[number];
    if (frame === undefined) throw invalid("a frame is not there");
    const sources = frame.delta?.sources ?? [];
    const kept =
      this.#elsewhere(sources) ?? sources.map((source) => ({ ...source, frame: this.add(source.frame) }));
    const delta = frame.delta && { ...frame.delta, sources: kept };
    const taken = this.frames.push({ ...frame, delta }) - 1;
    this.#taken.set(number, taken);
    return taken;
  }
}

function placeOf(plan: Plan, item: number): PlanPlace {
  const place = plan.places[item];
  if (place === undefined || place.frame === ELSEWHERE) throw invalid("an item has no place");
  return place;
}

function invalid(why: string): AetherError {
  return new AetherError("OBJECT_INVALID", `a plan is malformed: ${why}`);
}
